"""Closed bars that arrived on a stream, from the thread that reads it to the one that trades them."""

from collections import OrderedDict
from collections.abc import Collection
from datetime import datetime
from threading import Condition

from mikrobot.domain.market import Bar
from mikrobot.runtime import Clock

KEPT_MINUTES = 60
"""Minutes whose bars are kept; whoever comes later reads them by REST."""

LOOK_S = 0.05
"""Real seconds after which a waiting thread looks at the clock again."""


class ClosedBars:
    """Closed bars by minute and symbol. Thread-safe.

    The first version of a bar counts. A later one that differs is kept apart, since a bar is decided on once.
    """

    def __init__(self) -> None:
        self._minutes: OrderedDict[datetime, dict[str, Bar]] = OrderedDict()
        self._revised: list[Bar] = []
        self._changed = Condition()

    def put(self, bar: Bar) -> None:
        """Add a closed bar; the same bar again changes nothing."""
        with self._changed:
            minute = self._minutes.setdefault(bar.open_time, {})
            first = minute.setdefault(bar.symbol, bar)
            if first != bar:
                self._revised.append(bar)
            while len(self._minutes) > KEPT_MINUTES:
                self._minutes.popitem(last=False)
            self._changed.notify_all()

    def minute(self, open_time: datetime, symbols: Collection[str], until: datetime, clock: Clock) -> dict[str, Bar]:
        """Return the bars of a minute as soon as there is one for each symbol, or at a time those that have arrived.

        Parameters
        ----------
        open_time : datetime
            UTC.
        symbols : collection of str
        until : datetime
            Time of the clock at which the wait ends.
        clock : Clock
        """
        with self._changed:
            while True:
                arrived = self._minutes.get(open_time, {})
                if all(symbol in arrived for symbol in symbols) or clock.now() >= until:
                    return dict(arrived)
                self._changed.wait(LOOK_S)

    def take_revised(self) -> list[Bar]:
        """Return the later versions of bars that differ from the first, each once."""
        with self._changed:
            revised, self._revised = self._revised, []
        return revised

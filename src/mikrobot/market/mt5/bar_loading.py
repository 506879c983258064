"""Reads bars of a terminal that may still load them from its broker.

The first call for a span may return nothing or a part. It is repeated until two answers in a row are equal, for a
limited time; a span that was whole once is read once from then on, until the terminal is opened again.
"""

import numpy as np

from mikrobot.domain.errors import FeedError
from mikrobot.market.mt5.arrays import Rows
from mikrobot.market.mt5.codes import NO_HISTORY, TerminalFailed
from mikrobot.market.mt5.terminal import M1
from mikrobot.market.mt5.terminal_link import TerminalLink
from mikrobot.runtime import Clock

_LONGEST_S = 30
"""Seconds for which a span is asked for again."""

_PAUSE_S = 0.5
"""Seconds between two such questions."""

_EQUAL, _EQUAL_EMPTY = 2, 10
"""Equal answers in a row that make a span whole, with bars and without any."""

_DEEPEST = 1 << 24
"""Bars back that are searched for the first one: 30 years of minutes."""


class BarLoader:
    """Bars of one terminal.

    Parameters
    ----------
    link : TerminalLink
    clock : Clock
    """

    def __init__(self, link: TerminalLink, clock: Clock) -> None:
        self._link = link
        self._clock = clock
        self._whole: dict[tuple[str, int], tuple[int, int]] = {}

    def between(self, name: str, since: int, until: int, timeframe: int = M1) -> Rows:
        """Return the bars that open from `since` to `until`, both included, seconds in the clock of the server.

        Raises
        ------
        TerminalFailed
            If the terminal has no history of the symbol.
        FeedError
            If it does not answer, or its answers still differ after `_LONGEST_S` seconds.
        """
        answer = self._answer(name, timeframe, since, until)
        if not self._was_whole(name, timeframe, since):
            answer = self._settled(name, timeframe, (since, until), answer)
        if isinstance(answer, TerminalFailed):
            raise answer
        self._whole[name, timeframe] = (min(since, self._whole_from(name, timeframe)), self._link.opened)
        return answer

    def first(self, name: str) -> int | None:
        """Return the open time of the first bar that the terminal has, seconds in its clock; None if it has none.

        The number of bars is limited by the option "Max. bars in chart".
        """
        reachable = min(self._link.ask(lambda terminal: terminal.status()).most_bars, _DEEPEST)
        low, high = -1, reachable
        while high - low > 1:
            middle = (low + high) // 2
            if self._at(name, middle) is None:
                high = middle
            else:
                low = middle
        return None if low < 0 else self._at(name, low)

    def _settled(
        self, name: str, timeframe: int, span: tuple[int, int], answer: Rows | TerminalFailed
    ) -> Rows | TerminalFailed:
        """Repeat a question until its answers are equal."""
        equal, waited_s = 1, 0.0
        while equal < (_EQUAL_EMPTY if isinstance(answer, TerminalFailed) or not len(answer) else _EQUAL):
            if waited_s >= _LONGEST_S:
                raise FeedError(
                    f"{name}: the terminal still loads its history after {_LONGEST_S} s; wait, and repeat the command"
                )
            self._clock.sleep(_PAUSE_S)
            waited_s += _PAUSE_S
            again = self._answer(name, timeframe, *span)
            equal = equal + 1 if _same(answer, again) else 1
            answer = again
        return answer

    def _at(self, name: str, position: int) -> int | None:
        try:
            rows = self._link.ask(lambda terminal: terminal.rates_at(name, position, 1))
        except TerminalFailed:  # so far back there is no bar
            return None
        return int(rows["time"][0]) if len(rows) else None

    def _answer(self, name: str, timeframe: int, since: int, until: int) -> Rows | TerminalFailed:
        """Return the bars that the terminal has by now, or why it has no history yet."""
        try:
            return self._link.ask(lambda terminal: terminal.rates(name, timeframe, since, until))
        except TerminalFailed as error:
            if error.code != NO_HISTORY:
                raise
            return error

    def _was_whole(self, name: str, timeframe: int, since: int) -> bool:
        return since >= self._whole_from(name, timeframe)

    def _whole_from(self, name: str, timeframe: int) -> int:
        """Return the time from which the bars were whole since the terminal was opened."""
        whole_from, opened = self._whole.get((name, timeframe), (_NEVER, 0))
        return whole_from if opened == self._link.opened else _NEVER


_NEVER = 1 << 40


def _same(one: Rows | TerminalFailed, other: Rows | TerminalFailed) -> bool:
    """Return whether two answers have the same bars, but for one that opened in between."""
    if isinstance(one, TerminalFailed) or isinstance(other, TerminalFailed):
        return isinstance(one, TerminalFailed) and isinstance(other, TerminalFailed)
    shorter = min(len(one), len(other))
    return abs(len(one) - len(other)) <= 1 and np.array_equal(one["time"][:shorter], other["time"][:shorter])

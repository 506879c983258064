"""Compares the closed bars of a venue with the trades of their minutes, each once.

A minute is compared when both have arrived. A bar made from trades is handed out only where all of its trades have.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Protocol, TypeVar

from mikrobot.domain.market import Bar
from mikrobot.market.streams.trade_bars import AggregateTrade, TradeBar, TradeBars

KEPT_MINUTES = 60
"""Minutes whose bars are kept until the other version arrives."""

Kept = TypeVar("Kept")

FIELDS = ("open", "high", "low", "close", "volume", "trades", "taker_volume")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A minute in which the bar of the venue is not the one that its trades make up.

    Attributes
    ----------
    bar, trades : Bar
        As the venue sent it, and as its trades make it up.
    fields : tuple of str
        Values that differ.
    """

    bar: Bar
    trades: Bar
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TradeCounts:
    """Counts of a check.

    Attributes
    ----------
    bars : int
        Closed bars of the venue.
    compared : int
        Those with all trades of their minute.
    differing : int
        Those of them that differ.
    """

    bars: int = 0
    compared: int = 0
    differing: int = 0


class TradeChecks(Protocol):
    """What comparisons of bars with their trades have noticed."""

    def take_used(self) -> list[Bar]:
        """Return the bars made from trades that were handed out since the last call."""

    def take_differing(self) -> list[Disagreement]:
        """Return the disagreements since the last call."""


class TradeCheck:
    """The comparison of all symbols. Thread-safe: one thread puts, another takes."""

    def __init__(self) -> None:
        self._building = TradeBars()
        self._closed: OrderedDict[datetime, dict[str, Bar]] = OrderedDict()
        self._built: OrderedDict[datetime, dict[str, TradeBar]] = OrderedDict()
        self._differing: list[Disagreement] = []
        self._used: list[Bar] = []
        self._counts = TradeCounts()
        self._lock = Lock()

    def put_trade(self, trade: AggregateTrade) -> None:
        """Add a trade; a minute that it ends is compared if the venue's bar has arrived."""
        finished = self._building.put(trade)
        if finished is None:
            return
        bar = finished.bar
        with self._lock:
            _keep(self._built, bar.open_time, bar.symbol, finished)
            closed = self._closed.get(bar.open_time, {}).get(bar.symbol)
            if closed is not None:
                self._compare(closed, finished)

    def put_bar(self, bar: Bar) -> None:
        """Add a closed bar of the venue; the same minute again changes nothing."""
        with self._lock:
            if bar.symbol in self._closed.get(bar.open_time, {}):
                return
            self._count(bars=1)
            _keep(self._closed, bar.open_time, bar.symbol, bar)
            built = self._built.get(bar.open_time, {}).get(bar.symbol)
            if built is not None:
                self._compare(bar, built)

    def built(self, symbol: str, open_time: datetime) -> Bar | None:
        """Return the bar that all trades of a minute make up, to be used; None if it is not complete.

        A minute with trades that the venue did not send is not.
        """
        with self._lock:
            built = self._built.get(open_time, {}).get(symbol)
            if built is None or built.omitted:
                return None
            self._used.append(built.bar)
            return built.bar

    def take_used(self) -> list[Bar]:
        """Return the bars that `built` has handed out since the last call."""
        with self._lock:
            used, self._used = self._used, []
        return used

    def take_differing(self) -> list[Disagreement]:
        """Return the disagreements since the last call, in the order in which they were noticed."""
        with self._lock:
            differing, self._differing = self._differing, []
        return differing

    def counts(self) -> TradeCounts:
        """Return the counts since the start."""
        return self._counts

    def _compare(self, bar: Bar, built: TradeBar) -> None:
        fields = _contradicted(bar, built.bar) if built.omitted else _unequal(bar, built.bar)
        self._count(compared=1, differing=bool(fields))
        if fields:
            self._differing.append(Disagreement(bar, built.bar, fields))

    def _count(self, *, bars: int = 0, compared: int = 0, differing: int = 0) -> None:
        counts = self._counts
        self._counts = TradeCounts(counts.bars + bars, counts.compared + compared, counts.differing + differing)


def _unequal(bar: Bar, trades: Bar) -> tuple[str, ...]:
    return tuple(name for name in FIELDS if getattr(bar, name) != getattr(trades, name))


def _contradicted(bar: Bar, trades: Bar) -> tuple[str, ...]:
    """Return the values that the trades contradict, where the venue has others that it did not send."""
    larger = tuple(name for name in ("high", "volume", "trades") if getattr(bar, name) < getattr(trades, name))
    return (*larger, "low") if bar.low > trades.low else larger


def _keep(minutes: OrderedDict[datetime, dict[str, Kept]], opened: datetime, symbol: str, kept: Kept) -> None:
    minutes.setdefault(opened, {})[symbol] = kept
    while len(minutes) > KEPT_MINUTES:
        minutes.popitem(last=False)

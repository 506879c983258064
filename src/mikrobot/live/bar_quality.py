"""The streamer's side of the quality score: what each bar is scored with besides its values, and the saved state.

The score of a bar is stored with it. Decides no halt: the worker does.
"""

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mikrobot.domain.market import Bar, Timeframe
from mikrobot.domain.order_books import BookState
from mikrobot.domain.quality import QualityScore
from mikrobot.market.longer_bars import gravity
from mikrobot.market.quality.feed_parts import Arrival, Revision
from mikrobot.market.quality.scoring import BarScorer
from mikrobot.store.bars import BarStore
from mikrobot.store.runs import Segment
from mikrobot.store.states import FeatureStates

VERSION = "quality-1"
"""Version of the saved state; a state of another version is never loaded."""

WARM_UP = timedelta(days=10)
"""Bars before the first one of a segment that the score begins with. Ten days show which hours are thin."""

REMEMBERED = 60
"""Bars of a symbol whose prices are kept to compare later versions with; an older one counts as different."""

_GRAVER: dict[Revision, int] = {"none": 0, "volume": 1, "price": 2}


@dataclass(slots=True)
class BarQuality:
    """Scores the bars of one segment of a run.

    Attributes
    ----------
    source : str
    recorded : mapping of (symbol, close time) to QualityScore
        Scores that a recorded session published, which count in its replay: they include how each bar arrived.
    """

    source: str
    recorded: Mapping[tuple[str, datetime], QualityScore] = field(default_factory=dict)
    _follows_from: datetime | None = None
    _compares: bool = False
    _rate: float = 1.0
    _scored: dict[str, OrderedDict[datetime, tuple[float, ...]]] = field(default_factory=dict)
    _scorer: BarScorer = field(default_factory=BarScorer)
    _refused: Counter[str] = field(default_factory=Counter)
    _revised: dict[str, Revision] = field(default_factory=dict)
    _aggregates: dict[str, Revision] = field(default_factory=dict)

    def score(
        self, bar: Bar, now: datetime, delay_s: float | None = None, book: BookState | None = None
    ) -> QualityScore:
        """Return the score of a bar that is published at a time, whose message was on its way for some seconds.

        `book` is the state of its order book at its close; None without one.
        """
        recent = self._scored.setdefault(bar.symbol, OrderedDict())
        recent[bar.open_time] = _prices(bar)
        if len(recent) > REMEMBERED:
            recent.popitem(last=False)
        scored = self._scorer.score(bar, self._arrival(bar, now, delay_s, book))
        return self.recorded.get((bar.symbol, bar.close_time), scored)

    def follow(self, at: datetime, *, compares: bool, rate: float = 1.0) -> None:
        """Begin to measure how bars arrive, in the present of a live source.

        Parameters
        ----------
        at : datetime
            Bars that closed later are late if they arrive late.
        compares : bool
            Later versions of bars are looked for.
        rate : float
            Seconds of the market in one second of real time. Lateness and delay are those of this machine, so that
            they count in real time.
        """
        self._follows_from = at
        self._compares = compares
        self._rate = rate

    def note_refused(self, symbol: str) -> None:
        """Note that a bar was refused; the score of the next one shows it."""
        self._refused[symbol] += 1

    def note_revised(self, bar: Bar) -> None:
        """Note a later version of a bar, or one that came too late; the score of the next bar shows it."""
        published = self._scored.get(bar.symbol, OrderedDict())
        self._revise(bar.symbol, "volume" if published.get(bar.open_time) == _prices(bar) else "price")

    def note_longer(self, symbol: str, fields: tuple[str, ...]) -> None:
        """Note that a longer bar of the venue was compared with its minutes; the score of the next bar shows it.

        `fields` are the values that differ.
        """
        before = self._aggregates.get(symbol, "none")
        self._aggregates[symbol] = max(gravity(fields), before, key=_GRAVER.__getitem__)

    def note_conflict(self, symbol: str) -> None:
        """Note that another bar of the same time was stored already; the score of the next bar shows it."""
        self._revise(symbol, "price")

    def restore(self, symbol: str, segment: Segment, until: datetime, *, states: FeatureStates, bars: BarStore) -> None:
        """Take up the state of a symbol at an instant of a segment.

        A state from before the segment is not used: every run of the same hours begins with the same bars.
        """
        self._scorer.forget(symbol)
        start = max(segment.history_from, segment.trade_from - WARM_UP)
        saved = states.load(self.source, symbol, VERSION, until)
        if saved is not None and saved[0] > segment.trade_from:
            start = saved[0]
            self._scorer.restore(symbol, saved[1])
        self._scorer.fold(symbol, bars.range(self.source, symbol, Timeframe.M1, start, end=until))

    def save(self, symbol: str, close_time: datetime, states: FeatureStates) -> None:
        """Save the state at a close."""
        states.save(self.source, symbol, VERSION, close_time, snapshot=self._scorer.snapshot(symbol))

    def _revise(self, symbol: str, kind: Revision) -> None:
        self._revised[symbol] = max(kind, self._revised.get(symbol, "none"), key=_GRAVER.__getitem__)

    def _arrival(self, bar: Bar, now: datetime, delay_s: float | None, book: BookState | None) -> Arrival:
        refused, revision = self._refused.pop(bar.symbol, 0), self._revised.pop(bar.symbol, None)
        followed = self._follows_from is not None and bar.close_time > self._follows_from
        agreed: Revision | None = "none" if self._compares and followed else None
        longer = self._aggregates.pop(bar.symbol, None)
        arrival = Arrival(refused=refused, revision=revision or agreed, book=book, aggregates=longer)
        if followed:
            late_s = max((now - bar.close_time).total_seconds(), 0.0) / self._rate
            arrival = replace(arrival, late_s=late_s, delay_s=None if delay_s is None else delay_s / self._rate)
        return arrival


def _prices(bar: Bar) -> tuple[float, ...]:
    return bar.open, bar.high, bar.low, bar.close

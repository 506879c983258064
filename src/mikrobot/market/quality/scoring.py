"""The quality score of each closed bar: one bar at a time, or a whole frame with the same numbers.

The score is the product of its parts, each lowered by its weight: a part with weight 1 that is 0 makes the score 0, one
with weight 0.25 makes it 0.75. `BarScorer` also takes in what a live feed knows about a bar besides its values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import isnan, log

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.errors import DataError
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.instruments.sessions import NEW_YORK, SESSIONS, SessionName, on_holiday
from mikrobot.domain.market import Bar
from mikrobot.domain.quality import QualityScore
from mikrobot.market.quality.feed_parts import Arrival, feed_parts
from mikrobot.market.quality.kernel import PARTS, STATE, TRAITS, fold
from mikrobot.market.sessions import is_open

WEIGHTS: Mapping[str, float] = {
    "completeness_m1": 0.5,  # a tenth of an hour's minutes missing halts
    "completeness_m5": 0.25,  # a fifth of the M5 bars of two hours missing halts
    "completeness_h1": 0.05,  # missing hours of a day delay the return after another fault, and do not halt alone
    "gap": 1.0,  # the move over the gap would count as that of one minute
    "spike": 1.0,  # a wrong price is in the levels and the ATR
    "stuck": 1.0,  # the price of a feed that repeats itself is not that of the market
    "volume": 1.0,  # a market that always trades and has no trades is down
    "quotes": 1.0,  # a spread below zero is no cost
    "lateness": 1.0,  # the price of the bar is no longer that of the market
    "feed_delay": 1.0,  # the same
    "sources": 1.0,  # the bar that was decided on was another one
    "aggregates": 1.0,  # a minute that the venue counts into its longer bars is another one here
    "refused": 1.0,  # the minute of a refused bar is missing
    "book": 1.0,  # a book that is out of step has wrong prices
}
"""The most that each part takes off the score alone, with the reason."""

THIN_HOURS = (17, 18, 19)
"""Hours of the day in New York in which few quote FX: after the day ends at 17:00 and before Tokyo opens."""

ABSURD = {"crypto": 0.5, "fx": 0.05}
"""Price change in a minute, as a share, that no market has made; the Swiss franc moved EURUSD by 2 % in 2015."""

_OTHER_ABSURD = 0.2
_FEW = 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_WEIGHTS = np.array([WEIGHTS[name] for name in PARTS])


@dataclass(frozen=True, slots=True)
class Hole:
    """The open minutes that are missing between two bars.

    Attributes
    ----------
    minutes, m5, h1 : int
        Number of minutes, and of M5 and H1 bars that are missing as a whole.
    """

    minutes: int = 0
    m5: int = 0
    h1: int = 0


NO_HOLE = Hole()


def hole(symbol: str, before: int, minute: int) -> Hole:
    """Return what is missing between two bars of a symbol, given their open times in minutes since 1970 UTC.

    >>> hole("EURUSD", 29_000_000, 29_000_012)  # a Tuesday
    Hole(minutes=11, m5=1, h1=0)
    """
    session = instrument(symbol).session
    between = np.arange(before + 1, minute, dtype=np.int64)
    if session != "always":
        between = between[_opened(session, between)]
    m5, h1 = (_whole(between, before, minute, length=length) for length in (5, 60))
    return Hole(len(between), m5, h1)


def _opened(session: SessionName, minutes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return for minutes since 1970 whether the market is open; a few are looked up one by one, which is faster."""
    hours = SESSIONS[session]
    if hours is None or len(minutes) > _FEW:
        return is_open(session, pd.DatetimeIndex(minutes * 60, dtype="datetime64[s, UTC]"))
    opened = np.empty(len(minutes), dtype=bool)
    for place, minute in enumerate(minutes.tolist()):
        local = (_EPOCH + minute * _MINUTE).astimezone(NEW_YORK)
        closed = hours.closed(local.weekday(), local.hour * 60 + local.minute)
        opened[place] = not (closed or on_holiday(session, minute))
    return opened


def _whole(between: NDArray[np.int64], before: int, minute: int, *, length: int) -> int:
    """Return the number of longer bars that have open minutes and no bar of one minute."""
    return len(set((between // length).tolist()) - {before // length, minute // length})


def traits_of(symbol: str) -> NDArray[np.void]:
    """Return the constants of a symbol for the compiled step, shape (1,) of `TRAITS`.

    A coin has a bar for each minute. Minutes without a quote are normal in FX: a tenth of an hour, and three tenths
    in thin hours.
    """
    traded = instrument(symbol)
    coin = traded.asset == "crypto"
    traits = np.zeros(1, TRAITS)
    traits["tick"] = float(traded.tick)
    traits["least"] = 0.0015 if coin else 0.0005
    traits["absurd"] = log(1 + ABSURD.get(traded.asset, _OTHER_ABSURD))
    traits["still_again"] = 0.1 if coin else 0.3
    traits["repeats"] = 1 if coin else 5
    traits["m5_needed"], traits["h1_needed"] = (5, 57) if coin else (2, 30)
    traits["usual"] = (1.0, 1.0) if traded.session == "always" else (0.9, 0.7)
    traits["allowed"] = (0, 0) if traded.session == "always" else (2, 5)
    return traits


def combined(parts: Mapping[str, float]) -> float:
    """Return the score of parts.

    >>> combined({"completeness_m1": 0.9, "gap": 1.0})
    0.95
    """
    score = 1.0
    for name, value in parts.items():
        score *= 1 - WEIGHTS[name] * (1 - value)
    return score


@dataclass(slots=True)
class BarScorer:
    """Score the bars of symbols as they close, each symbol with a state of its own and of constant size."""

    _states: dict[str, NDArray[np.void]] = field(default_factory=dict)
    _traits: dict[str, NDArray[np.void]] = field(default_factory=dict)
    _minutes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    _holes: NDArray[np.int64] = field(default_factory=lambda: np.zeros((1, 4), np.int64))
    _values: NDArray[np.float64] = field(default_factory=lambda: np.zeros((1, 6)))
    _parts: NDArray[np.float64] = field(default_factory=lambda: np.zeros((1, len(PARTS))))

    def score(self, bar: Bar, arrival: Arrival | None = None) -> QualityScore:
        """Take in a bar, and return its score.

        Parameters
        ----------
        bar : Bar
            Later than the one before of its symbol, with finite and positive prices.
        arrival : Arrival or None
            How the bar arrived; None for a recorded bar.
        """
        self._take(bar)
        parts = {name: value for name, value in zip(PARTS, self._parts[0].tolist(), strict=True) if not isnan(value)}
        if arrival is not None:
            parts |= feed_parts(arrival)
        return QualityScore(bar.symbol, bar.close_time, combined(parts), parts)

    def fold(self, symbol: str, bars: pd.DataFrame) -> None:
        """Take in a bar frame without its scores, as before the first bar of a stream."""
        score_frame(symbol, bars, self._state(symbol))

    def snapshot(self, symbol: str) -> bytes:
        """Return the state of a symbol."""
        return self._state(symbol).tobytes()

    def restore(self, symbol: str, snapshot: bytes) -> None:
        """Replace the state of a symbol.

        Raises
        ------
        DataError
            If the snapshot is of another version.
        """
        if len(snapshot) != STATE.itemsize:
            raise DataError(f"{symbol}: expected a quality state of {STATE.itemsize} bytes, found {len(snapshot)}")
        self._states[symbol] = np.frombuffer(snapshot, STATE).copy()

    def forget(self, symbol: str) -> None:
        """Begin again without a bar of a symbol."""
        self._states.pop(symbol, None)

    def _state(self, symbol: str) -> NDArray[np.void]:
        if symbol not in self._states:
            self._states[symbol] = np.zeros(1, STATE)
        if symbol not in self._traits:
            self._traits[symbol] = traits_of(symbol)
        return self._states[symbol]

    def _take(self, bar: Bar) -> None:
        state = self._state(bar.symbol)
        minute = (bar.open_time - _EPOCH) // _MINUTE
        before = int(state["last"][0])
        gone = NO_HOLE if before in (0, minute - 1) else hole(bar.symbol, before, minute)
        self._minutes[0] = minute
        self._holes[0] = gone.minutes, gone.m5, gone.h1, _is_thin(bar.symbol, bar.open_time)
        self._values[0] = bar.open, bar.high, bar.low, bar.close, bar.volume, bar.spread
        fold(state, self._traits[bar.symbol], self._minutes, self._holes, self._values, self._parts)


def score_frame(symbol: str, bars: pd.DataFrame, state: NDArray[np.void] | None = None) -> pd.DataFrame:
    """Score the bars of a frame, with the same numbers as one bar after the other.

    Parameters
    ----------
    symbol : str
    bars : DataFrame
        A bar frame of M1 bars.
    state : ndarray of STATE, shape (1,), or None
        Continued and changed; None: no bar before.

    Returns
    -------
    DataFrame
        The columns ``close_time`` (UTC), ``score`` and `PARTS`, NaN where a part does not apply; a row for each bar.
    """
    state = np.zeros(1, STATE) if state is None else state
    minutes = pd.DatetimeIndex(bars["open_time"]).as_unit("s").asi8 // 60
    before = np.concatenate(([int(state["last"][0])], minutes[:-1])) if len(minutes) else minutes
    holes = np.zeros((len(minutes), 4), dtype=np.int64)
    for row in np.flatnonzero((minutes != before + 1) & (before != 0)).tolist():
        gone = hole(symbol, int(before[row]), int(minutes[row]))
        holes[row, :3] = gone.minutes, gone.m5, gone.h1
    if instrument(symbol).closes:
        local = pd.DatetimeIndex(bars["open_time"]).tz_convert(NEW_YORK).hour
        holes[:, 3] = np.isin(local, THIN_HOURS)
    values = bars[["open", "high", "low", "close", "volume", "spread"]].to_numpy(np.float64)
    parts = np.empty((len(minutes), len(PARTS)))
    fold(state, traits_of(symbol), minutes, holes, values, parts)
    scores = np.where(np.isnan(parts), 1.0, 1 - _WEIGHTS * (1 - parts))
    frame = pd.DataFrame(parts, columns=list(PARTS))
    frame.insert(0, "score", _products(scores))
    frame.insert(0, "close_time", pd.DatetimeIndex(bars["open_time"]) + pd.Timedelta(minutes=1))
    return frame


def _is_thin(symbol: str, at: datetime) -> bool:
    return instrument(symbol).closes and at.astimezone(NEW_YORK).hour in THIN_HOURS


def _products(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Multiply the columns from left to right, as `combined` does."""
    product: NDArray[np.float64] = np.ones(len(factors))
    for column in factors.T:
        product = product * column
    return product

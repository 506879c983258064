"""The simulated source: endless bars from a seed, used if there is no other source.

Every bar is a pure function of (seed, symbol, time) and does not depend on what is requested. Days are
simulated one after the other from `EPOCH`. Only the state at the start of each day and the days of the latest
request stay in memory; a day has 65 kB. The stochastic model is `mikrobot.market.stochastic_model`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from mikrobot.domain.errors import FeedError, UnknownSymbol
from mikrobot.domain.instruments.entries import Entry
from mikrobot.domain.instruments.instrument import Instrument
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import empty_bars
from mikrobot.market.border import MINUTE_US, bar_frame, epoch_us
from mikrobot.market.stochastic_model import CHARACTERS, Day, opening_state, simulate_day
from mikrobot.runtime import Clock
from mikrobot.settings import Settings

DEFAULT_SYMBOLS = ("EURUSD", "BTCUSDT")

EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
"""Start of the simulated market."""

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_LONGEST_CLOSURE = timedelta(days=3)


def open_source(settings: Settings, clock: Clock) -> "SimulatedSource":
    """Return the source that the settings describe."""
    return SimulatedSource(settings.symbols or DEFAULT_SYMBOLS, settings.seed, clock)


class SimulatedSource:
    """A simulated market that runs with the clock.

    Parameters
    ----------
    symbols : sequence of str
        Those of `stochastic_model.CHARACTERS`.
    seed : int
    clock : Clock
        Bars that have not closed yet are not returned.

    Raises
    ------
    UnknownSymbol
        If a symbol is not one of them.
    """

    name = "simulated"
    simulated = True
    live = True

    def __init__(self, symbols: Sequence[str], seed: int, clock: Clock) -> None:
        for symbol in symbols:
            if symbol not in CHARACTERS:
                raise UnknownSymbol(f"{symbol} is not simulated; the simulated market has {', '.join(CHARACTERS)}")
        self._paths = {symbol: _Path(instrument(symbol), seed) for symbol in symbols}
        self._clock = clock

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols, in the order given."""
        return tuple(self._paths)

    def instruments(self) -> dict[str, Entry]:
        """Return nothing: a simulated market has the instruments of the tables."""
        return {}

    def time(self) -> datetime:
        """Return the time of the clock, UTC."""
        return self._clock.now()

    def span(self, symbol: str) -> tuple[datetime, datetime]:
        """Return the open time of the first bar and the close time of the last one by now.

        Raises
        ------
        FeedError
            If no bar has closed yet.
        """
        first, now = self.first_open(symbol), self._clock.now()
        last = self.history(symbol, now - _LONGEST_CLOSURE, now)
        return first, last["open_time"].iloc[-1].to_pydatetime() + _MINUTE

    def first_open(self, symbol: str) -> datetime:
        """Return the open time of the first bar; simulates the first days only.

        Raises
        ------
        FeedError
            If no bar has closed yet.
        """
        first = self.history(symbol, EPOCH, EPOCH + _LONGEST_CLOSURE)
        if first.empty:
            begins, now = f"the simulated market begins on {EPOCH:%Y-%m-%d}", self._clock.now()
            raise FeedError(f"{symbol}: {begins}, and it is {now:%Y-%m-%d %H:%M} UTC; set this machine's clock")
        opened: datetime = first["open_time"].iloc[0].to_pydatetime()
        return opened

    def history(self, symbol: str, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the closed bars that open in [start, end).

        Raises
        ------
        UnknownSymbol
            If the source does not have the symbol.
        """
        if symbol not in self._paths:
            raise UnknownSymbol(f"{symbol} is not simulated here; the symbols are {', '.join(self._paths)}")
        closed = self._clock.now() - _MINUTE + timedelta(microseconds=1)
        return self._paths[symbol].bars(max(start, EPOCH), min(end, closed))


class _Path:
    """The state of one symbol at the start of each day simulated so far, and the days of the latest request."""

    def __init__(self, of: Instrument, seed: int) -> None:
        self._instrument = of
        self._seed = seed
        self._states = [opening_state(of.symbol)]
        self._latest: dict[int, Day] = {}

    def bars(self, start: datetime, end: datetime) -> pd.DataFrame:
        if start >= end:
            return empty_bars()
        first, last = (start - EPOCH) // _DAY, -((EPOCH - end) // _DAY)
        days = self._days(first, last)
        times = np.concatenate([_open_times(first + i, day) for i, day in enumerate(days)])
        inside = slice(*np.searchsorted(times, [epoch_us(start), epoch_us(end)]))
        ticks = np.concatenate([day.ticks for day in days])[inside].T
        # Division by an integer gives the float nearest to the decimal price.
        prices = ticks / round(1 / self._instrument.tick)
        volume = np.concatenate([day.volume for day in days])[inside]
        trades, taker_volume = (
            np.concatenate([getattr(day, name) for day in days])[inside] for name in ("trades", "taker_volume")
        )
        return bar_frame(times[inside], prices[:4], volume, prices[4], trades=trades, taker_volume=taker_volume)

    def _days(self, first: int, last: int) -> list[Day]:
        """Return the days with the numbers first to last - 1, and forget the others."""
        while len(self._states) <= first:
            self._simulate(len(self._states) - 1)
        self._latest = {number: self._latest.get(number) or self._simulate(number) for number in range(first, last)}
        return list(self._latest.values())

    def _simulate(self, number: int) -> Day:
        date = EPOCH + number * _DAY
        day, state = simulate_day(self._instrument, self._seed, date, self._states[number])
        if number + 1 == len(self._states):
            self._states.append(state)
        return day


def _open_times(number: int, day: Day) -> np.ndarray:
    return epoch_us(EPOCH) + (number * 1440 + day.minutes.astype(np.int64)) * MINUTE_US

"""Instruments, timeframes and bars, as market sources deliver and stores keep them.

Reads, stores and fetches nothing. Prices are float64 here; `Instrument.quantize` is the only
conversion to Decimal.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from enum import Enum
from typing import Literal

import pandas as pd

from mikrobot.domain.errors import UnknownSymbol

AssetClass = Literal["fx", "crypto"]
Rounding = Literal["nearest", "up", "down"]

BAR_COLUMNS = ("open_time", "open", "high", "low", "close", "volume", "spread", "trades", "taker_volume")
"""Columns of a bar frame, in order.

``open_time`` is datetime64[us, UTC], strictly increasing and unique; the others are float64.
Prices are bid. ``volume``, ``spread`` (ask - bid at the close, in price units), ``trades`` (number
of trades) and ``taker_volume`` (the part of the volume that takers bought) are NaN where the source
does not provide them. A row is known at its close, one timeframe after ``open_time``.
"""

_ROUNDINGS = {"nearest": ROUND_HALF_EVEN, "up": ROUND_CEILING, "down": ROUND_FLOOR}


class Timeframe(Enum):
    """Length of a bar; the value is its name in settings, tables and feature columns."""

    M1 = "M1"
    M5 = "M5"
    H1 = "H1"

    @property
    def seconds(self) -> int:
        """Length in seconds.

        >>> Timeframe.M5.seconds
        300
        """
        return _SECONDS[self]

    @property
    def delta(self) -> timedelta:
        """Length as a timedelta."""
        return timedelta(seconds=self.seconds)


_SECONDS = {Timeframe.M1: 60, Timeframe.M5: 300, Timeframe.H1: 3600}


@dataclass(frozen=True, slots=True)
class Instrument:
    """A tradable symbol and the grid of its prices and sizes.

    Attributes
    ----------
    symbol : str
        Venue name, as ``EURUSD``.
    asset : "fx" or "crypto"
        FX trades from Sunday to Friday 17:00 America/New_York; crypto always.
    base, quote : str
        Currencies: one unit of base costs `price` units of quote.
    tick, pip : Decimal
        Smallest price step, and the unit in which traders count price moves, in quote currency.
    lot : Decimal
        Base units in one lot.
    size_step : Decimal
        Smallest size step, in lots.
    spread : Decimal
        Typical ask - bid in price units, for sources that do not quote one.
    lead : str or None
        Symbol whose moves this one tends to follow; None for a lead itself.
    """

    symbol: str
    asset: AssetClass
    base: str
    quote: str
    tick: Decimal
    pip: Decimal
    lot: Decimal
    size_step: Decimal
    spread: Decimal
    lead: str | None = None

    def quantize(self, price: float | Decimal, rounding: Rounding = "nearest") -> Decimal:
        """Round a price to the tick grid.

        A float within a millionth of a tick of the grid counts as on it: ``1.1 + 0.2`` is 1.3, and
        rounding it up gives 1.3, not the next tick.

        Parameters
        ----------
        price : float or Decimal
            Positive and finite.
        rounding : "nearest" (half even), "up" or "down"

        Raises
        ------
        ValueError
            If `price` is not positive and finite, or is below one tick and rounds to 0.

        >>> instrument("EURUSD").quantize(1.234567)
        Decimal('1.23457')
        >>> instrument("EURUSD").quantize(1.234561, "up")
        Decimal('1.23457')
        """
        ticks = _steps(price, self.tick).to_integral_value(_ROUNDINGS[rounding])
        if not ticks.is_finite() or ticks <= 0:
            raise ValueError(f"{self.symbol}: a price is finite and at least one tick of {self.tick}, not {price}")
        return (ticks * self.tick).quantize(self.tick)

    def quantize_size(self, lots: float | Decimal) -> Decimal:
        """Round a size in lots towards zero, to the size grid.

        A float within a millionth of a step of the grid counts as on it.

        Raises
        ------
        ValueError
            If `lots` is negative or not finite.

        >>> instrument("EURUSD").quantize_size(0.0789)
        Decimal('0.07')
        """
        steps = _steps(lots, self.size_step).to_integral_value(ROUND_DOWN)
        if not steps.is_finite() or steps < 0:
            raise ValueError(f"{self.symbol}: a size is finite and not negative, not {lots}")
        return (steps * self.size_step).quantize(self.size_step)


_FLOAT_NOISE = Decimal("0.000001")


def _steps(value: float | Decimal, step: Decimal) -> Decimal:
    """Return a value in steps; removes the rounding noise of a float, a Decimal is exact."""
    if isinstance(value, Decimal):
        return value / step
    steps = Decimal(repr(float(value))) / step
    whole = steps.to_integral_value(ROUND_HALF_EVEN)
    return whole if steps.is_finite() and abs(steps - whole) <= _FLOAT_NOISE else steps


@dataclass(frozen=True, slots=True)
class Bar:
    """One closed bar of one symbol.

    Attributes
    ----------
    symbol : str
    open_time : datetime
        UTC. The bar is known at `close_time`, not before.
    open, high, low, close : float
        Bid prices.
    volume : float
        Base units (crypto) or ticks (FX); NaN where unknown.
    spread : float
        ask - bid at the close, in price units; NaN where unknown.
    trades : float
        Number of trades; NaN where unknown.
    taker_volume : float
        Base units bought by takers, at most `volume`; NaN where unknown.
    timeframe : Timeframe
    """

    symbol: str
    open_time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float = float("nan")
    spread: float = float("nan")
    trades: float = float("nan")
    taker_volume: float = float("nan")
    timeframe: Timeframe = Timeframe.M1

    @property
    def close_time(self) -> datetime:
        """Time from which the bar is known, UTC."""
        return self.open_time + self.timeframe.delta


def close_times(bars: pd.DataFrame, timeframe: Timeframe = Timeframe.M1) -> pd.Series:
    """Return the time from which each row of a bar frame is known (datetime64[us, UTC])."""
    return (bars["open_time"] + pd.Timedelta(timeframe.delta)).rename("close_time")


def bars_of(symbol: str, bars: pd.DataFrame) -> list[Bar]:
    """Convert an M1 bar frame to a list of bars of a symbol, in row order."""
    opened = pd.DatetimeIndex(bars["open_time"]).to_pydatetime()
    values = bars[list(BAR_COLUMNS[1:])].to_numpy().tolist()
    return [Bar(symbol, time, *row) for time, row in zip(opened, values, strict=True)]


def empty_bars() -> pd.DataFrame:
    """Return a bar frame without rows, with the right columns and types.

    >>> list(empty_bars()) == list(BAR_COLUMNS)
    True
    """
    frame = pd.DataFrame({name: pd.Series(dtype="float64") for name in BAR_COLUMNS})
    return frame.astype({"open_time": "datetime64[us, UTC]"})


FX_LEAD, CRYPTO_LEAD = "EURUSD", "BTCUSDT"
"""The most traded symbol of each asset class. It leads all others of the class by convention of this
project, not by measurement."""


def _fx(symbol: str, spread_pips: str) -> Instrument:
    pip = Decimal("0.01") if symbol.endswith("JPY") else Decimal("0.0001")
    return Instrument(
        symbol=symbol,
        asset="fx",
        base=symbol[:3],
        quote=symbol[3:],
        tick=pip / 10,
        pip=pip,
        lot=Decimal(100_000),
        size_step=Decimal("0.01"),
        spread=Decimal(spread_pips) * pip,
        lead=None if symbol == FX_LEAD else FX_LEAD,
    )


def _crypto(symbol: str, tick: str, size_step: str) -> Instrument:
    return Instrument(
        symbol=symbol,
        asset="crypto",
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        tick=Decimal(tick),
        pip=Decimal(tick),
        lot=Decimal(1),
        size_step=Decimal(size_step),
        spread=Decimal(tick),
        lead=None if symbol == CRYPTO_LEAD else CRYPTO_LEAD,
    )


INSTRUMENTS: dict[str, Instrument] = {
    entry.symbol: entry
    for entry in (
        _fx("EURUSD", "0.8"),
        _fx("GBPUSD", "1.0"),
        _fx("USDJPY", "0.8"),
        _fx("USDCHF", "1.2"),
        _fx("AUDUSD", "1.0"),
        _fx("USDCAD", "1.2"),
        _crypto("BTCUSDT", "0.01", "0.00001"),
        _crypto("ETHUSDT", "0.01", "0.0001"),
        _crypto("ADAUSDT", "0.0001", "0.1"),
        _crypto("FILUSDT", "0.001", "0.01"),
    )
}
"""The built-in instruments. FX spreads are assumptions of this project; crypto spreads are one tick,
as Binance spot quotes its liquid pairs."""


def instrument(symbol: str) -> Instrument:
    """Return the instrument of a symbol.

    Raises
    ------
    UnknownSymbol
        If there is no such instrument.
    """
    try:
        return INSTRUMENTS[symbol]
    except KeyError:
        expected = ", ".join(INSTRUMENTS)
        raise UnknownSymbol(f"unknown symbol {symbol!r}; known are {expected}") from None


def leads(symbols: Iterable[str]) -> dict[str, str]:
    """Return the lead of each symbol whose lead is also among the given symbols.

    >>> leads(("ETHUSDT", "BTCUSDT", "GBPUSD"))
    {'ETHUSDT': 'BTCUSDT'}
    """
    among = dict.fromkeys(symbols)
    candidates = ((symbol, INSTRUMENTS[symbol].lead) for symbol in among if symbol in INSTRUMENTS)
    return {symbol: lead for symbol, lead in candidates if lead in among}


def leads_first(symbols: Iterable[str]) -> tuple[str, ...]:
    """Order symbols so that each lead comes before its followers; keep the given order otherwise.

    >>> leads_first(("ETHUSDT", "EURUSD", "BTCUSDT"))
    ('EURUSD', 'BTCUSDT', 'ETHUSDT')
    """
    given = tuple(symbols)
    return tuple(sorted(given, key=leads(given).__contains__))

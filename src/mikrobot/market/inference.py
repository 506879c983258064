"""The instrument of a symbol that is in no table, from its name and its bars.

The name gives asset class, base and quote; the prices give the tick, the volumes the size step. The spread is the
median of the quoted ones. Without any, it is Roll's estimate for a coin, whose bars are of trades, and usual for the
asset class at a broker, whose bars are of bids. Everything else is usual for the asset class.

References
----------
Roll (1984), "A Simple Implicit Measure of the Effective Bid-Ask Spread in an Efficient Market", Journal of Finance
39(4).
"""

import math
from decimal import ROUND_CEILING, Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.errors import UnknownSymbol
from mikrobot.domain.instruments import entries, registry
from mikrobot.domain.instruments.entries import Entry
from mikrobot.domain.instruments.instrument import Instrument
from mikrobot.domain.instruments.shapes import Shape

Floats = NDArray[np.float64]

SAMPLE = 20_000
"""Bars that an instrument is inferred from, the newest ones."""

_FINEST = 10
_ON_GRID, _NOISE = 0.999, 1e-3
_DIGITS = 6
"""Digits of a price without a grid, as of averages."""

_OFF, _FEW = 0.01, 0.05
"""Distance from the grid in ticks, and share of prices at it, from which prices are finer than the tick."""

_ENOUGH = 20
"""Different prices from which a step other than a power of ten is believed."""


def provisional(symbol: str) -> Instrument:
    """Return the instrument of a symbol in no table before any bar is read: only what its name shows is right.

    Raises
    ------
    UnknownSymbol
        If its name shows no asset class.
    """
    return _entry(symbol, {"tick": Decimal("0.00000001")}, "", ()).instrument


def infer(symbol: str, bars: pd.DataFrame) -> Entry:
    """Infer the instrument of a symbol from bars.

    Parameters
    ----------
    symbol : str
    bars : DataFrame
        A bar frame; its last `SAMPLE` rows are used.

    Raises
    ------
    UnknownSymbol
        If the name shows no asset class.
    """
    sample = bars.iloc[-SAMPLE:]
    tick, of_tick = _tick(sample[["open", "high", "low", "close"]].to_numpy("float64").ravel())
    spread, of_spread = _spread(symbol, sample, tick)
    inferred: dict[str, Any] = {"tick": tick, "spread": spread}
    reasons = [f"tick: {of_tick}", f"spread: {of_spread}"]
    step = _size_step(sample["volume"].to_numpy("float64"))
    if _shape(symbol).asset == "crypto" and step is not None:
        inferred |= {"size_step": step, "min_size": step}
        reasons.append("size step: grid of the volumes")
    source = f"inferred from the name and {len(sample):,} bars; {'; '.join(reasons)}"
    return _entry(symbol, inferred, source, tuple(inferred))


def off_grid(traded: Instrument, bars: pd.DataFrame) -> str:
    """Return a line for the user if prices are finer than the tick of their instrument, else an empty text."""
    closes = bars["close"].to_numpy("float64")[-SAMPLE:]
    ticks = closes / float(traded.tick)
    share = float(np.mean(np.abs(ticks - np.rint(ticks)) > _OFF)) if len(closes) else 0.0
    if share < _FEW:
        return ""
    return (
        f"{share:.0%} of the prices of {traded.symbol} are finer than its tick {traded.tick:f} and are rounded to it "
        "in trading; if the tick is wrong, give it in instruments.toml (`mikrobot instruments infer FILE` prints it)"
    )


def describe(entry: Entry) -> str:
    """Return a line for the user about an inferred instrument."""
    traded = entry.instrument
    return (
        f"{traded.symbol} is in no table of instruments: {traded.asset} {traded.base}/{traded.quote} with tick "
        f"{traded.tick:f}, spread {traded.spread:f}, lot {traded.lot:f}, size step {traded.size_step:f} and leverage "
        f"{traded.leverage:f} is {entry.source}; to correct it, put an entry into instruments.toml "
        "(`mikrobot instruments infer FILE` prints one)"
    )


def _shape(symbol: str) -> Shape:
    if registry.is_listed(symbol):
        traded = registry.instrument(symbol)
        return Shape(traded.asset, traded.base, traded.quote)
    shape = registry.guess(symbol)
    if shape is None:
        registry.entry(symbol)
        raise UnknownSymbol(f"{symbol}: its name shows no asset class; add it to instruments.toml")
    return shape


def _entry(symbol: str, inferred: dict[str, Any], source: str, certain: tuple[str, ...]) -> Entry:
    shape = _shape(symbol)
    before = registry.entry(symbol).to_json() if registry.is_listed(symbol) else {}
    usual = registry.by_class(shape.asset, inferred["tick"], shape.base) | {
        "size_step": _usual_step(shape, inferred["tick"])
    }
    usual["min_size"] = usual["size_step"]
    kept = {name: value for name, value in before.items() if name not in ("tick", "pip", "spread", "assumed")}
    values = usual | {"base": shape.base, "quote": shape.quote} | kept | inferred
    values["assumed"] = [name for name in registry.ASSUMABLE if name not in certain and name not in kept]
    return entries.of(symbol, values | {"source": source}, "its bars", origin="inferred")


def _usual_step(shape: Shape, tick: Decimal) -> Decimal:
    """Return a size step: a hundredth of a lot at a broker; of a coin, finer the more it costs."""
    if shape.asset != "crypto":
        return Decimal(str(registry.class_defaults(shape.asset)["size_step"]))
    return Decimal(1) if tick < Decimal("0.0001") else Decimal("0.1") if tick < Decimal("0.01") else Decimal("0.0001")


def _tick(prices: Floats) -> tuple[Decimal, str]:
    """Return the largest step of which almost all prices are multiples."""
    prices = prices[np.isfinite(prices) & (prices > 0)]
    distinct = np.unique(prices)
    for decimals in range(_FINEST + 1):
        scaled = distinct * 10.0**decimals
        steps = np.rint(scaled)
        near = np.abs(scaled - steps) <= np.maximum(_NOISE, scaled * 1e-12)
        if steps[0] >= 1 and np.mean(near) >= _ON_GRID:
            unit = Decimal(1).scaleb(-decimals)
            common = int(np.gcd.reduce(steps[near].astype(np.int64))) if len(distinct) >= _ENOUGH else 1
            return Decimal(f"{common * unit:f}"), "grid of the prices"
    digits = _DIGITS - 1 - math.floor(math.log10(float(np.median(prices))))
    return Decimal(f"{Decimal(1).scaleb(-max(digits, 0)):f}"), f"the prices are on no grid, {_DIGITS} digits"


def _spread(symbol: str, bars: pd.DataFrame, tick: Decimal) -> tuple[Decimal, str]:
    """Return the spread and what shows it: bid bars of a broker do not, the trades of an exchange do."""
    quoted = bars["spread"].to_numpy("float64")
    quoted = quoted[np.isfinite(quoted) & (quoted > 0)]
    if len(quoted):
        return _up(float(np.median(quoted)), tick), "median of the quoted ones"
    asset = _shape(symbol).asset
    if registry.is_listed(symbol):
        return _up(float(registry.instrument(symbol).spread), tick), "no bar quotes one, so that of its entry"
    if asset != "crypto":
        ticks = registry.usual_spread(asset)
        return ticks * tick, f"no bar quotes one, so {ticks} ticks as is usual for {asset}"
    estimate = roll(bars["close"].to_numpy("float64"))
    if estimate is None:
        return tick, "one tick, as Roll (1984) finds none"
    return _up(estimate, tick), "Roll (1984), of the closes"


def roll(closes: Floats) -> float | None:
    """Return Roll's estimate of the spread in price units; None if successive changes are not negatively correlated.

    >>> roll(np.array([1.0, 1.1] * 500))  # a trade at the bid follows each at the ask
    0.2
    """
    changes = np.diff(closes)
    if len(changes) < 3:
        return None
    covariance = float(np.mean(changes[1:] * changes[:-1]) - np.mean(changes[1:]) * np.mean(changes[:-1]))
    return round(2.0 * math.sqrt(-covariance), 10) if covariance < 0 else None


def _up(amount: float, tick: Decimal) -> Decimal:
    steps = (Decimal(repr(round(amount, 12))) / tick - Decimal("0.001")).to_integral_value(ROUND_CEILING)
    return Decimal(f"{max(steps, Decimal(1)) * tick:f}")


def _size_step(volumes: NDArray[np.float64]) -> Decimal | None:
    """Return the power of ten of which almost all volumes are multiples; None if they are unknown or on no grid."""
    traded = np.unique(volumes[np.isfinite(volumes) & (volumes > 0)])
    if len(traded) < _ENOUGH:
        return None
    for decimals in range(9):
        scaled = traded * 10.0**decimals
        if np.mean(np.abs(scaled - np.rint(scaled)) <= np.maximum(_NOISE, scaled * 1e-12)) >= _ON_GRID:
            return Decimal(f"{Decimal(1).scaleb(-decimals):f}")
    return None

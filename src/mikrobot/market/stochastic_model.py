"""The stochastic model of the simulated market: volatility, prices, spread and volume by minute.

The model resembles a market, but only its volatility can be forecast:

- log volatility is the sum of a season (Tokyo, London and New York hours, each in its own local
  time, with bursts at the 08:30, 10:00 and 14:00 New York releases), three autoregressions of
  different memory (stochastic volatility: Taylor, Modelling Financial Time Series, 1986) and a
  Markov regime: calm, normal or stressed;
- a minute's return is Student t with rare jumps, simulated in a few steps, so that highs and lows
  are those of a path; every price is on the tick grid;
- more quotes arrive in volatile minutes and fewer around the roll, where minutes can be empty;
- drift follows its own hidden Markov regime, `_DRIFT_SHARE` of a minute's volatility, and mean
  reversion to the first price with a half-life of 180 days keeps prices plausible over years. Both
  are far below costs. Signs are otherwise independent in time and between symbols. Any profit
  beyond a forecast of volatility is luck or an error.

The parameters were set by comparison with EURUSD 2018-2020 (HistData) and BTCUSDT 2024-2025
(Binance). The module has no clock and no cache; `mikrobot.market.simulated` has both.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mikrobot.domain.instruments.instrument import Instrument, Market
from mikrobot.domain.instruments.sessions import NEW_YORK
from mikrobot.market.sessions import (
    DAY_MINUTES,
    LONDON,
    ROLL_MINUTE,
    TOKYO,
    offset_minutes,
    open_minutes,
)

Floats = NDArray[np.float64]
Ticks = NDArray[np.int32]


class Character(NamedTuple):
    """Parameters of one symbol.

    Attributes
    ----------
    price : float
        Price at the start of the simulation.
    sigma : float
        Volatility of the log return of a typical minute.
    activity : float
        Quotes (FX) or trades (crypto) in a typical minute.
    size : float
        Volume per quote or trade: 1 for FX, whose volume counts ticks; base units for crypto.
    """

    price: float
    sigma: float
    activity: float
    size: float


CHARACTERS: dict[str, Character] = {
    "EURUSD": Character(1.0350, 1.0e-4, 150.0, 1.0),
    "GBPUSD": Character(1.2520, 1.15e-4, 150.0, 1.0),
    "USDJPY": Character(157.20, 1.05e-4, 150.0, 1.0),
    "USDCHF": Character(0.9070, 1.0e-4, 100.0, 1.0),
    "AUDUSD": Character(0.6190, 1.2e-4, 90.0, 1.0),
    "USDCAD": Character(1.4380, 0.95e-4, 100.0, 1.0),
    "BTCUSDT": Character(94_000.0, 6.6e-4, 1500.0, 0.012),
    "ETHUSDT": Character(3_350.0, 8.5e-4, 1300.0, 0.20),
    "ADAUSDT": Character(0.8500, 9.5e-4, 250.0, 450.0),
    "FILUSDT": Character(4.900, 9.0e-4, 120.0, 60.0),
}
"""Prices of January 2025; volatility, activity and size have the order of magnitude of public data."""


@dataclass(frozen=True, slots=True)
class Day:
    """The bars of one UTC day of one symbol.

    Attributes
    ----------
    minutes : ndarray of int16, shape (n,)
        Open times as minutes of the day, increasing. An FX minute without a quote is absent.
    ticks : ndarray of int32, shape (n, 5)
        Open, high, low, close and spread, in ticks of the instrument.
    volume : ndarray of float64, shape (n,)
        Quotes (FX) or base units (crypto).
    trades, taker_volume : ndarray of float64, shape (n,)
        Number of trades, and base units bought by takers; NaN for FX, where they are unknown.
    """

    minutes: NDArray[np.int16]
    ticks: Ticks
    volume: Floats
    trades: Floats
    taker_volume: Floats


def opening_state(symbol: str) -> Floats:
    """Return the state before the first day, shape (7,): see `_STATE`."""
    state = np.zeros(_STATE)
    state[_PRICE] = state[_HOME] = math.log(CHARACTERS[symbol].price)
    state[_REGIME] = state[_DRIFT] = 1.0
    return state


def simulate_day(instrument: Instrument, seed: int, day: datetime, state: Floats) -> tuple[Day, Floats]:
    """Simulate one day of one symbol.

    Parameters
    ----------
    instrument : Instrument
        One of `CHARACTERS`.
    seed : int
    day : datetime
        Midnight UTC.
    state : ndarray, shape (7,)
        State at the end of the previous day; not changed.

    Returns
    -------
    (Day, ndarray)
        The bars, and the state at the end of the day. Both depend on the arguments only.
    """
    character = CHARACTERS[instrument.symbol]
    manner = _FX if instrument.closes else _CRYPTO
    minutes = open_minutes(instrument.session, day)
    seeds = [seed, crc32(instrument.symbol.encode()), day.toordinal()]
    rng = np.random.default_rng(seeds)
    grid = _Grid(float(1 / instrument.tick), float(instrument.spread / instrument.tick))
    shape = _Shape(season(instrument.market, day), spread_shape(instrument.market, day), _gap(instrument.market, day))
    state, ticks, volume = state.copy(), np.zeros((DAY_MINUTES, 5), np.int32), np.full(DAY_MINUTES, np.nan)
    _walk(minutes, shape, _noise(rng, manner), character, manner, grid, state, ticks, volume)
    kept = minutes[~np.isnan(volume[minutes])]
    if instrument.closes:
        trades = taker_volume = np.full(len(kept), np.nan)
    else:
        trades = np.rint(volume[kept] / character.size)
        taker_volume = volume[kept] * _taker_share(np.random.default_rng([*seeds, _TAKERS]), ticks[kept])
    return Day(kept.astype(np.int16), ticks[kept], volume[kept], trades, taker_volume), state


def _taker_share(rng: np.random.Generator, ticks: Ticks) -> Floats:
    """Draw the taker share: about a half, more in a rising minute, independent of the next minute."""
    opened, high, low, close = ticks.T[:4]
    lean = (close - opened) / np.maximum(high - low, 1)
    share: Floats = np.clip(0.5 + _TAKER_LEAN * lean + _TAKER_NOISE * rng.standard_normal(len(ticks)), 0.0, 1.0)
    return share


def season(market: Market, day: datetime) -> Floats:
    """Return the volatility of each minute of a UTC day relative to a typical minute, shape (1440,).

    FX follows the hours of the three centres closely, crypto loosely; crypto is calmer at the weekend.
    """
    tokyo, london, new_york = (
        np.roll(curve, -offset_minutes(zone, day))
        for curve, zone in ((_TOKYO_DAY, TOKYO), (_LONDON_DAY, LONDON), (_NEW_YORK_DAY, NEW_YORK))
    )
    if market == "fx":
        fx: Floats = np.sqrt(0.2 + tokyo + london + new_york)
        return fx
    slack = 0.72 if day.weekday() >= 5 else 1.0
    crypto: Floats = slack * np.sqrt(0.45 + 0.25 * tokyo + 0.06 * london + 0.75 * new_york)
    return crypto


def spread_shape(market: Market, day: datetime) -> Floats:
    """Return the spread of each minute of a UTC day relative to the typical spread, shape (1440,).

    FX spreads are wide around the 17:00 New York roll, and therefore at the start of the week.
    """
    if market == "crypto":
        return np.ones(DAY_MINUTES)
    since = (np.arange(DAY_MINUTES) + offset_minutes(NEW_YORK, day) - ROLL_MINUTE) % DAY_MINUTES
    until = DAY_MINUTES - since
    fx: Floats = 1.0 + 5.0 * np.exp(-since / 8) + 0.6 * np.exp(-since / 90) + 2.0 * np.exp(-until / 4)
    return fx


class _Manner(NamedTuple):
    """Parameters of an asset class.

    `steps`: maximum number of steps in a minute's path. `tail`: degrees of freedom. `slow`, `medium`,
    `fast`: standard deviations of the log volatility components. `bustle`: standard deviation of the
    log number of quotes. `still`: share of minutes that open at the last price.
    """

    steps: int
    tail: float
    slow: float
    medium: float
    fast: float
    bustle: float
    still: float


_FX = _Manner(steps=20, tail=8.0, slow=0.16, medium=0.30, fast=0.38, bustle=0.40, still=0.20)
_CRYPTO = _Manner(steps=10, tail=9.0, slow=0.20, medium=0.33, fast=0.44, bustle=0.60, still=0.50)

_PRICE, _SLOW, _MEDIUM, _FAST, _REGIME, _DRIFT, _HOME = range(7)
_STATE = 7
"""Log price; slow, medium and fast log volatility; regimes of volatility and of drift; first log price."""

_SLOW_MEMORY, _MEDIUM_MEMORY, _FAST_MEMORY = (0.5 ** (1 / half_life) for half_life in (5 * 1440, 240, 12))
_REGIMES = np.array([0.75, 1.0, 1.5])
_REGIME_LEAVING = 1 / np.array([2880.0, 1440.0, 360.0])
_DRIFT_SHARE = 0.004
_DRIFT_LEAVING = 1 / 480
_PULL = math.log(2) / (180 * 1440)
_JUMP_SHARE = 0.0004
_JUMP_SIZE = 6.0
_TAKERS = 1  # a separate random stream, so that prices do not depend on it
_TAKER_LEAN, _TAKER_NOISE = 0.25, 0.2  # FILUSDT 2023: 0.23 in falling minutes, 0.76 in rising ones
_GAP_MINUTES = 80.0  # EURUSD 2018-2020: a weekend gap has the variance of 70 typical minutes


class _Noise(NamedTuple):
    """The random numbers of a day, one row per minute."""

    normals: Floats
    steps: Floats
    tails: Floats
    uniforms: Floats


class _Shape(NamedTuple):
    """Effects of the time: volatility, spread, and the length of the gap before the day in minutes."""

    season: Floats
    spread: Floats
    gap: float


class _Grid(NamedTuple):
    """Number of ticks in one unit of price, and in the typical spread."""

    ticks: float
    spread: float


def _noise(rng: np.random.Generator, manner: _Manner) -> _Noise:
    return _Noise(
        rng.standard_normal((DAY_MINUTES, 7)),
        rng.standard_normal((DAY_MINUTES, manner.steps)),
        np.sqrt((manner.tail - 2) / rng.chisquare(manner.tail, DAY_MINUTES)),
        rng.random((DAY_MINUTES, 4)),
    )


def _gap(market: Market, day: datetime) -> float:
    return _GAP_MINUTES if market == "fx" and day.weekday() == 6 else 0.0


def _curve(*knots: tuple[float, float]) -> Floats:
    """Return a curve over the minutes of a local day from (hour, value) knots."""
    hours, values = zip(*knots, strict=True)
    curve: Floats = np.interp(np.arange(DAY_MINUTES) / 60, hours, values)
    return curve


def _burst(minute: int, height: float, decay: float) -> Floats:
    """Return activity that starts at one minute of a local day and decays."""
    since = np.arange(DAY_MINUTES) - minute
    burst: Floats = np.where(since >= 0, height * np.exp(-np.maximum(since, 0) / decay), 0.0)
    return burst


_TOKYO_DAY = _curve((7, 0), (9, 0.22), (10, 0.38), (12, 0.20), (14, 0.12), (17, 0))
_LONDON_DAY = _curve((6, 0.05), (7, 0.55), (8, 1.25), (9, 1.2), (11, 0.8), (16, 0.75), (17, 0.3), (19, 0))
_NEW_YORK_DAY = (
    _curve((7, 0), (8, 0.55), (9.4, 0.9), (10, 1.5), (11, 0.9), (13, 0.5), (15, 0.5), (17, 0.1), (19, 0.1), (20, 0))
    + _burst(8 * 60 + 30, 6.0, 6.0)
    + _burst(10 * 60, 1.5, 8.0)
    + _burst(14 * 60, 1.2, 12.0)
)


@njit(cache=True)
def _walk(
    minutes: NDArray[np.int64],
    shape: _Shape,
    noise: _Noise,
    character: Character,
    manner: _Manner,
    grid: _Grid,
    state: Floats,
    ticks: Ticks,
    volume: Floats,
) -> None:
    """Write a day's ticks and volumes, and update the state; volume stays NaN in minutes without quotes."""
    gap = shape.gap
    for m in minutes:
        z, u = noise.normals[m], noise.uniforms[m]
        if gap > 0:
            state[_PRICE] += math.sqrt(gap) * character.sigma * math.exp(state[_SLOW]) * z[6]
            gap = 0.0
        relative = shape.season[m] * _volatility(state, manner, z, u)
        thin = shape.spread[m] ** 2
        bustle = (relative * noise.tails[m]) ** 1.3 * math.exp(manner.bustle * z[3])
        count = math.floor(character.activity * bustle / thin + 0.5)
        wide = shape.spread[m] * (0.75 + 0.25 * relative) * math.exp(0.12 * z[4])
        ticks[m, 4] = max(1.0, math.floor(grid.spread * wide + 0.5))
        jump = _JUMP_SIZE * z[5] if u[2] < _JUMP_SHARE else 0.0
        if count > 0:
            steps = noise.steps[m, : int(min(count, manner.steps))]
            sigma = character.sigma * relative
            _path(state, steps, sigma, noise.tails[m], jump, u[3] < manner.still, grid.ticks, ticks[m])
            volume[m] = count * character.size


@njit(cache=True)
def _volatility(state: Floats, manner: _Manner, z: Floats, u: Floats) -> float:
    """Update volatilities and regimes by one minute; return the volatility relative to a typical minute."""
    state[_SLOW] = _SLOW_MEMORY * state[_SLOW] + math.sqrt(1 - _SLOW_MEMORY**2) * manner.slow * z[0]
    state[_MEDIUM] = _MEDIUM_MEMORY * state[_MEDIUM] + math.sqrt(1 - _MEDIUM_MEMORY**2) * manner.medium * z[1]
    state[_FAST] = _FAST_MEMORY * state[_FAST] + math.sqrt(1 - _FAST_MEMORY**2) * manner.fast * z[2]
    regime = int(state[_REGIME])
    if u[0] < _REGIME_LEAVING[regime]:
        state[_REGIME] = (regime + (1 if u[1] < 0.5 else 2)) % 3
    if 1 - u[0] < _DRIFT_LEAVING:
        state[_DRIFT] = math.floor(3 * u[1])
    exponent: float = state[_SLOW] + state[_MEDIUM] + state[_FAST]
    return float(_REGIMES[regime]) * math.exp(exponent)


@njit(cache=True)
def _path(
    state: Floats, steps: Floats, sigma: float, tail: float, jump: float, still: bool, scale: float, ticks: Ticks
) -> None:
    """Simulate the log price over a minute and write its open, high, low and close in ticks."""
    n = len(steps)
    price = state[_PRICE]
    trend = (state[_DRIFT] - 1) * _DRIFT_SHARE * sigma
    drift = (trend - sigma * sigma / 2 + _PULL * (state[_HOME] - price)) / n
    first = high = low = price if still else price + drift + sigma * tail / math.sqrt(n) * steps[0]
    for i in range(n):
        price += drift + sigma * tail / math.sqrt(n) * steps[i]
        if i == n // 2:
            price += jump * sigma
        high, low = max(high, price), min(low, price)
    state[_PRICE] = price
    ticks[0] = math.floor(math.exp(first) * scale + 0.5)
    ticks[1] = math.floor(math.exp(high) * scale + 0.5)
    ticks[2] = math.floor(math.exp(low) * scale + 0.5)
    ticks[3] = math.floor(math.exp(price) * scale + 0.5)

"""Averages, bands, returns and volatility as one-bar steps, equal to TA-Lib where TA-Lib has them.

Every value is known at the close of its bar. Oscillators are in `mikrobot.features.library.oscillators`.
"""

from math import log, nan, sqrt

from mikrobot.features.kernel.feature import ATRS, LOG_RETURN, PRICE, RATIO, Output, Quantity, fading, feature
from mikrobot.features.kernel.parts import (
    AVERAGE,
    F8,
    I8,
    ROUNDING,
    SUM,
    State,
    add,
    average,
    averaged,
    deviation,
    exponential,
    full,
    read,
    ring,
    roll,
    rolling,
    swap,
    wilder,
)
from mikrobot.features.kernel.scale import per_unit


@feature("sma_{length}", PRICE, state=lambda length: {"closes": rolling(length)}, warmup=lambda length: length - 1)
def sma(state: State, close: float, length: int) -> float:
    """Mean of the last `length` closes.

    Parameters
    ----------
    close : price
    length : int, bars

    Returns
    -------
    price
        Known from bar ``length - 1``. The running sum is compensated, so it does not drift.

    References
    ----------
    J. J. Murphy, Technical Analysis of the Financial Markets (1999), chapter 9.
    """
    return roll(state.closes, close)


@feature(
    "ema_{length}",
    PRICE,
    state=lambda length: {"average": AVERAGE},
    warmup=lambda length: length - 1,
    tail=lambda length: fading(2 / (length + 1)),
)
def ema(state: State, close: float, length: int) -> float:
    """Exponential average of the close over `length` bars, seeded with their mean.

    Parameters
    ----------
    close : price
    length : int, bars

    Returns
    -------
    price
        Known from bar ``length - 1``. The weight of the seed decays as ``(1 - 2/(length + 1))**bars``.

    References
    ----------
    J. J. Murphy, Technical Analysis of the Financial Markets (1999), chapter 9.
    """
    return exponential(state.average, close, length)


@feature(
    "atr_{length}",
    Quantity("price difference", low=0),
    state=lambda length: {"previous": F8, "bars": I8, "true_range": AVERAGE},
    warmup=lambda length: length,
    tail=lambda length: fading(1 / length),
)
def atr(state: State, high: float, low: float, close: float, length: int) -> float:
    """Average true range (Wilder) over `length` bars.

    Parameters
    ----------
    high, low, close : price
    length : int, bars

    Returns
    -------
    price difference
        Known from bar ``length``, because the first bar has no true range.

    References
    ----------
    J. W. Wilder, New Concepts in Technical Trading Systems (1978).
    """
    previous = state.previous
    state.previous = close
    state.bars += 1
    if state.bars == 1:
        return nan
    return wilder(state.true_range, max(high - low, abs(high - previous), abs(low - previous)), length)


@feature(
    "bollinger_{length}",
    {
        "upper": Output(Quantity("price"), "Mean of `length` closes plus `width` standard deviations"),
        "middle": Output(PRICE, "Mean of `length` closes"),
        "lower": Output(Quantity("price"), "Mean of `length` closes minus `width` standard deviations"),
        "percent_b": Output(
            RATIO, "Position of the close from the lower band (0) to the upper (1); 0.5 on a flat market"
        ),
        "width": Output(Quantity("ratio", low=0), "Distance between the bands divided by the middle"),
    },
    state=lambda length, width: {"closes": averaged(length)},
    warmup=lambda length, width: length - 1,
)
def bollinger(state: State, close: float, length: int, width: float) -> tuple[float, float, float, float, float]:
    """Bollinger bands: the mean and `width` population standard deviations about it.

    Parameters
    ----------
    close : price
    length : int, bars
    width : float, standard deviations

    Returns
    -------
    upper, middle, lower : price
    percent_b, width : ratio
        All known from bar ``length - 1``.

    References
    ----------
    J. Bollinger, Bollinger on Bollinger Bands (2001).
    """
    middle = average(state.closes, close)
    if not full(state.closes.window):
        return nan, nan, nan, nan, nan
    reach = width * deviation(state.closes.window, middle)
    upper, lower = middle + reach, middle - reach
    share = (close - lower) / (upper - lower) if reach > ROUNDING * middle else 0.5
    return upper, middle, lower, share, (upper - lower) / middle


@feature("return_{length}", LOG_RETURN, state=lambda length: {"closes": ring(length)}, warmup=lambda length: length)
def log_return(state: State, close: float, length: int) -> float:
    """Log return of the close over `length` bars.

    Parameters
    ----------
    close : price
    length : int, bars
        Bars, not minutes; missing minutes are skipped.

    Returns
    -------
    log return
        Known from bar ``length``.
    """
    before = swap(state.closes, close)
    return log(close / before) if state.closes.count > length else nan


@feature(
    "volatility_{length}",
    Quantity("log return", low=0),
    state=lambda length: {"changes": ring(length), "total": SUM, "squares": SUM},
    warmup=lambda length: length - 1,
    inputs={"change": "return_1"},
)
def volatility(state: State, change: float, length: int) -> float:
    """Population standard deviation of the last `length` one-bar log returns.

    Parameters
    ----------
    change : log return
        Of one bar.
    length : int, bars

    Returns
    -------
    log return, per bar
        Known from the `length`-th return. Computed from compensated sums of the returns and of
        their squares, which is exact if the mean return is small relative to the deviation, as
        it is for bars.
    """
    displaced = swap(state.changes, change)
    add(state.total, change)
    add(state.total, -displaced)
    add(state.squares, change * change)
    add(state.squares, -displaced * displaced)
    if state.changes.count < length:
        return nan
    centre = read(state.total) * (1.0 / length)
    return sqrt(max(read(state.squares) * (1.0 / length) - centre * centre, 0.0))


@feature(
    "spread_atr",
    {
        "": Output(
            ATRS, "Spread at the close divided by the ATR of 14 bars", "the source has no spread, or the ATR is zero"
        )
    },
    warmup=lambda: 0,
    inputs={"atr": "atr_14"},
)
def spread_atr(close: float, spread: float, atr: float) -> float:
    """Spread divided by the average true range.

    Parameters
    ----------
    close : price
    spread : price difference
        ask - bid at the close; negative if the quotes cross.
    atr : price difference

    Returns
    -------
    ATR
        NaN where the spread is unknown or the ATR is zero.
    """
    return spread * per_unit(atr, close)

"""Classic indicators as one-bar steps, equal to TA-Lib over the whole series where it has them.

Every value is known at the close of its bar. A flat market gives RSI and Stochastic 0, as
TA-Lib does.
"""

from math import log, nan, sqrt

from mikrobot.features.feature import (
    ATRS,
    DIFFERENCE,
    LOG_RETURN,
    PERCENT,
    PRICE,
    RATIO,
    Output,
    Quantity,
    fading,
    feature,
)
from mikrobot.features.parts import (
    AVERAGE,
    F8,
    I8,
    SUM,
    State,
    add,
    deviation,
    exponential,
    full,
    highest,
    lowest,
    mean,
    push,
    read,
    roll,
    rolling,
    wilder,
    window,
)

ROUNDING = 1e-14
"""Deviations below this share of the price are rounding, not movement."""


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
        Known from bar ``length - 1``. The seed's share fades as ``(1 - 2/(length + 1))**bars``.
    """
    return exponential(state.average, close, length)


@feature(
    "rsi_{length}",
    PERCENT,
    state=lambda length: {"previous": F8, "bars": I8, "gain": AVERAGE, "loss": AVERAGE},
    warmup=lambda length: length,
    tail=lambda length: fading(1 / length),
)
def rsi(state: State, close: float, length: int) -> float:
    """Relative strength index (Wilder) over `length` bars.

    Parameters
    ----------
    close : price
    length : int, bars

    Returns
    -------
    percent, 0 to 100
        Known from bar ``length``; 0 on a flat market.

    References
    ----------
    J. W. Wilder, New Concepts in Technical Trading Systems (1978).
    """
    change = close - state.previous
    state.previous = close
    state.bars += 1
    if state.bars == 1:
        return nan
    gain = wilder(state.gain, max(change, 0.0), length)
    loss = wilder(state.loss, max(-change, 0.0), length)
    return 0.0 if gain + loss == 0.0 else 100.0 * (gain / (gain + loss))


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
        Known from bar ``length``: the first bar has no true range.

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
        "lower": Output(Quantity("price"), "Mean of `length` closes less `width` standard deviations"),
        "percent_b": Output(RATIO, "Close from the lower band (0) to the upper (1); 0.5 on a flat market"),
        "width": Output(Quantity("ratio", low=0), "Distance between the bands over the middle"),
    },
    state=lambda length, width: {"closes": rolling(length)},
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
    """
    middle = roll(state.closes, close)
    if not full(state.closes.window):
        return nan, nan, nan, nan, nan
    reach = width * deviation(state.closes.window, middle)
    upper, lower = middle + reach, middle - reach
    share = (close - lower) / (upper - lower) if reach > ROUNDING * middle else 0.5
    return upper, middle, lower, share, (upper - lower) / middle


@feature(
    "macd_{fast}_{slow}_{signal}",
    {
        "line": Output(DIFFERENCE, "Exponential average over `fast` bars less that over `slow`"),
        "signal": Output(DIFFERENCE, "Exponential average of the MACD line over `signal` bars"),
        "histogram": Output(DIFFERENCE, "MACD line less its signal"),
    },
    state=lambda fast, slow, signal: {"bars": I8, "quick": AVERAGE, "slow": AVERAGE, "signal": AVERAGE},
    warmup=lambda fast, slow, signal: slow + signal - 2,
    tail=lambda fast, slow, signal: fading(2 / (slow + 1), 2 / (signal + 1)),
)
def macd(state: State, close: float, fast: int, slow: int, signal: int) -> tuple[float, float, float]:
    """Moving average convergence/divergence.

    Parameters
    ----------
    close : price
    fast, slow, signal : int, bars

    Returns
    -------
    line, signal, histogram : price difference
        Known from bar ``slow + signal - 2``. As in TA-Lib the fast average starts late, so
        that both averages are first known on the same bar.
    """
    state.bars += 1
    base = exponential(state.slow, close, slow)
    if state.bars <= slow - fast:
        return nan, nan, nan
    line = exponential(state.quick, close, fast) - base
    if state.bars < slow:
        return nan, nan, nan
    smooth = exponential(state.signal, line, signal)
    return (line, smooth, line - smooth) if smooth == smooth else (nan, nan, nan)


@feature(
    "stochastic_{length}",
    {
        "k": Output(PERCENT, "Close within the range of `length` bars, averaged over `smooth`"),
        "d": Output(PERCENT, "Mean of the last `signal` values of %K"),
    },
    state=lambda length, smooth, signal: {
        "highs": window(length),
        "lows": window(length),
        "raw": window(smooth),
        "slow": window(signal),
    },
    warmup=lambda length, smooth, signal: length + smooth + signal - 3,
)
def stochastic(
    state: State, high: float, low: float, close: float, length: int, smooth: int, signal: int
) -> tuple[float, float]:
    """Slow stochastic oscillator.

    Parameters
    ----------
    high, low, close : price
    length, smooth, signal : int, bars

    Returns
    -------
    k, d : percent, 0 to 100
        Known from bar ``length + smooth + signal - 3``; 0 on a flat market.
    """
    push(state.highs, high)
    push(state.lows, low)
    if not full(state.highs):
        return nan, nan
    bottom = lowest(state.lows)
    reach = highest(state.highs) - bottom
    push(state.raw, 100.0 * ((close - bottom) / reach) if reach > 0.0 else 0.0)
    if not full(state.raw):
        return nan, nan
    k = mean(state.raw)
    push(state.slow, k)
    return (k, mean(state.slow)) if full(state.slow) else (nan, nan)


@feature("return_{length}", LOG_RETURN, state=lambda length: {"closes": window(length)}, warmup=lambda length: length)
def log_return(state: State, close: float, length: int) -> float:
    """Log return of the close since `length` bars ago.

    Parameters
    ----------
    close : price
    length : int, bars
        Bars, not minutes: a gap in the bars is stepped over.

    Returns
    -------
    log return
        Known from bar ``length``.
    """
    known = full(state.closes)
    before = push(state.closes, close)
    return log(close / before) if known else nan


@feature(
    "volatility_{length}",
    Quantity("log return", low=0),
    state=lambda length: {"changes": window(length), "total": SUM, "squares": SUM},
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
        Known with the `length`-th return. From compensated sums of the returns and of their
        squares: exact while the mean return is small beside the deviation, as on bars.
    """
    displaced = push(state.changes, change)
    add(state.total, change)
    add(state.total, -displaced)
    add(state.squares, change * change)
    add(state.squares, -displaced * displaced)
    if not full(state.changes):
        return nan
    centre = read(state.total) / length
    return sqrt(max(read(state.squares) / length - centre * centre, 0.0))


@feature(
    "spread_atr",
    {
        "": Output(
            ATRS, "Spread at the close over the ATR of 14 bars", "the source quotes no spread, or the ATR is zero"
        )
    },
    warmup=lambda: 0,
    inputs={"atr": "atr_14"},
)
def spread_atr(spread: float, atr: float) -> float:
    """Spread over the average true range.

    Parameters
    ----------
    spread : price difference
        ask - bid at the close; below zero where the quotes cross.
    atr : price difference

    Returns
    -------
    ATR
        NaN where the spread is unknown or the ATR is zero.
    """
    return spread / atr if atr > 0.0 else nan

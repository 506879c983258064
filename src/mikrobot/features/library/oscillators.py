"""Oscillators as one-bar steps, equal to TA-Lib over the whole series.

Every value is known at the close of its bar. On a flat market RSI and Stochastic are 0, as in
TA-Lib.
"""

from math import nan

from mikrobot.features.kernel.feature import DIFFERENCE, PERCENT, RATIO, Output, fading, feature
from mikrobot.features.kernel.parts import (
    AVERAGE,
    F8,
    I8,
    ROUNDING,
    State,
    average,
    averaged,
    distance,
    exponential,
    full,
    highest,
    lowest,
    mean,
    push,
    wilder,
    window,
)


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
    "macd_{fast}_{slow}_{signal}",
    {
        "line": Output(DIFFERENCE, "Exponential average over `fast` bars minus that over `slow` bars"),
        "signal": Output(DIFFERENCE, "Exponential average of the MACD line over `signal` bars"),
        "histogram": Output(DIFFERENCE, "MACD line minus its signal"),
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
        Known from bar ``slow + signal - 2``. As in TA-Lib, the fast average starts late, so
        that both averages are first known on the same bar.

    References
    ----------
    G. Appel, Technical Analysis: Power Tools for Active Investors (2005).
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
        "k": Output(PERCENT, "Position of the close in the range of `length` bars, averaged over `smooth` bars"),
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

    References
    ----------
    J. J. Murphy, Technical Analysis of the Financial Markets (1999), chapter 10.
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


@feature(
    "cci_{length}",
    RATIO,
    state=lambda length: {"typical": averaged(length)},
    warmup=lambda length: length - 1,
)
def cci(state: State, high: float, low: float, close: float, length: int) -> float:
    """Commodity channel index: typical price minus its mean of `length` bars, in 0.015 mean deviations.

    Parameters
    ----------
    high, low, close : price
    length : int, bars

    Returns
    -------
    ratio
        Known from bar ``length - 1``; 0 on a flat market.

    References
    ----------
    D. R. Lambert, "Commodity Channel Index: tool for trading cyclic trends", Commodities (October 1980).
    """
    typical = (high + low + close) * (1.0 / 3.0)
    centre = average(state.typical, typical)
    if not full(state.typical.window):
        return nan
    spread = distance(state.typical.window, centre)
    return (typical - centre) / (0.015 * spread) if spread > ROUNDING * centre else 0.0

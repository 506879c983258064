"""Path of past prices: efficiency, autocorrelation and streaks. Uses closes only, no levels."""

from math import nan

from mikrobot.features.kernel.feature import HELD, Quantity, fading, feature
from mikrobot.features.kernel.parts import AVERAGE, F8, I8, State, approach, roll, rolling

SHARE = Quantity("ratio", 0, 1)
CORRELATION = Quantity("correlation", -1, 1)

STILL = 1e-16
"""Mean squared log return below which a market counts as flat: a move of less than 1e-8 per bar."""


@feature(
    "efficiency_{length}",
    SHARE,
    state=lambda length: {"net": rolling(length), "way": rolling(length)},
    warmup=lambda length: length - 1,
    inputs={"change": "return_1"},
)
def efficiency(state: State, change: float, length: int) -> float:
    """Efficiency ratio: net move of `length` bars divided by the path length; 0 on a flat market.

    Parameters
    ----------
    change : log return
        Of one bar.
    length : int, bars

    Returns
    -------
    ratio, 0 to 1
        1 if every bar moved in the same direction.

    References
    ----------
    P. J. Kaufman, Trading Systems and Methods (1998), "Kaufman's adaptive moving average".
    """
    net, way = roll(state.net, change), roll(state.way, abs(change))
    if not way * way > STILL:
        return 0.0 if way == way else nan
    return min(abs(net) / way, 1.0)


@feature(
    "variance_ratio_{length}",
    Quantity("ratio", low=0),
    state=lambda length: {"five": rolling(length), "one": rolling(length)},
    warmup=lambda length: length - 1,
    inputs={"change": "return_1", "change_5": "return_5"},
)
def variance_ratio(state: State, change: float, change_5: float, length: int) -> float:
    """Variance of five-bar returns relative to five times that of one-bar returns, `length` bars; 1 if flat.

    Parameters
    ----------
    change, change_5 : log return
        Of one bar and of five.
    length : int, bars

    Returns
    -------
    ratio
        About 1 for a random walk, more if moves continue, less if they reverse. Means are
        assumed to be 0.

    References
    ----------
    A. W. Lo, A. C. MacKinlay, "Stock Market Prices Do Not Follow Random Walks", Review of Financial
    Studies 1 (1988), 41-66.
    """
    five, one = roll(state.five, change_5 * change_5), roll(state.one, change * change)
    if not one > STILL:
        return 1.0 if one == one else nan
    return max(five / (5.0 * one), 0.0)


@feature(
    "autocorrelation_{half_life}",
    CORRELATION,
    state=lambda half_life: {"previous": F8, "bars": I8, "product": AVERAGE, "square": AVERAGE},
    warmup=lambda half_life: half_life,
    tail=lambda half_life: fading(1.0 - 0.5 ** (1.0 / half_life)),
    inputs={"change": "return_1"},
)
def autocorrelation(state: State, change: float, half_life: int) -> float:
    """Correlation of a bar's return with the previous one, half-life `half_life` bars; 0 on a flat market.

    Parameters
    ----------
    change : log return
        Of one bar.
    half_life : int, bars

    Returns
    -------
    correlation, -1 to 1
        Means are assumed to be 0.
    """
    before, state.previous = state.previous, change
    state.bars += 1
    if state.bars == 1:
        return nan
    share = 1.0 - 0.5 ** (1.0 / half_life)
    product = approach(state.product, change * before, share)
    square = approach(state.square, change * change, share)
    if state.bars <= half_life:
        return nan
    return min(max(product / square, -1.0), 1.0) if square > STILL else 0.0


@feature(
    "streak",
    Quantity("bars"),
    state=lambda: {"run": F8},
    warmup=lambda: 0,
    tail=lambda: HELD,
    inputs={"change": "return_1"},
)
def streak(state: State, change: float) -> float:
    """Bars in a row that closed higher (positive) or lower (negative); 0 if the close did not move.

    Parameters
    ----------
    change : log return
        Of one bar.

    Returns
    -------
    bars, signed
    """
    sign = 1.0 if change > 0.0 else -1.0 if change < 0.0 else 0.0
    state.run = state.run + sign if state.run * sign > 0.0 else sign
    return float(state.run)

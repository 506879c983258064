"""The grid of prices: the tick of a symbol, and the noise that it adds to moves, estimated from closed bars.

A trade is at the bid or at the ask, and both lie on the grid. A close therefore differs from the price between them,
which moves in smaller steps.
"""

from math import inf, nan, sqrt

from mikrobot.domain.price_grid import BOUNCING, FINEST, ROUNDED
from mikrobot.features.kernel.feature import Output, Quantity, fading, feature
from mikrobot.features.kernel.parts import AVERAGE, F8, State, approach, compiled, extreme, largest

GRID = Quantity("log return", low=0)

SAME = 1e-9
"""Share of a price below which a difference is a rounding error of floating-point numbers."""

BARS = 120
"""Bars over which the finest step is searched; a tick that they do not show is too fine to matter."""

FADING = 1.0 - 0.5 ** (1.0 / 3000)
LARGEST_PRODUCT = 4.0
"""Limit of the product of two successive moves in squared ticks: larger moves show trends, not the grid."""


@feature(
    "tick",
    {
        "": Output(GRID, "Finest step between two prices of the last 120 bars; 0 if they are all equal"),
        "noise": Output(GRID, "Deviation that the grid of prices adds to the move of a bar"),
    },
    state=lambda: {"steps": extreme(BARS), "close": F8, "move": F8, "reversal": AVERAGE},
    warmup=lambda: BARS - 1,
    tail=lambda: fading(FADING),
)
def tick(state: State, open: float, high: float, low: float, close: float) -> tuple[float, float]:
    """Tick of the prices, and the deviation that it adds to the move of a bar.

    Parameters
    ----------
    open, high, low, close : price

    Returns
    -------
    tick : log return
        Known from bar 119, and not below the tick of the symbol.
    noise : log return
        The square root of minus twice the covariance of successive moves, an exponential average of half-life 3000
        bars. It is between the noise of rounding, ``sqrt(1/6)`` ticks, and that of a spread of one tick, ``sqrt(1/2)``.

    References
    ----------
    R. Roll, "A Simple Implicit Measure of the Effective Bid-Ask Spread in an Efficient Market", Journal of Finance 39
    (1984), 1127-1139.
    """
    before = state.close if state.close > 0.0 else open
    finest = -largest(state.steps, -_finest(open, high, low, close, before))
    move, last = close - before, state.move
    state.close, state.move = close, move
    if finest != finest:
        return nan, nan
    if finest == inf:
        return 0.0, 0.0
    product = min(max(move / finest * (last / finest), -LARGEST_PRODUCT), LARGEST_PRODUCT)
    variance = min(max(-2.0 * approach(state.reversal, product, FADING), ROUNDED), BOUNCING)
    step = finest / close
    return step, step * sqrt(variance)


@compiled
def spread_of(tick: float, noise: float) -> float:
    """Return the width that the grid adds to the range of a bar, a log return.

    It is 0 for rounded prices, and one tick for trades at the bid and the ask: a high is then a trade at the ask, a
    low one at the bid. In between it is linear in the variance of the noise.
    """
    return (noise * noise / max(tick, FINEST) - ROUNDED * tick) / (BOUNCING - ROUNDED)


@compiled
def _finest(open: float, high: float, low: float, close: float, before: float) -> float:
    """Return the smallest difference of two prices of a bar and the close before; infinity if they are equal."""
    least = SAME * close
    finest = min(_step(high - low, least), _step(close - open, least), _step(open - before, least))
    finest = min(finest, _step(high - open, least), _step(high - close, least))
    return min(finest, _step(open - low, least), _step(close - low, least))


@compiled
def _step(difference: float, least: float) -> float:
    size = abs(difference)
    return size if size > least else inf

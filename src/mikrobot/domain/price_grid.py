"""The noise that a grid of prices adds to moves, in ticks. Estimates nothing.

References
----------
W. F. Sheppard, "On the Calculation of the most Probable Values of Frequency-Constants", Proceedings of the London
Mathematical Society 29 (1898), 353-380. R. Roll, "A Simple Implicit Measure of the Effective Bid-Ask Spread in an
Efficient Market", Journal of Finance 39 (1984), 1127-1139.
"""

ROUNDED = 1.0 / 6.0
"""Variance that rounding to the nearest tick adds to the difference of two prices, in squared ticks (Sheppard)."""

BOUNCING = 1.0 / 2.0
"""Variance that trades at the bid or the ask, one tick apart, add to it, in squared ticks (Roll)."""

FINEST = 1e-12
"""Least tick of a division, as a log return; a market without a tick has no noise either."""

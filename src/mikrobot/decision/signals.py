"""The answer of a strategy at a bar close: a signal to trade, or the check that stopped it."""

import math
from dataclasses import dataclass

from mikrobot.decision.checks import Check, Comparison
from mikrobot.domain.trading import Side

MOST_MINUTES = 7 * 24 * 60
"""Longest time that a position may be held: a week."""

MOST_TEXT = 300
"""Characters of the text of a check that a strategy may give."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A proposed trade, entered at the next opening price or by a stop order. Stop and target are bids, as bars have.

    Attributes
    ----------
    side : Side
    stop : float
        Price at which the trade is given up: below the entry of a buy, above that of a sell.
    target : float or None
        Price at which it takes its profit, on the other side; None: `reward_risk` of the profile times the distance to
        the stop.
    minutes : int
        Minutes after which the entry is cancelled or the position closed, 1 to `MOST_MINUTES`.
    checks : tuple of Check
        The checks that the strategy has passed, for the decision.
    entry : float or None
        Price of a stop order that enters: above the close of a buy, which the ask triggers, below that of a sell,
        which the bid triggers. None: the trade is entered at the market.
    """

    side: Side
    stop: float
    target: float | None = None
    minutes: int = 30
    checks: tuple[Check, ...] = ()
    entry: float | None = None

    def fault(self, close: float) -> str:
        """Return why a trade at that close is impossible, or an empty string.

        >>> Signal(Side.BUY, stop=1.2).fault(close=1.1)
        'the stop 1.2 of a buy is not below the close 1.1'
        """
        sign, side = self.side.sign, self.side.value
        below, above = ("below", "above") if sign > 0 else ("above", "below")
        for name, price in (("stop", self.stop), ("target", self.target), ("entry", self.entry)):
            if price is not None and not (math.isfinite(price) and price > 0):
                return f"the {name} {price:g} is no price"
        if self.entry is not None and sign * (self.entry - close) <= 0:
            return f"the entry {self.entry:g} of a {side} is not {above} the close {close:g}"
        at, what = (close, "close") if self.entry is None else (self.entry, "entry")
        if sign * (at - self.stop) <= 0:
            return f"the stop {self.stop:g} of a {side} is not {below} the {what} {at:g}"
        if self.target is not None and sign * (self.target - at) <= 0:
            return f"the target {self.target:g} of a {side} is not {above} the {what} {at:g}"
        if not 1 <= self.minutes <= MOST_MINUTES:
            return f"{self.minutes} minutes are not between 1 and {MOST_MINUTES}"
        return ""


@dataclass(frozen=True, slots=True)
class NoSignal:
    """The reason why there is no signal.

    Attributes
    ----------
    text : str
        The values that were compared.
    name : str
        Name of the check that refused; its counts are shown for a run that places few orders.
    checks : tuple of Check
        The checks that passed before it.
    compared : Comparison or None
        The numbers of the check that refused, if it compares two.
    """

    text: str
    name: str = "signal"
    checks: tuple[Check, ...] = ()
    compared: Comparison | None = None

    @property
    def refusal(self) -> Check:
        """The check that refused."""
        return Check(self.name, False, self.text, self.compared)

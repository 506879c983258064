"""Positions at their average price: signed quantity and exact cost. Does not handle currencies or cash."""

from dataclasses import dataclass
from fractions import Fraction

from mikrobot.paper.money import Exact


@dataclass(slots=True)
class Position:
    """An open position in one symbol, or under one ticket.

    Attributes
    ----------
    symbol, ticket : str
        The ticket is empty except on a hedging account.
    quantity : int
        Size steps; negative if short.
    cost : int or Fraction
        Sum of price in ticks times signed steps of the open quantity; exact.
    base_value : int or Fraction
        Value in account currency of the open quantity of base when it was opened, used for margin.
    deficit : int
        Part of the margin of an isolated position that losses and charges have consumed, minor units.
    """

    symbol: str
    ticket: str = ""
    quantity: int = 0
    cost: Exact = 0
    base_value: Exact = 0
    deficit: int = 0

    @property
    def sign(self) -> int:
        """Return +1 if long, -1 if short, 0 if flat."""
        return (self.quantity > 0) - (self.quantity < 0)

    def closes(self, signed: int) -> int:
        """Return the signed steps of the position that a trade of `signed` steps closes."""
        if self.quantity * signed >= 0:
            return 0
        return self.quantity if abs(signed) >= abs(self.quantity) else -signed

    def realised(self, signed: int, price: int) -> Exact:
        """Return the profit in ticks times steps that a trade realises, unrounded.

        >>> Position("EURUSD", quantity=10, cost=1000).realised(-4, 103)
        12
        """
        closed = self.closes(signed)
        return price * closed - self._share(self.cost, closed) if closed else 0

    def trade(self, signed: int, price: int, base_rate: Exact) -> None:
        """Update the position with a trade; a quantity beyond flat opens the opposite side at the same price."""
        closed = self.closes(signed)
        if closed:
            self.cost -= self._share(self.cost, closed)
            if self.base_value:
                self.base_value -= self.base_value * Fraction(closed, self.quantity)
            self.quantity -= closed
        opened = signed + closed
        self.quantity += opened
        self.cost += price * opened
        if base_rate:
            self.base_value += abs(opened) * base_rate

    def unrealised(self, price: int) -> Exact:
        """Return the profit in ticks times steps of closing the whole position at a price, unrounded."""
        return price * self.quantity - self.cost

    def _share(self, cost: Exact, closed: int) -> Exact:
        if closed == self.quantity:
            return cost
        whole, rest = divmod(cost * closed, self.quantity)
        return whole if not rest else Fraction(cost) * closed / self.quantity

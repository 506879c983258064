"""Positions: signed quantity and exact cost, by the average price. Knows no currency and no cash."""

from dataclasses import dataclass
from fractions import Fraction

from mikrobot.paper.money import Exact


@dataclass(slots=True)
class Position:
    """What is held of one symbol, or under one ticket.

    Attributes
    ----------
    symbol, ticket : str
        The ticket is that of a hedging account, else empty.
    quantity : int
        Size steps, negative when short.
    cost : int or Fraction
        Sum of price in ticks times signed steps of what is open; exact.
    base_value : int or Fraction
        What the base of what is open was worth in account currency when it was opened, for margin.
    deficit : int
        Of an isolated position: what losses have taken of its margin, minor units.
    """

    symbol: str
    ticket: str = ""
    quantity: int = 0
    cost: Exact = 0
    base_value: Exact = 0
    deficit: int = 0

    @property
    def sign(self) -> int:
        """+1 long, -1 short, 0 flat."""
        return (self.quantity > 0) - (self.quantity < 0)

    def closes(self, signed: int) -> int:
        """Return the signed steps of the position that a trade of signed steps closes."""
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
        """Take a trade in; what goes beyond flat opens the other way at the same price."""
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
        """Return the profit in ticks times steps of closing it all at a price, unrounded."""
        return price * self.quantity - self.cost

    def _share(self, cost: Exact, closed: int) -> Exact:
        if closed == self.quantity:
            return cost
        whole, rest = divmod(cost * closed, self.quantity)
        return whole if not rest else Fraction(cost) * closed / self.quantity

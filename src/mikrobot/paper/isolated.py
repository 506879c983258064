"""Margin of one position, and the loss that an isolated position can still bear.

An isolated position can lose only the margin posted for it; the insurance fund pays any loss beyond
that. Fees and funding are paid from the free cash, then from the margin of their position, which moves
its liquidation price; the insurance fund pays the rest. Does not read markets or accounts.
"""

from mikrobot.paper.money import half_even
from mikrobot.paper.positions import Position
from mikrobot.paper.terms import Terms

CHARGES = frozenset({"fee", "funding", "swap"})
"""Kinds of cash entries that a position owes to the venue."""


def position_margin(terms: Terms, position: Position) -> int:
    """Return the margin of one position in minor units of the account currency."""
    if terms.margin_on == "cost":
        amount = position.cost if position.quantity > 0 else -position.cost
    elif terms.margin_on == "quantity":
        amount = abs(position.quantity)
    else:
        amount = position.base_value
    num, den = terms.margin
    return half_even(amount * num, den)


def backing(terms: Terms, position: Position) -> int:
    """Return the loss that an isolated position can still bear, minor units."""
    return position_margin(terms, position) - position.deficit


def uncovered(terms: Terms, position: Position, realised: int) -> int:
    """Return the part of a realised loss that exceeds the backing of an isolated position, minor units."""
    return max(-realised - backing(terms, position), 0)


def deficit(terms: Terms, position: Position, backed: int, realised: int, *, liquidated: bool) -> int:
    """Return the margin deficit of an isolated position after a part of it was closed, minor units.

    Parameters
    ----------
    terms : Terms
    position : Position
        After the fill.
    backed : int
        Backing before the fill.
    realised : int
        Profit realised by the fill, minor units.
    liquidated : bool
        True while the venue liquidates the position: surplus margin of the closed part then covers
        the remaining part.
    """
    lacking = position_margin(terms, position) - max(backed + realised, 0)
    return lacking if liquidated else max(lacking, 0)

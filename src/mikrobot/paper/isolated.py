"""The margin of one position, and what an isolated one can still lose of it.

An isolated position answers with the margin posted for it and with nothing else: what a fill loses
beyond that, the insurance fund pays. Does not look at markets or accounts.
"""

from mikrobot.paper.money import half_even
from mikrobot.paper.positions import Position
from mikrobot.paper.terms import Terms


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
    """Return what an isolated position can still lose, minor units."""
    return position_margin(terms, position) - position.deficit


def uncovered(terms: Terms, position: Position, realised: int) -> int:
    """Return what of a realised loss exceeds the backing of an isolated position, minor units."""
    return max(-realised - backing(terms, position), 0)


def deficit(terms: Terms, position: Position, backed: int, realised: int, *, liquidated: bool) -> int:
    """Return what the rest of an isolated position lacks of its margin after a part of it was closed.

    Parameters
    ----------
    terms : Terms
    position : Position
        After the fill.
    backed : int
        Its backing before the fill.
    realised : int
        By the fill.
    liquidated : bool
        Whether the venue closes it: until that has ended, margin that the closed part leaves over
        answers for the rest.
    """
    lacking = position_margin(terms, position) - max(backed + realised, 0)
    return lacking if liquidated else max(lacking, 0)

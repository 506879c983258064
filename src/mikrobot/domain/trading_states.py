"""Trading states: what may be traded, by whom that was decided, and why. Decides nothing."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal

from mikrobot.domain.trading import Side

Scope = Literal["global", "symbol", "side"]

OPERATOR = "operator "
"""Beginning of the name of a person who decided a state; the user name follows."""


class Permission(Enum):
    """What a trading state permits: everything, only what makes positions smaller, or only protective exits."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


@dataclass(frozen=True, slots=True)
class TradingState:
    """A span in which trading has a permission.

    Attributes
    ----------
    permission : Permission
    by : str
        Who decided: a part of the platform, as ``data quality``, or a person.
    reason : str
    since : datetime
        First close to which it applies, UTC; for a state of a source, the time at which it was recorded.
    until : datetime or None
        First close to which it no longer applies, UTC; None: it still applies.
    symbol : str or None
        None: every symbol.
    side : Side or None
        Side of the opening orders that it limits; None: both sides.
    flatten_at : datetime or None
        First close at which open positions are closed at the next price, UTC; None: they go on.
    """

    permission: Permission
    by: str
    reason: str
    since: datetime
    until: datetime | None = None
    symbol: str | None = None
    side: Side | None = None
    flatten_at: datetime | None = None

    @property
    def scope(self) -> Scope:
        """The part of the market to which it applies."""
        if self.symbol is None:
            return "global"
        return "symbol" if self.side is None else "side"

    def applies(self, at: datetime) -> bool:
        """Return whether it applies at a close."""
        return self.since <= at and (self.until is None or at < self.until)

    def covers(self, symbol: str, side: Side | None) -> bool:
        """Return whether it concerns openings of a side in a symbol; `side` None: those of both sides."""
        return self.symbol in (None, symbol) and self.side in (None, side)

    @property
    def subject(self) -> str:
        """The openings that it concerns, in words."""
        symbol = self.symbol or "every symbol"
        return symbol if self.side is None else f"{self.side.value}s of {symbol}"


def by_operator(state: TradingState) -> bool:
    """Return whether a person decided a state."""
    return state.by.startswith(OPERATOR)

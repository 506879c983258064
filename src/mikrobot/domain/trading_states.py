"""Trading states: what may be traded, by whom that was decided, and why. Decides nothing."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal

from mikrobot.domain.trading import Side

Scope = Literal["global", "symbol", "side"]


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
        None: both sides.
    """

    permission: Permission
    by: str
    reason: str
    since: datetime
    until: datetime | None = None
    symbol: str | None = None
    side: Side | None = None

    @property
    def scope(self) -> Scope:
        """The part of the market to which it applies."""
        if self.symbol is None:
            return "global"
        return "symbol" if self.side is None else "side"

    def applies(self, at: datetime) -> bool:
        """Return whether it applies at a close."""
        return self.since <= at and (self.until is None or at < self.until)

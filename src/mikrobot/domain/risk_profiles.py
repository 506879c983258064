"""The risk profiles: named sets of limits that a run trades by."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class RiskProfile:
    """A named set of risk limits.

    Attributes
    ----------
    risk_pct : Decimal
        Loss when the stop is hit, in percent of the balance.
    reward_risk : Decimal
        Distance to the target divided by the distance to the stop.
    max_open_trades : int
        Maximum number of open positions on the account, over all symbols.
    daily_loss_pct : Decimal
        Loss of a UTC day after which no new position is opened, in percent of the opening balance of the day.
    cooldown_minutes : int
        Minutes after a losing stop-loss exit in which no position is opened in its symbol; 0: none.
    losses_in_row : int
        Losing trades in a row after which no position is opened for a pause; 0: no such limit.
    pause_minutes : int
        Length of this pause.
    total_loss_pct : Decimal
        Loss of the closed trades of a run at which it opens nothing more, in percent of its opening balance; 0: no
        such limit.
    trigger_units : Decimal
        Distance of an entry by stop order beyond the extreme of the break, in the units of `break_and_retest`.
    retest_units : Decimal
        Largest distance of a retest from the level, in the same units.
    news_minutes : int
        Minutes before and after news of high impact on a currency of the symbol in which no position is opened.
    sessions : tuple of str
        Sessions of `market_sessions` in which positions are opened; empty: all.
    """

    risk_pct: Decimal
    reward_risk: Decimal
    max_open_trades: int
    daily_loss_pct: Decimal
    cooldown_minutes: int = 15
    losses_in_row: int = 3
    pause_minutes: int = 60
    total_loss_pct: Decimal = Decimal(0)
    trigger_units: Decimal = Decimal("0.6")
    retest_units: Decimal = Decimal("0.8")
    news_minutes: int = 30
    sessions: tuple[str, ...] = ()


RISK_PROFILES: dict[str, RiskProfile] = {
    "session1": RiskProfile(Decimal("1"), Decimal("2.5"), 2, Decimal("5")),
    "lightning": RiskProfile(Decimal("0.55"), Decimal("1"), 5, Decimal("5"), retest_units=Decimal("0.5")),
    "ftmo": RiskProfile(
        Decimal("0.5"), Decimal("2"), 2, Decimal("5"), total_loss_pct=Decimal(10), trigger_units=Decimal("0.8")
    ),
}

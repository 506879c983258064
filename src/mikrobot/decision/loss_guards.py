"""Stop openings after losses: a symbol after a stop-loss exit, every symbol after losses in a row or a total loss.

Only a new loss begins a state. A profit begins none and ends none, and the opening of a position counts as nothing.
The daily and weekly loss limits of an account are in `mikrobot.paper.limits`. Pure; reads no clock or store.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mikrobot.domain.risk_profiles import RiskProfile
from mikrobot.domain.trading_states import Permission, TradingState
from mikrobot.paper import money
from mikrobot.paper.results import TradeResult
from mikrobot.paper.venue import CURRENCY

COOLDOWN = "cooldown"
"""Who decides the state of a symbol after a stop-loss exit."""

LOSS_GUARD = "loss guard"
"""Who decides the pause after losses in a row."""

TOTAL_LOSS = "total loss limit"
"""Who decides the end of all openings of a run."""


@dataclass(slots=True)
class LossGuards:
    """The states that the losses of one strategy have begun.

    Attributes
    ----------
    profile : RiskProfile
    opening : int
        Opening balance over all accounts, minor units.
    losses : int
        Losing trades since the last one that did not lose.
    net : int
        Sum of all results, minor units.
    """

    profile: RiskProfile
    opening: int
    losses: int = 0
    net: int = 0
    _newest: dict[tuple[str, str | None], TradingState] = field(default_factory=dict)

    @property
    def states(self) -> Sequence[TradingState]:
        """The newest state of each symbol, and the newest pause; they may have ended."""
        return tuple(self._newest.values())

    def take(self, result: TradeResult) -> list[TradingState]:
        """Take in the result of a trade, in order of time, and return the states that it begins.

        The cooldown of a symbol lasts `cooldown_minutes` from the exit. The pause lasts `pause_minutes`; each further
        loss in the row begins it again. The total loss limit has no end.
        """
        self.net += result.net
        self.losses = self.losses + 1 if result.net < 0 else 0
        if result.net >= 0:
            return []
        at, lost = _time(result.ts), f"{money.decimal(result.net, CURRENCY)} {CURRENCY}"
        begun = []
        if result.by_stop and self.profile.cooldown_minutes:
            reason = f"a stop-loss exit with {lost}"
            until = at + timedelta(minutes=self.profile.cooldown_minutes)
            begun.append(TradingState(Permission.REDUCING, COOLDOWN, reason, at, until, result.symbol))
        if 0 < self.profile.losses_in_row <= self.losses:
            reason = f"{self.losses} losses in a row, the last one {lost} in {result.symbol}"
            until = at + timedelta(minutes=self.profile.pause_minutes)
            begun.append(TradingState(Permission.REDUCING, LOSS_GUARD, reason, at, until))
        if self._is_total() and (TOTAL_LOSS, None) not in self._newest:
            reason = f"the closed trades lost {self.profile.total_loss_pct} % of the opening balance"
            begun.append(TradingState(Permission.REDUCING, TOTAL_LOSS, reason, at))
        self._newest |= {(state.by, state.symbol): state for state in begun}
        return begun

    def _is_total(self) -> bool:
        percent = self.profile.total_loss_pct
        return bool(percent) and -self.net * 100 >= percent * self.opening


def _time(ts: int) -> datetime:
    return datetime.fromtimestamp(ts / 1000, UTC)

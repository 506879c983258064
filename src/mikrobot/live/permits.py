"""The trading states of one strategy, minute by minute: those that operators have set, and those of its own losses.

Shared by live trading, replay and backtest; does not use stores or the clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mikrobot.decision.loss_guards import LossGuards
from mikrobot.decision.trading_state import permitted
from mikrobot.domain.trading import Decision, OrderIntent
from mikrobot.domain.trading_states import Permission, TradingState
from mikrobot.paper.results import TradeResult
from mikrobot.paper.venue import Venue
from mikrobot.settings import RiskProfile

_MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Permits:
    """The trading states that limit a strategy.

    Attributes
    ----------
    profile : RiskProfile
    by_operators : sequence of TradingState
        States of operators, with the closes to which they apply.
    begun : list of TradingState
        States that losses have begun since the last call of `taken`.
    """

    profile: RiskProfile
    by_operators: Sequence[TradingState] = ()
    begun: list[TradingState] = field(default_factory=list)
    _guards: LossGuards = field(init=False)
    _venue: Venue | None = None
    _results: list[list[TradeResult]] = field(default_factory=list)
    _read: list[int] = field(default_factory=list)
    _count: int = 0

    def __post_init__(self) -> None:
        self._guards = LossGuards(self.profile, opening=0)

    def before(self, venue: Venue, until: datetime) -> None:
        """Cancel the pending entries that a halt forbids, before the bars up to a close are played.

        A venue that was restored replaces the one before: its earlier losses begin no state again.
        """
        if venue is not self._venue:
            self._take_up(venue)
        for state in self._halts(until):
            why = f"trading of {state.subject} is halted"
            venue.cancel_entries(state.since - _MINUTE, state.covers, why)

    def after(self, venue: Venue, close_time: datetime) -> None:
        """Take in the losses up to a close that has been played, and send the exits that a halt demands."""
        if sum(map(len, self._results)) > self._count:
            self.begun += self._take_in()
        for state in self._halts(close_time):
            if state.flatten_at is not None and state.flatten_at <= close_time:
                venue.flatten(close_time, state.covers)

    def apply(self, decision: Decision, order: OrderIntent | None) -> tuple[Decision, OrderIntent | None]:
        """Refuse a decision that a state forbids."""
        return permitted(decision, order, (*self.by_operators, *self._guards.states))

    def taken(self) -> list[TradingState]:
        """Return the states that losses have begun, once."""
        begun, self.begun = self.begun, []
        return begun

    def _halts(self, at: datetime) -> list[TradingState]:
        if not self.by_operators:
            return []
        return [state for state in self.by_operators if state.permission is Permission.HALTED and state.applies(at)]

    def _take_up(self, venue: Venue) -> None:
        accounts = sorted(venue.exchange.accounts.items())
        opening = sum(account.paid_in for _, account in accounts)
        self._venue, self._guards = venue, LossGuards(self.profile, opening)
        self._results = [account.results.closed for _, account in accounts]
        self._read, self._count = [0] * len(accounts), 0
        self._take_in()
        self.begun = []

    def _take_in(self) -> list[TradingState]:
        """Take in the results that were not read before, over all accounts in order of time."""
        new = [result for closed, start in zip(self._results, self._read, strict=True) for result in closed[start:]]
        self._read = list(map(len, self._results))
        self._count = sum(self._read)
        in_order = sorted(new, key=lambda result: result.ts)
        return [state for result in in_order for state in self._guards.take(result)]

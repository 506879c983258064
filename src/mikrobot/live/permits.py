"""The trading states of one strategy, minute by minute: of operators, of the quality of the data, of its own losses.

Shared by live trading, replay and backtest; does not use stores or the clock.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mikrobot.decision.loss_guards import LossGuards
from mikrobot.decision.trading_state import permitted
from mikrobot.domain.risk_profiles import RiskProfile
from mikrobot.domain.trading import Decision, OrderIntent
from mikrobot.domain.trading_states import Permission, TradingState
from mikrobot.paper.results import TradeResult
from mikrobot.paper.venue import Venue

_MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Permits:
    """The trading states that limit a strategy.

    Attributes
    ----------
    profile : RiskProfile
    by_operators : sequence of TradingState
        States of operators, with the closes to which they apply.
    by_data : sequence of TradingState
        Halts for the quality of the data, in order of time: those of every close that is played next. They cancel
        pending entries here; whoever trades asks for no decision while they last.
    begun : list of TradingState
        States that losses have begun since the last call of `taken`.
    """

    profile: RiskProfile
    by_operators: Sequence[TradingState] = ()
    by_data: Sequence[TradingState] = ()
    begun: list[TradingState] = field(default_factory=list)
    _guards: LossGuards = field(init=False)
    _venue: Venue | None = None
    _cancelled_to: datetime | None = None
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
            _cancel(venue, state, state.since - _MINUTE)

    def pass_over(self, close_time: datetime) -> None:
        """Take halts up to a close as acted on, since no entry was pending then."""
        self._cancelled_to = close_time

    def before_bars(self, venue: Venue, close_time: datetime) -> None:
        """Cancel the pending entries in symbols that their data halted before a close whose bars are played next."""
        self._cancel_begun(venue, bisect_left(self.by_data, close_time, key=_since), close_time - _MINUTE)

    def after(self, venue: Venue, close_time: datetime) -> None:
        """Act on a close that has been played: take in losses, cancel halted entries, send the exits of a halt."""
        self._cancel_begun(venue, bisect_right(self.by_data, close_time, key=_since), close_time)
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

    def _cancel_begun(self, venue: Venue, count: int, at: datetime) -> None:
        """Cancel what the first halts forbid that have begun since the last call; nothing is opened while they last."""
        first = 0 if self._cancelled_to is None else bisect_left(self.by_data, self._cancelled_to, key=_since)
        for state in self.by_data[first:count]:
            _cancel(venue, state, at)
        self._cancelled_to = at

    def _halts(self, at: datetime) -> list[TradingState]:
        if not self.by_operators:
            return []
        return [state for state in self.by_operators if state.permission is Permission.HALTED and state.applies(at)]

    def _take_up(self, venue: Venue) -> None:
        accounts = sorted(venue.exchange.accounts.items())
        opening = sum(account.paid_in for _, account in accounts)
        self._venue, self._guards = venue, LossGuards(self.profile, opening)
        self._cancelled_to = venue.reached
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


def _since(state: TradingState) -> datetime:
    return state.since


def _cancel(venue: Venue, state: TradingState, at: datetime) -> None:
    venue.cancel_entries(at, state.covers, f"trading of {state.subject} is halted")

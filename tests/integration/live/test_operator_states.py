"""Commands, minutes, restarts and passing time in any order: each run records the closes to which a state applied."""

from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from mikrobot.decision.trading_state import permission
from mikrobot.domain.errors import StatesChanged, UsageError
from mikrobot.domain.trading import Side
from mikrobot.domain.trading_states import Permission, TradingState
from mikrobot.live.operator_states import OperatorStates, applied
from mikrobot.runtime import ManualClock
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run, Runs, Segment
from mikrobot.store.trading_states import TradingStates
from tests.soak import examples

TODAY, MARKET = datetime(2025, 3, 14, 9, tzinfo=UTC), datetime(2024, 3, 4, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLACES = [(symbol, side) for symbol in ("BTCUSDT", "EURUSD") for side in Side]
SCOPES = st.sampled_from([(None, None), *(("EURUSD", side) for side in (None, *Side)), ("BTCUSDT", None)])
STRICTNESS = [Permission.ACTIVE, Permission.REDUCING, Permission.HALTED]
examples_of_pool = count(1)


class Operators(RuleBasedStateMachine):
    """An operator and a worker over hours of the past; a dictionary by scope is the model."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.example = next(examples_of_pool)
        self.pool, self.states, self.ledger = pool, TradingStates(pool), Ledger(pool)
        self.clock = ManualClock(TODAY + self.example * timedelta(days=1))
        for state in self.states.of_operators(self.clock.now())[1]:
            self.send(Permission.ACTIVE, state.symbol, state.side, None)
        self.run, self.reached = f"r{self.example}", MARKET
        segment = Segment(("EURUSD",), MARKET, MARKET, MARKET + timedelta(days=1))
        Runs(pool).begin(
            Run(self.run, "replay", False, ("EURUSD",), MARKET, segment.trade_until, MARKET,
                {"segments": [segment.to_json()]})
        )  # fmt: skip
        self.worker = OperatorStates(self.states, self.clock)
        self.model: dict[tuple[str | None, Side | None], tuple[Permission, datetime | None]] = {}
        self.decided: dict[datetime, list[Permission]] = {}

    def send(self, wanted: Permission, symbol: str | None, side: Side | None, until: datetime | None) -> None:
        self.states.command(TradingState(wanted, "operator ana", "test", self.clock.now(), until, symbol, side))

    def limits(self) -> dict[tuple[str | None, Side | None], Permission]:
        now = self.clock.now()
        in_force = {scope: own for scope, (own, until) in self.model.items() if until is None or now < until}
        return {scope: own for scope, own in in_force.items() if own is not Permission.ACTIVE}

    @rule(wanted=st.sampled_from(STRICTNESS), scope=SCOPES, minutes=st.none() | st.integers(1, 4))
    def command(self, wanted: Permission, scope: tuple[str | None, Side | None], minutes: int | None) -> None:
        self.clock.sleep(1)
        until = None if minutes is None or wanted is Permission.ACTIVE else self.clock.now() + minutes * MINUTE
        if wanted is Permission.ACTIVE and scope not in self.limits():
            with pytest.raises(UsageError):
                self.send(wanted, *scope, until)
            return
        self.send(wanted, *scope, until)
        self.model[scope] = (wanted, until)

    @rule(closes=st.integers(1, 3))
    def minute(self, closes: int) -> None:
        """Decide and commit one minute, or several together; a change of the states since then is decided again."""
        self.clock.sleep(20)
        close_time = self.reached + closes * MINUTE
        while True:
            now = self.worker.at(self.run, self.reached, close_time)
            try:
                assert self.ledger.commit(self.run, close_time, states=now.changes, decided_under=now.version)
                break
            except StatesChanged:
                self.worker.read_again()
        self.worker.settle(self.run, now, written=True)
        limits = self.limits()
        self.decided[close_time] = [
            max((limits.get(scope, Permission.ACTIVE) for scope in ((None, None), (symbol, None), (symbol, side))),
                key=STRICTNESS.index)
            for symbol, side in PLACES
        ]  # fmt: skip
        self.reached = close_time

    @rule()
    def restart(self) -> None:
        self.worker = OperatorStates(self.states, self.clock)

    @rule(seconds=st.integers(1, 150))
    def pass_time(self, seconds: int) -> None:
        self.clock.sleep(seconds)

    def teardown(self) -> None:
        """The record of the run permits at each close what the operator permitted when it was decided."""
        recorded = applied(self.states.of_run(self.run))
        for close_time, permitted in self.decided.items():
            assert [permission(recorded, *place, close_time) for place in PLACES] == permitted


def test_the_record_of_a_run_has_what_operators_permitted_at_each_of_its_closes(pool: Pool) -> None:
    drawn = settings(max_examples=examples(100), stateful_step_count=20, deadline=None)
    run_state_machine_as_test(partial(Operators, pool), settings=drawn)

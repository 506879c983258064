"""The strictest trading state that applies to an opening holds, and is the reason of a refusal."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mikrobot.decision.trading_state import permission, permitted, strictest, text
from mikrobot.domain.trading import Decision, OrderIntent, Side
from mikrobot.domain.trading_states import Permission, TradingState

CLOSE = datetime(2025, 3, 14, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HALT = TradingState(Permission.HALTED, "operator ana", "news", CLOSE)
REDUCE = replace(HALT, permission=Permission.REDUCING)
APPROVED = Decision("r/EURUSD", "EURUSD", CLOSE, True, Side.BUY, ("level passed",), "simple_break@1")
ORDER = OrderIntent(
    "EURUSD/buy", "r/EURUSD", "EURUSD", Side.BUY, Decimal("0.1"), Decimal("1.09"), Decimal("1.12"), CLOSE, CLOSE
)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], Permission.ACTIVE),
        ([HALT], Permission.HALTED),
        ([REDUCE, HALT], Permission.HALTED),
        ([replace(HALT, permission=Permission.ACTIVE), REDUCE], Permission.REDUCING),
        ([replace(HALT, symbol="EURUSD")], Permission.HALTED),
        ([replace(HALT, symbol="BTCUSDT")], Permission.ACTIVE),
        ([replace(HALT, symbol="EURUSD", side=Side.BUY)], Permission.HALTED),
        ([replace(HALT, symbol="EURUSD", side=Side.SELL)], Permission.ACTIVE),
        ([replace(HALT, since=CLOSE + MINUTE)], Permission.ACTIVE),
        ([replace(HALT, since=CLOSE - MINUTE, until=CLOSE)], Permission.ACTIVE),
        ([replace(HALT, since=CLOSE - MINUTE, until=CLOSE + MINUTE)], Permission.HALTED),
        ([replace(HALT, symbol="BTCUSDT"), replace(REDUCE, symbol="EURUSD")], Permission.REDUCING),
    ],
)
def test_the_strictest_state_that_applies_holds(states: list[TradingState], expected: Permission) -> None:
    assert permission(states, "EURUSD", Side.BUY, CLOSE) is expected
    assert permission(reversed(states), "EURUSD", Side.BUY, CLOSE) is expected


def test_of_equally_strict_states_the_earliest_is_the_reason() -> None:
    early = replace(HALT, since=CLOSE - MINUTE, reason="earlier")
    assert strictest([HALT, early], "EURUSD", None, CLOSE) == early


def test_a_refusal_names_who_why_since_and_until() -> None:
    cooldown = TradingState(Permission.REDUCING, "cooldown", "a stop", CLOSE - MINUTE, CLOSE + 14 * MINUTE, "EURUSD")
    decision, order = permitted(APPROVED, ORDER, [cooldown])
    assert (decision.approved, order) == (False, None)
    assert decision.reasons == (
        "level passed",
        "state refused: REDUCING for EURUSD by cooldown since 2025-03-14 09:29 UTC until 2025-03-14 09:44 UTC: a stop",
    )


def test_the_later_end_of_a_state_of_an_operator_is_no_part_of_an_earlier_reason() -> None:
    assert text(replace(HALT, until=CLOSE + MINUTE)) == text(HALT)


def test_what_no_state_forbids_is_unchanged() -> None:
    assert permitted(APPROVED, ORDER, [replace(HALT, symbol="EURUSD", side=Side.SELL)]) == (APPROVED, ORDER)


def test_a_decision_without_a_side_names_no_state_of_one_side() -> None:
    undecided = replace(APPROVED, approved=False, side=None)
    one_side = replace(HALT, symbol="EURUSD", side=Side.BUY)
    assert permitted(undecided, None, [one_side]) == (undecided, None)
    assert "state refused: HALTED" in permitted(undecided, None, [HALT])[0].reasons[-1]


SYMBOLS = st.sampled_from([None, "BTCUSDT", "EURUSD"])
SIDES = st.sampled_from([None, Side.BUY, Side.SELL])
PERMISSIONS = st.sampled_from(list(Permission))
STATES = st.builds(
    lambda permission, symbol, side, since, length: TradingState(
        permission, "operator ana", "test", CLOSE + since * MINUTE,
        None if length is None else CLOSE + (since + length) * MINUTE, symbol, side if symbol else None,
    ),
    PERMISSIONS, SYMBOLS, SIDES, st.integers(-5, 5), st.none() | st.integers(1, 5),
)  # fmt: skip


@given(st.lists(STATES, max_size=6), STATES)
def test_one_more_state_never_permits_more(states: list[TradingState], more: TradingState) -> None:
    order = list(Permission)
    before = permission(states, "EURUSD", Side.BUY, CLOSE)
    assert order.index(permission([*states, more], "EURUSD", Side.BUY, CLOSE)) >= order.index(before)


class Commands(RuleBasedStateMachine):
    """Operators set and end states while time passes; a dictionary by scope is the model."""

    def __init__(self) -> None:
        super().__init__()
        self.now = CLOSE
        self.states: list[TradingState] = []
        self.model: dict[tuple[str | None, Side | None], tuple[Permission, datetime | None]] = {}

    @rule(permission=PERMISSIONS, symbol=SYMBOLS, side=SIDES, minutes=st.none() | st.integers(1, 4))
    def command(self, permission: Permission, symbol: str | None, side: Side | None, minutes: int | None) -> None:
        side = side if symbol else None
        until = None if minutes is None else self.now + minutes * MINUTE
        self.states = [
            replace(state, until=self.now)
            if (state.symbol, state.side) == (symbol, side) and (state.until is None or state.until > self.now)
            else state
            for state in self.states
        ]
        self.states.append(TradingState(permission, "operator ana", "test", self.now, until, symbol, side))
        self.model[symbol, side] = (permission, until)

    @rule(minutes=st.integers(1, 3))
    def pass_time(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    @invariant()
    def the_strictest_command_in_force_holds(self) -> None:
        order = list(Permission)
        for symbol, side in (("EURUSD", Side.BUY), ("EURUSD", Side.SELL), ("BTCUSDT", Side.BUY)):
            scopes = ((None, None), (symbol, None), (symbol, side))
            given = [self.model[scope] for scope in scopes if scope in self.model]
            in_force = [order.index(own) for own, until in given if until is None or self.now < until]
            assert order.index(permission(self.states, symbol, side, self.now)) == max(in_force, default=0)


TestCommands = Commands.TestCase

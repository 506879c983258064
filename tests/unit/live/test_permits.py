"""Trading states act on the orders of a strategy: entries, exits, positions and results."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from mikrobot.decision.outlook import Outlook
from mikrobot.domain.market import Bar
from mikrobot.domain.risk_profiles import RISK_PROFILES
from mikrobot.domain.trading import FillReason, OrderIntent, Side
from mikrobot.domain.trading_states import Permission, TradingState
from mikrobot.live.halts import BY_QUALITY
from mikrobot.live.strategies import opened
from mikrobot.live.trader import Trader
from mikrobot.paper.fills import fills_of
from mikrobot.paper.journal import Moved, lines, parse
from mikrobot.paper.orders import Status
from mikrobot.paper.venue import Venue, milliseconds
from mikrobot.settings import Settings

START = datetime(2024, 3, 11, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HALT = TradingState(Permission.HALTED, "operator ana", "news", START + MINUTE, symbol="EURUSD")
PROFILE = replace(RISK_PROFILES["session1"], cooldown_minutes=5)


@pytest.fixture
def trader() -> Trader:
    venue = Venue(["EURUSD"], 7)
    venue.open(START, Decimal(10_000))
    return Trader("r1", venue, PROFILE, opened(Settings()))


def bar(minute: int, price: float, low: float | None = None) -> Bar:
    """Return the bar that closes so many minutes after the start."""
    floor = price if low is None else low
    return Bar("EURUSD", START + (minute - 1) * MINUTE, price, price, floor, floor, spread=0.00008)


def decide(trader: Trader, minute: int, close: float = 1.1, side: Side = Side.BUY) -> Any:
    up, down = (0.9, 0.1) if side is Side.BUY else (0.1, 0.9)
    at = START + minute * MINUTE
    prices = (close, close, close)
    (decided,) = trader.decide_and_place(
        Outlook("EURUSD", at, close, 0.00008, 0.001, 1.2, 1.0, up, down, "bos 1", *prices)
    )
    return decided


def enter(trader: Trader, *, fills: bool = True) -> None:
    """Buy at the close of the first bar, and fill at the open of the second."""
    trader.play([bar(0, 1.1)], START)
    _, order = decide(trader, 0)
    assert order is not None
    if fills:
        trader.play([bar(1, 1.1)], START + MINUTE)


def reasons(trader: Trader) -> list[FillReason]:
    return [fill.reason for fill in fills_of({"fx": trader.venue.exchange.accounts["fx"].journal})]


def test_a_halt_cancels_the_pending_entry_before_the_next_price(trader: Trader) -> None:
    enter(trader, fills=False)
    trader.permits.by_operators = [HALT]
    trader.play([bar(1, 1.1)], START + MINUTE)
    assert reasons(trader) == []
    moved = [record for record in trader.venue.exchange.accounts["fx"].journal if isinstance(record, Moved)]
    entry = next(record for record in moved if record.order == "EURUSD/20240311T0930/buy")
    assert (entry.after, entry.reason) == (Status.CANCELED, "trading of EURUSD is halted")
    assert not trader.venue.exchange.accounts["fx"].live


@pytest.mark.parametrize(
    "state",
    [
        replace(HALT, permission=Permission.REDUCING),
        replace(HALT, symbol="BTCUSDT"),
        replace(HALT, side=Side.SELL),
        replace(HALT, since=START + 2 * MINUTE),
    ],
    ids=["reducing", "another symbol", "another side", "later"],
)
def test_other_states_let_the_pending_entry_fill(trader: Trader, state: TradingState) -> None:
    enter(trader, fills=False)
    trader.permits.by_operators = [state]
    trader.play([bar(1, 1.1)], START + MINUTE)
    assert reasons(trader) == [FillReason.ENTRY]


@pytest.mark.parametrize("permission", [Permission.REDUCING, Permission.HALTED])
@pytest.mark.parametrize(
    ("bars", "exit_reason"),
    [
        ([bar(2, 1.1, low=1.09)], FillReason.STOP),
        ([replace(bar(2, 1.1), high=1.12)], FillReason.TARGET),
        ([bar(minute, 1.1) for minute in range(2, 33)], FillReason.TIME),
    ],
    ids=["stop", "target", "time"],
)
def test_exits_go_on_under_every_state(
    trader: Trader, permission: Permission, bars: Sequence[Bar], exit_reason: FillReason
) -> None:
    enter(trader)
    trader.permits.by_operators = [replace(HALT, permission=permission, since=START + 2 * MINUTE)]
    trader.play(bars, bars[-1].close_time)
    assert reasons(trader) == [FillReason.ENTRY, exit_reason]


def test_no_order_is_placed_in_a_halt_and_the_state_is_the_reason(trader: Trader) -> None:
    trader.permits.by_operators = [HALT]
    trader.play([bar(1, 1.1)], START + MINUTE)
    decision, order = decide(trader, 1)
    assert (decision.approved, order) == (False, None)
    assert decision.reasons[-1] == ("state refused: HALTED for EURUSD by operator ana since 2024-03-11 09:31 UTC: news")
    assert not trader.venue.exchange.accounts["fx"].orders


def test_one_side_is_halted_and_the_other_trades(trader: Trader) -> None:
    trader.permits.by_operators = [replace(HALT, side=Side.BUY)]
    trader.play([bar(1, 1.1)], START + MINUTE)
    assert decide(trader, 1)[1] is None
    assert decide(trader, 1, side=Side.SELL)[1] is not None


def test_flatten_closes_the_position_at_the_next_open_and_once(trader: Trader) -> None:
    enter(trader)
    trader.permits.by_operators = [replace(HALT, since=START + 2 * MINUTE, flatten_at=START + 2 * MINUTE)]
    for minute, price in ((2, 1.1), (3, 1.1002), (4, 1.1)):
        trader.play([bar(minute, price)], START + minute * MINUTE)
    entry, leaving = fills_of({"fx": trader.venue.exchange.accounts["fx"].journal})
    assert leaving.reason is FillReason.FLATTEN
    assert leaving.filled_at == START + 2 * MINUTE
    assert abs(leaving.price - Decimal("1.1002")) <= Decimal("0.00005")
    assert leaving.lots == entry.lots
    assert not trader.venue.exchange.accounts["fx"].positions


def test_flatten_of_one_side_leaves_positions_of_the_other(trader: Trader) -> None:
    enter(trader)
    two = START + 2 * MINUTE
    trader.permits.by_operators = [replace(HALT, since=two, flatten_at=two, side=Side.SELL)]
    for minute in (2, 3):
        trader.play([bar(minute, 1.1)], START + minute * MINUTE)
    assert reasons(trader) == [FillReason.ENTRY]


def test_a_stop_cools_its_symbol_down_and_the_state_is_reported_once(trader: Trader) -> None:
    enter(trader)
    assert trader.permits.taken() == []
    trader.play([bar(2, 1.1, low=1.09)], START + 2 * MINUTE)
    (state,) = trader.permits.taken()
    assert (state.since, state.until) == (START + 2 * MINUTE, START + 7 * MINUTE)
    assert trader.permits.taken() == []
    decision, order = decide(trader, 2, close=1.09)
    assert order is None
    assert decision.reasons[-1].startswith("state refused: REDUCING for EURUSD by cooldown since 2024-03-11 09:32 UTC")
    trader.play([bar(minute, 1.09) for minute in range(3, 8)], START + 7 * MINUTE)
    assert decide(trader, 7, close=1.09)[1] is not None


def test_a_target_blocks_nothing_and_an_opening_is_no_loss(trader: Trader) -> None:
    enter(trader)
    assert trader.venue.exchange.accounts["fx"].results.closed == []
    trader.play([replace(bar(2, 1.1), high=1.12)], START + 2 * MINUTE)
    (won,) = trader.venue.exchange.accounts["fx"].results.closed
    assert (won.net > 0, won.by_stop) == (True, False)
    assert trader.permits.taken() == []
    assert decide(trader, 2)[1] is not None


def test_restored_accounts_have_the_same_results_and_states_and_begin_none_again(trader: Trader) -> None:
    enter(trader)
    trader.play([bar(2, 1.1, low=1.09)], START + 2 * MINUTE)
    account = trader.venue.exchange.accounts["fx"]
    restored = Venue(["EURUSD"], 7)
    restored.restore({"fx": parse(lines(account.journal))}, [bar(2, 1.1, low=1.09)], START + 2 * MINUTE)
    assert restored.exchange.accounts["fx"].results.closed == account.results.closed
    again = Trader("r1", restored, PROFILE, opened(Settings()))
    again.play([bar(3, 1.09)], START + 3 * MINUTE)
    assert again.permits.taken() == []
    assert "by cooldown" in decide(again, 3, close=1.09)[0].reasons[-1]


def test_the_result_of_a_trade_is_its_profit_less_both_fees(trader: Trader) -> None:
    enter(trader)
    trader.play([bar(2, 1.1, low=1.09)], START + 2 * MINUTE)
    account = trader.venue.exchange.accounts["fx"]
    (lost,) = account.results.closed
    assert account.balance("USD") == Decimal(10_000) + Decimal(lost.net) / 100


def wait_for(trader: Trader, price: str = "1.101") -> None:
    """Place a stop entry above the market at the close of the first bar."""
    trader.play([bar(0, 1.1)], START)
    entry, late = Decimal(price), START + 60 * MINUTE
    prices = Decimal("1.09"), Decimal("1.2"), START, late, entry
    order = OrderIntent("EURUSD/w", "d", "EURUSD", Side.BUY, Decimal("0.1"), *prices)
    assert trader.venue.place(order) == ""


def by_the_data(since: int, until: int | None = None, **other: Any) -> TradingState:
    """Return a halt for the data from a minute after the start on, in thirds of a minute."""
    end = None if until is None else START + until * MINUTE / 3
    return replace(HALT, by=BY_QUALITY, since=START + since * MINUTE / 3, until=end, **other)


@pytest.mark.parametrize("since", [3, 4], ids=["at a close", "within a minute"])
def test_a_halt_for_the_data_cancels_a_stop_entry_before_the_next_bar(trader: Trader, since: int) -> None:
    wait_for(trader)
    trader.permits.by_data = [by_the_data(since)]
    trader.play([bar(1, 1.1), replace(bar(2, 1.1), high=1.11)], START + 2 * MINUTE)
    assert reasons(trader) == []
    moved = [record for record in trader.venue.exchange.accounts["fx"].journal if isinstance(record, Moved)]
    (cancelled,) = [record for record in moved if record.reason == "trading of EURUSD is halted"]
    assert (cancelled.order, cancelled.ts) == ("EURUSD/w", milliseconds(START + MINUTE))


def test_a_halt_for_the_data_does_not_touch_the_bar_whose_close_shows_the_fault(trader: Trader) -> None:
    wait_for(trader)
    trader.permits.by_data = [by_the_data(3)]
    trader.play([replace(bar(1, 1.1), high=1.11)], START + MINUTE)
    assert reasons(trader) == [FillReason.ENTRY]


@pytest.mark.parametrize(
    "state",
    [by_the_data(3, symbol="BTCUSDT"), by_the_data(6), by_the_data(-6, 0)],
    ids=["another symbol", "later", "before"],
)
def test_other_halts_for_the_data_let_a_stop_entry_fill(trader: Trader, state: TradingState) -> None:
    wait_for(trader)
    trader.permits.by_data = [state]
    trader.play([bar(1, 1.1), replace(bar(2, 1.1), high=1.11)], START + 2 * MINUTE)
    assert reasons(trader) == [FillReason.ENTRY]


def test_a_halt_that_began_and_ended_within_the_bars_that_are_played_together_cancels(trader: Trader) -> None:
    wait_for(trader)
    trader.permits.by_data = [by_the_data(3), by_the_data(3, 9)]
    trader.play([bar(minute, 1.1) for minute in (1, 2, 3)] + [replace(bar(4, 1.1), high=1.11)], START + 4 * MINUTE)
    assert reasons(trader) == []


def test_a_halt_for_the_data_leaves_the_exits_of_a_position(trader: Trader) -> None:
    enter(trader)
    trader.permits.by_data = [by_the_data(3)]
    trader.play([bar(2, 1.1, low=1.09)], START + 2 * MINUTE)
    assert reasons(trader) == [FillReason.ENTRY, FillReason.STOP]

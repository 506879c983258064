from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import pytest

from mikrobot.analytics.trades import closed_trades
from mikrobot.domain.errors import DataError
from mikrobot.domain.market import Bar
from mikrobot.domain.trading import Fill, FillReason, Order, Position, Side
from mikrobot.paper.portfolio import Account, rebuild

Orders, Fills, Bars, At = Callable[..., Order], Callable[..., Fill], Callable[..., Bar], Callable[[float], datetime]
TEN_THOUSAND = Account(Decimal(10_000))
ENTRY, STOP, TARGET, TIME = FillReason.ENTRY, FillReason.STOP, FillReason.TARGET, FillReason.TIME


def closed(account: Account, order: Order, fill: Fills, minute: float, pnl: str) -> Account:
    """Return the account after the order entered and left within a minute."""
    account = account.submit(order).book(fill(order, ENTRY, minute))
    return account.book(fill(order, STOP, minute, pnl))


def test_an_order_waits_then_is_a_position_then_is_gone(order: Orders, fill: Fills, at: At) -> None:
    waiting = TEN_THOUSAND.submit(order())
    assert (waiting.waiting, waiting.positions, waiting.balance) == ({"EURUSD": order()}, {}, 10_000)
    entry = fill(order(), ENTRY, 0)
    held = waiting.book(entry)
    assert (held.waiting, held.positions) == ({}, {"EURUSD": Position(order(), entry)})
    left = held.book(fill(order(), TARGET, 5, "300.00"))
    assert (left.waiting, left.positions, left.engaged(at(5))) == ({}, {}, frozenset())


def test_cash_is_what_was_realised_less_the_fees(order: Orders, fill: Fills) -> None:
    """10,000.00 + 214.20 - 2.10 - 2.10 = 10,210.00."""
    account = TEN_THOUSAND.submit(order()).book(fill(order(), ENTRY, 0, fee="2.10"))
    account = account.book(fill(order(), TARGET, 9, "214.20", fee="2.10"))
    assert (account.balance, account.realised, account.fees) == (
        Decimal("10210.00"),
        Decimal("214.20"),
        Decimal("4.20"),
    )


def test_what_was_once_an_account_does_not_change(order: Orders, fill: Fills) -> None:
    waiting = TEN_THOUSAND.submit(order())
    waiting.book(fill(order(), ENTRY, 0))
    assert waiting == TEN_THOUSAND.submit(order())
    assert Account(Decimal(10_000)) == TEN_THOUSAND


def test_a_second_order_on_a_symbol_is_refused(order: Orders, fill: Fills) -> None:
    waiting = TEN_THOUSAND.submit(order())
    for account in (waiting, waiting.book(fill(order(), ENTRY, 0))):
        with pytest.raises(DataError, match="order run/EURUSD/1: EURUSD has a position or a waiting order already"):
            account.submit(order(minute=1))
    assert waiting.submit(order(symbol="GBPUSD", minute=1)).engaged(order().submitted_at) == {"EURUSD", "GBPUSD"}


def test_an_order_that_found_no_price_in_its_time_no_longer_counts_and_is_replaced(order: Orders, at: At) -> None:
    waiting = TEN_THOUSAND.submit(order())
    assert waiting.engaged(at(29.9)) == {"EURUSD"}
    assert waiting.engaged(at(30)) == frozenset()
    assert waiting.submit(order(minute=30)).waiting == {"EURUSD": order(minute=30)}


@pytest.mark.parametrize("reason", [ENTRY, STOP])
def test_a_fill_of_nothing_is_refused(order: Orders, fill: Fills, reason: FillReason) -> None:
    other = order(minute=7)
    for account in (TEN_THOUSAND, TEN_THOUSAND.submit(order())):
        with pytest.raises(DataError, match=r"fill run/EURUSD/7/\w+ of EURUSD at 2024-03-11 09:07: expected the"):
            account.book(fill(other, reason, 7))


def test_an_exit_of_another_order_than_the_open_one_is_refused(order: Orders, fill: Fills) -> None:
    held = TEN_THOUSAND.submit(order()).book(fill(order(), ENTRY, 0))
    with pytest.raises(DataError, match="expected the position"):
        held.book(fill(order(minute=7), STOP, 7))


def test_the_days_loss_is_net_of_gains_and_fees(order: Orders, fill: Fills, at: At) -> None:
    """-100.00 and two fees of 3.50: 107.00 lost. Then +80.00 and two fees: 107 - 80 + 7 = 34.00."""
    account = closed(TEN_THOUSAND, order(), fill, 1, "-100.00")
    assert account.day_loss(at(1)) == Decimal("107.00")
    account = closed(account, order(minute=2), fill, 3, "80.00")
    assert account.day_loss(at(3)) == Decimal("34.00")
    assert account.day_opening(at(3)) == 10_000


def test_a_day_that_has_gained_has_lost_nothing(order: Orders, fill: Fills, at: At) -> None:
    """First attempt: losses were compared by absolute value, so profits blocked trading."""
    assert closed(TEN_THOUSAND, order(), fill, 1, "900.00").day_loss(at(1)) == 0


def test_a_new_day_starts_without_a_loss_and_with_the_balance_of_its_start(order: Orders, fill: Fills, at: At) -> None:
    account = closed(TEN_THOUSAND, order(), fill, 1, "-100.00")
    midnight = at(15 * 60)
    assert (account.day_loss(midnight), account.day_opening(midnight)) == (0, Decimal("9893.00"))
    account = closed(account, order(minute=900), fill, 901, "-50.00")
    assert account.day_loss(at(901)) == Decimal("57.00")
    assert account.day_opening(at(901)) == Decimal("9893.00")


def test_a_fill_of_yesterday_booked_after_midnights_does_not_count_for_today(
    order: Orders, fill: Fills, at: At
) -> None:
    """In the bar of 23:59, EURUSD is stopped inside (known at 00:00), GBPUSD at the open (23:59)."""
    first, second = order(minute=890), order(symbol="GBPUSD", minute=890)
    account = TEN_THOUSAND.submit(first).submit(second)
    account = account.book(fill(first, ENTRY, 890, fee="0.00")).book(fill(second, ENTRY, 890, fee="0.00"))
    account = account.book(fill(first, STOP, 900, "-30.00", fee="0.00"))
    account = account.book(fill(second, STOP, 899, "-70.00", fee="0.00"))
    assert account.day_loss(at(900)) == Decimal("30.00")
    assert account.day_opening(at(900)) == Decimal("9930.00")
    assert account.balance == Decimal("9900.00")


def test_equity_marks_a_long_at_bid_and_a_short_at_ask(order: Orders, fill: Fills, bar: Bars) -> None:
    """Entered at 1.10000; bid 1.10150, ask 1.10160: long +150.00, short -160.00; one fee of 3.50 paid."""
    for side, equity in ((Side.BUY, "10146.50"), (Side.SELL, "9836.50")):
        account = TEN_THOUSAND.submit(order(side)).book(fill(order(side), ENTRY, 0))
        assert account.equity({"EURUSD": bar(3, (1.1, 1.102, 1.1, 1.1015))}) == Decimal(equity)
    assert TEN_THOUSAND.equity({}) == 10_000


def test_equity_without_the_bar_of_a_position_is_refused(order: Orders, fill: Fills) -> None:
    held = TEN_THOUSAND.submit(order()).book(fill(order(), ENTRY, 0))
    with pytest.raises(DataError, match=r"EURUSD: the open position of order run/EURUSD/0 cannot be valued"):
        held.equity({})


def test_a_rebuilt_account_is_the_one_that_was_left(order: Orders, fill: Fills) -> None:
    void, done, held, waits = order(), order(minute=40), order(symbol="GBPUSD", minute=41), order(minute=50)
    fills = [fill(done, ENTRY, 40), fill(held, ENTRY, 41), fill(done, TARGET, 45, "300.00")]
    account = TEN_THOUSAND.submit(void).submit(done).book(fills[0]).submit(held)
    account = account.book(fills[1]).book(fills[2]).submit(waits)
    assert rebuild([void, done, held, waits], fills, Decimal(10_000)) == account
    assert set(account.waiting) == {"EURUSD"}
    assert set(account.positions) == {"GBPUSD"}


def test_an_order_without_a_price_still_waits_after_a_rebuild(order: Orders) -> None:
    assert rebuild([order()], [], Decimal(10_000)) == TEN_THOUSAND.submit(order())


def test_records_that_do_not_fit_are_refused(order: Orders, fill: Fills) -> None:
    entry, leaving = fill(order(), ENTRY, 0), fill(order(), STOP, 1, "-10.00")
    for fills in ([leaving], [entry, entry], [entry, leaving, leaving], [entry, leaving, entry]):
        with pytest.raises(DataError, match="fill run/EURUSD/0/"):
            rebuild([order()], fills, Decimal(10_000))
    with pytest.raises(DataError, match="the records of this run are incomplete"):
        rebuild([], [entry], Decimal(10_000))


def test_a_trade_is_a_closed_position(order: Orders, fill: Fills) -> None:
    """First attempt: opening a trade was counted as a loss of zero."""
    entry, leaving = fill(order(), ENTRY, 0), fill(order(), TARGET, 4, "300.00")
    assert closed_trades([order()], [entry]) == ()
    (trade,) = closed_trades([order()], [entry, leaving])
    assert (trade.order, trade.entry, trade.exit, trade.pnl) == (order(), entry, leaving, Decimal("293.00"))


def test_trades_come_in_the_order_of_their_exits(order: Orders, fill: Fills) -> None:
    long, short = order(), order(Side.SELL, symbol="GBPUSD")
    fills = [fill(long, ENTRY, 0), fill(short, ENTRY, 0), fill(short, TIME, 2), fill(long, TIME, 3)]
    assert [trade.order for trade in closed_trades([long, short], fills)] == [short, long]

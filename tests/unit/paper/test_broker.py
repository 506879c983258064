from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from mikrobot.domain.errors import BarError
from mikrobot.domain.market import Bar
from mikrobot.domain.trading import Fill, FillReason, Order, Side
from mikrobot.paper.broker import execute
from mikrobot.paper.portfolio import Account

Orders, Bars, At = Callable[..., Order], Callable[..., Bar], Callable[[float], datetime]
TEN_THOUSAND = Account(Decimal(10_000))
QUIET = (1.1, 1.1, 1.1, 1.1)


def run(order: Order, *bars: Bar) -> list[Fill]:
    """Return the fills of an order over bars, on an account of its own."""
    account, fills = TEN_THOUSAND.submit(order), list[Fill]()
    for bar in bars:
        account, filled = execute(account, bar)
        fills += filled
    return fills


def told(fill: Fill) -> tuple[str, str, str]:
    return fill.reason.value, str(fill.price), str(fill.pnl)


def test_a_purchase_enters_at_the_ask_of_the_next_open(order: Orders, bar: Bars, at: At) -> None:
    (entry,) = run(order(), bar(0, QUIET))
    assert entry == Fill(
        id="run/EURUSD/0/entry",
        order_id="run/EURUSD/0",
        symbol="EURUSD",
        side=Side.BUY,
        lots=Decimal(1),
        price=Decimal("1.10010"),
        reason=FillReason.ENTRY,
        fee=Decimal("3.50"),
        pnl=Decimal(0),
        filled_at=at(0),
    )


def test_a_sale_enters_at_the_bid_of_the_next_open(order: Orders, bar: Bars) -> None:
    (entry,) = run(order(Side.SELL), bar(0, QUIET))
    assert (entry.side, entry.price) == (Side.SELL, Decimal("1.10000"))


def test_an_order_sees_no_price_from_before_its_submission(order: Orders, bar: Bars) -> None:
    """Look-ahead: the bar at whose close it was submitted has opened before."""
    assert run(order(), bar(-1, QUIET)) == []
    assert run(order(), bar(-0.5, QUIET)) == []


def test_a_bar_of_another_symbol_fills_nothing(order: Orders, bar: Bars) -> None:
    assert run(order(), bar(0, QUIET, symbol="GBPUSD")) == []


def test_the_typical_spread_holds_where_the_bar_has_none(order: Orders, bar: Bars) -> None:
    (entry,) = run(order(), bar(0, QUIET, spread=float("nan")))
    assert entry.price == Decimal("1.10008")


@pytest.mark.parametrize(
    ("side", "prices", "expected"),
    [
        # long: the bid reaches 1.09800; (1.09800 - 1.10010) x 100,000 = -210.00
        (Side.BUY, (1.1, 1.1005, 1.098, 1.099), ("stop", "1.09800", "-210.00")),
        # long: the bid reaches 1.10300; (1.10300 - 1.10010) x 100,000 = 290.00
        (Side.BUY, (1.1, 1.103, 1.0995, 1.102), ("target", "1.10300", "290.00")),
        # short: the bid reaches 1.10190, which is an ask of 1.10200; (1.10000 - 1.10200) x 100,000 = -200.00
        (Side.SELL, (1.1, 1.1019, 1.0995, 1.1), ("stop", "1.10200", "-200.00")),
        # short: the bid reaches 1.09690, which is an ask of 1.09700; (1.10000 - 1.09700) x 100,000 = 300.00
        (Side.SELL, (1.1, 1.1005, 1.0969, 1.098), ("target", "1.09700", "300.00")),
    ],
)
def test_a_bracket_leaves_at_its_stop_or_at_its_target(
    order: Orders, bar: Bars, at: At, side: Side, prices: tuple[float, ...], expected: tuple[str, ...]
) -> None:
    _, leaving = run(order(side), bar(0, QUIET), bar(1, prices))
    assert told(leaving) == expected
    assert (leaving.id, leaving.side, leaving.filled_at) == ("run/EURUSD/0/exit", side.opposite, at(2))
    assert not leaving.ambiguous


@pytest.mark.parametrize(
    ("side", "prices"),
    [
        (Side.BUY, (1.1, 1.10299, 1.09801, 1.1)),
        (Side.SELL, (1.1, 1.10189, 1.09691, 1.1)),
    ],
)
def test_a_tick_short_of_stop_and_target_nothing_happens(
    order: Orders, bar: Bars, side: Side, prices: tuple[float, ...]
) -> None:
    assert len(run(order(side), bar(0, QUIET), bar(1, prices))) == 1


@pytest.mark.parametrize(
    ("side", "stop"), [(Side.BUY, ("stop", "1.09800", "-210.00")), (Side.SELL, ("stop", "1.10200", "-200.00"))]
)
def test_stop_and_target_in_one_bar_is_the_stop_and_ambiguous(
    order: Orders, bar: Bars, side: Side, stop: tuple[str, ...]
) -> None:
    _, leaving = run(order(side), bar(0, QUIET), bar(1, (1.1, 1.104, 1.096, 1.101)))
    assert told(leaving) == stop
    assert leaving.ambiguous


def test_a_bar_with_both_in_the_entry_bar_costs_the_stop(order: Orders, bar: Bars) -> None:
    """Scenario B01: without a spread, (1.09800 - 1.10000) x 100,000 = -200.00."""
    entry, leaving = run(order(), bar(1, (1.1, 1.104, 1.097, 1.101), spread=0.0))
    assert (str(entry.price), told(leaving)) == ("1.10000", ("stop", "1.09800", "-200.00"))
    assert leaving.ambiguous


def test_the_target_may_be_reached_in_the_entry_bar(order: Orders, bar: Bars) -> None:
    """The entry is the open, so the whole bar comes after it."""
    _, leaving = run(order(), bar(0, (1.1, 1.1035, 1.0995, 1.1)))
    assert told(leaving) == ("target", "1.10300", "290.00")


@pytest.mark.parametrize(
    ("side", "prices", "expected"),
    [
        (Side.BUY, (1.095, 1.104, 1.094, 1.1), ("stop", "1.09500", "-510.00")),
        (Side.SELL, (1.105, 1.106, 1.09, 1.1), ("stop", "1.10510", "-510.00")),
    ],
)
def test_a_gap_through_the_stop_fills_at_the_open_without_doubt(
    order: Orders, bar: Bars, at: At, side: Side, prices: tuple[float, ...], expected: tuple[str, ...]
) -> None:
    _, leaving = run(order(side), bar(0, QUIET), bar(1, prices))
    assert told(leaving) == expected
    assert (leaving.filled_at, leaving.ambiguous) == (at(1), False)


@pytest.mark.parametrize(
    ("side", "prices", "expected"),
    [
        (Side.BUY, (1.105, 1.106, 1.09, 1.1), ("target", "1.10300", "290.00")),
        (Side.SELL, (1.095, 1.104, 1.094, 1.1), ("target", "1.09700", "300.00")),
    ],
)
def test_a_gap_through_the_target_fills_at_the_limit_without_improvement(
    order: Orders, bar: Bars, at: At, side: Side, prices: tuple[float, ...], expected: tuple[str, ...]
) -> None:
    _, leaving = run(order(side), bar(0, QUIET), bar(1, prices))
    assert told(leaving) == expected
    assert (leaving.filled_at, leaving.ambiguous) == (at(1), False)


@pytest.mark.parametrize(
    ("side", "expected"), [(Side.BUY, ("time", "1.10100", "90.00")), (Side.SELL, ("time", "1.10110", "-110.00"))]
)
def test_time_is_up_at_the_first_open_at_or_after_it(
    order: Orders, bar: Bars, at: At, side: Side, expected: tuple[str, ...]
) -> None:
    _, leaving = run(order(side), bar(0, QUIET), bar(29, QUIET), bar(30, (1.101, 1.104, 1.096, 1.1)))
    assert told(leaving) == expected
    assert leaving.filled_at == at(30)
    _, later = run(order(side), bar(0, QUIET), bar(47, (1.101, 1.104, 1.096, 1.1)))
    assert (told(later), later.filled_at) == (expected, at(47))


def test_over_a_weekend_a_position_leaves_at_the_first_open(order: Orders, bar: Bars) -> None:
    """A stop at 1.09800 does not help against an open of 1.09000: (1.09000 - 1.10010) x 100,000 = -1,010.00."""
    _, leaving = run(order(), bar(0, QUIET), bar(3 * 24 * 60, (1.09, 1.091, 1.089, 1.09)))
    assert told(leaving) == ("stop", "1.09000", "-1010.00")


def test_a_gap_before_the_entry_is_waited_for(order: Orders, bar: Bars, at: At) -> None:
    (entry,) = run(order(), bar(29, QUIET))
    assert entry.filled_at == at(29)


def test_an_order_without_a_price_in_its_time_is_void(order: Orders, bar: Bars) -> None:
    assert run(order(), bar(30, QUIET), bar(3 * 24 * 60, QUIET)) == []


def test_an_entry_beyond_its_own_stop_leaves_at_the_same_open(order: Orders, bar: Bars, at: At) -> None:
    """It costs the spread: -10.00 a lot."""
    entry, leaving = run(order(), bar(0, (1.097, 1.104, 1.0965, 1.1)))
    assert (str(entry.price), told(leaving)) == ("1.09710", ("stop", "1.09700", "-10.00"))
    assert entry.filled_at == leaving.filled_at == at(0)


def test_the_account_that_comes_back_has_the_fills_booked(order: Orders, bar: Bars) -> None:
    """10,000.00 - 3.50 - 3.50 + 290.00 = 10,283.00."""
    account, (entry,) = execute(TEN_THOUSAND.submit(order()), bar(0, QUIET))
    assert account == TEN_THOUSAND.submit(order()).book(entry)
    account, _ = execute(account, bar(1, (1.1, 1.103, 1.0995, 1.102)))
    assert (account.balance, account.positions) == (Decimal("10283.00"), {})


def test_a_bar_seen_again_or_from_the_past_fills_nothing_more(order: Orders, bar: Bars) -> None:
    entered, _ = execute(TEN_THOUSAND.submit(order()), bar(0, QUIET))
    for again in (bar(0, QUIET), bar(-5, (1.1, 1.104, 1.096, 1.1))):
        assert execute(entered, again) == (entered, ())


@pytest.mark.parametrize(
    "prices",
    [
        (1.1, 1.09, 1.095, 1.1),
        (1.1, 1.11, 1.105, 1.1),
        (1.1, float("nan"), 1.09, 1.1),
        (float("nan"), 1.11, 1.09, 1.1),
        (0.0, 1.11, 0.0, 1.1),
        (1.1, float("inf"), 1.09, 1.1),
        (-1.1, 1.11, -1.2, 1.1),
    ],
)
def test_a_corrupt_bar_is_refused_by_symbol_and_time(order: Orders, bar: Bars, prices: tuple[float, ...]) -> None:
    with pytest.raises(BarError, match="EURUSD 2024-03-11 09:00: expected finite prices with 0 < low <= open, close"):
        run(order(), bar(0, prices))


def test_a_yen_pair_is_booked_in_dollars(order: Orders, bar: Bars) -> None:
    """0.88 lots, ask 150.008, stop 149.850: -0.158 x 88,000 = -13,904 yen; / 149.850 = -92.79 dollars."""
    yen = order(symbol="USDJPY", lots="0.88", stop="149.850", target="150.375")
    entry, leaving = run(yen, bar(0, (150.0, 150.1, 149.8, 149.9), spread=0.008, symbol="USDJPY"))
    assert (str(entry.fee), told(leaving)) == ("3.08", ("stop", "149.850", "-92.79"))


def test_a_crypto_short_pays_the_taker_fee_of_its_notional_twice(order: Orders, bar: Bars) -> None:
    """0.55533 BTC: entry 60,000.00, fee 33.3198; stop 60,060.01: -33.32535, fee 33.35313. Together -100.00."""
    short = order(Side.SELL, symbol="BTCUSDT", lots="0.55533", stop="60060.01", target="59850.01")
    prices = (60_000.0, 60_100.0, 59_990.0, 60_050.0)
    entry, leaving = run(short, bar(0, prices, spread=0.01, symbol="BTCUSDT"))
    assert (str(entry.price), str(entry.fee)) == ("60000.00", "33.32")
    assert (told(leaving), str(leaving.fee)) == (("stop", "60060.01", "-33.33"), "33.35")


def test_fills_are_a_function_of_order_and_bar_and_never_at_zero(order: Orders, bar: Bars) -> None:
    """First attempt: fills at a random price, or at 0."""
    bars = (bar(0, QUIET), bar(1, (1.1, 1.104, 1.096, 1.101)))
    assert run(order(), *bars) == run(order(), *bars)
    assert all(fill.price > 1 for fill in run(order(), *bars))


def test_money_and_prices_are_decimals_to_the_cent_and_the_tick(order: Orders, bar: Bars) -> None:
    for fill in run(order(lots="0.37"), bar(0, (1.100004, 1.104, 1.1, 1.101), spread=12 * 1e-5)):
        assert {type(fill.price), type(fill.fee), type(fill.pnl), type(fill.lots)} == {Decimal}
        assert fill.price % Decimal("0.00001") == fill.fee % Decimal("0.01") == fill.pnl % Decimal("0.01") == 0


def test_a_price_between_ticks_is_rounded_against_the_taker(order: Orders, bar: Bars) -> None:
    off = (1.100004, 1.100004, 1.100004, 1.100004)
    assert [run(order(side), bar(0, off))[0].price for side in (Side.BUY, Side.SELL)] == [
        Decimal("1.10011"),
        Decimal("1.10000"),
    ]


def test_an_hour_of_quiet_costs_two_fees_and_the_spread(order: Orders, bar: Bars) -> None:
    fills = run(order(), *(bar(minute, QUIET) for minute in range(60)))
    assert [fill.reason for fill in fills] == [FillReason.ENTRY, FillReason.TIME]
    assert sum(fill.pnl - fill.fee for fill in fills) == Decimal("-17.00")
    assert fills[1].filled_at - fills[0].filled_at == timedelta(minutes=30)

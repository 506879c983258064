"""Orders that a venue rejects: each gives its reason and moves no cash."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from mikrobot.domain.trading import Side
from mikrobot.paper import journal
from mikrobot.paper.account import Account
from mikrobot.paper.exchange import Exchange
from mikrobot.paper.orders import Bracket, OrderRequest, OrderType, Status
from mikrobot.paper.slippage import Latency
from tests.unit.paper.venue import CASH, CONTRACTS, DAY, EURUSD, HEDGING, HOUR, MINUTE, MONDAY, NETTING, Venue

LIMIT = {"type": "limit", "price": "1.09900"}


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"quantity": "-1000"}, "EURUSD: a quantity must be positive, not -1000"),
        ({"quantity": "0"}, "EURUSD: a quantity must be positive, not 0"),
        ({"quantity": "1500"}, "EURUSD: a quantity must be a multiple of 1000, not 1500"),
        ({"quantity": "NaN"}, "EURUSD: a quantity must be a finite number, not NaN"),
        ({"type": "limit", "price": "1.099001"}, "EURUSD: a limit must be a multiple of 0.00001, not 1.099001"),
        ({"type": "limit", "price": "-1.1"}, "EURUSD: a limit must be positive, not -1.1"),
        ({"type": "limit"}, "order a: a limit order needs a price"),
        ({"type": "stop", "stop": "1.2", "price": "1.2"}, "order a: a stop order has no price; leave it out"),
        ({"type": "trailing_stop", "trail": "0.000001"}, "EURUSD: a trailing distance must be a multiple of 0.00001"),
        ({"symbol": "EURXXX"}, "unknown symbol 'EURXXX'; the venue lists EURUSD, GBPUSD"),
        ({"expires": 5}, "order a: a GTD order needs an expiry time, and no other order has one"),
        ({"post_only": True}, "order a: only a resting limit order can be post-only"),
        ({"ticket": "x"}, "order a: a netting account has no tickets"),
    ],
)
def test_an_invalid_request_is_refused_immediately(order: dict[str, Any], reason: str) -> None:
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    terms = {"symbol": "EURUSD", "side": "buy", "quantity": "1000", **order}
    quantity = terms.pop("quantity")
    assert venue.send("a", terms.pop("symbol"), terms.pop("side"), quantity, **terms).startswith(reason)
    assert venue.reasons()[0].startswith(reason)
    assert venue.account.orders == {}
    assert venue.account.totals == {("deposit", "USD"): 1_000_000}


def test_an_order_id_cannot_be_used_again() -> None:
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "1000")
    balance = venue.balance()
    assert "the account has an order with this id already" in venue.send("a", "EURUSD", "buy", "1000")
    assert (venue.balance(), venue.account.net("EURUSD"), venue.status("a")) == (balance, 1, Status.FILLED)


@pytest.mark.parametrize(
    ("side", "type", "terms", "reason"),
    [
        ("sell", "stop", {"stop": "1.10000"}, "a sell stop must be below the bid 1.10000, not at 1.10000"),
        ("buy", "stop", {"stop": "1.10010"}, "a buy stop must be above the ask 1.10010, not at 1.10010"),
        ("buy", "stop_limit", {"stop": "1.10000", "price": "1.10100"}, "a buy stop must be above the ask"),
        ("buy", "limit", {"price": "1.10010", "post_only": True}, "post-only at 1.10010 would cross the market"),
    ],
)
def test_an_order_on_the_wrong_side_of_the_market_is_rejected(
    side: str, type: str, terms: dict[str, Any], reason: str
) -> None:
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", side, "1000", type, **terms)
    assert venue.status("a") is Status.REJECTED
    assert venue.reasons()[0].startswith(reason)
    assert venue.balance() == 10_000


@pytest.mark.parametrize(
    ("side", "sl", "tp", "reason"),
    [
        ("buy", "1.10000", "1.10300", "the stop loss at 1.10000 is on the wrong side of the market at 1.10000"),
        ("buy", "1.09800", "1.10000", "the take profit at 1.10000 is on the wrong side of the market at 1.10000"),
        ("sell", "1.10010", "1.09000", "the stop loss at 1.10010 is on the wrong side of the market at 1.10010"),
    ],
)
def test_exits_that_the_market_has_reached_reject_their_entry(side: str, sl: str, tp: str, reason: str) -> None:
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    venue.send_bracket("B", "EURUSD", side, "1000", sl, tp)
    assert venue.reasons() == [reason]
    assert [venue.status(leg) for leg in ("B", "B.sl", "B.tp")] == [Status.REJECTED, Status.CANCELED, Status.CANCELED]


def test_a_stop_loss_beyond_the_target_is_refused() -> None:
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    assert venue.send_bracket("B", "EURUSD", "buy", "1000", "1.10500", "1.10300") == (
        "bracket B: the stop loss must be below the take profit"
    )
    assert venue.account.orders == {}


def test_fx_is_closed_from_friday_to_sunday_17_00_in_new_york() -> None:
    venue = Venue(contracts=(replace(EURUSD, session="fx"),)).quote("EURUSD", "1.10000", "1.10010")
    friday, sunday = MONDAY + 4 * DAY + 21 * HOUR, MONDAY + 6 * DAY + 21 * HOUR
    for name, ts in (("last", friday - 1), ("late", friday), ("early", sunday - 1), ("first", sunday)):
        venue.at(ts).send(name, "EURUSD", "buy", "1000")
    statuses = {name: venue.status(name) for name in ("last", "late", "early", "first")}
    assert statuses == {
        "last": Status.FILLED, "late": Status.REJECTED, "early": Status.REJECTED, "first": Status.FILLED,
    }  # fmt: skip
    assert venue.reasons()[0] == "EURUSD is closed at this hour"


def test_an_order_before_the_first_quote_is_rejected() -> None:
    venue = Venue()
    venue.send("a", "EURUSD", "buy", "1000")
    assert venue.reasons() == ["EURUSD has not been quoted yet"]


def test_a_missing_or_stale_rate_opens_nothing() -> None:
    venue = Venue().quote("EURJPY", "162.000", "162.020")
    venue.send("none", "EURJPY", "buy", "1000")
    venue.quote("USDJPY", "150.000", "150.010")
    venue.at(venue.ts + MINUTE).send("fresh", "EURJPY", "buy", "1000")
    venue.at(venue.ts + 1).send("stale", "EURJPY", "buy", "1000")
    assert [venue.status(name) for name in ("none", "fresh", "stale")] == [
        Status.REJECTED, Status.FILLED, Status.REJECTED,
    ]  # fmt: skip
    assert venue.reasons() == ["there is no rate from JPY to USD", "there is only a stale rate from JPY to USD"]


def test_a_resting_entry_whose_rate_has_gone_stale_is_canceled_when_it_would_fill() -> None:
    venue = Venue().quote("USDJPY", "150.000", "150.010").quote("EURJPY", "162.000", "162.020")
    venue.send("a", "EURJPY", "buy", "1000", "limit", price="161.000")
    venue.at(venue.ts + 2 * MINUTE).quote("EURJPY", "160.900", "160.920")
    assert venue.status("a") is Status.CANCELED
    assert venue.fills() == []


def test_an_exit_uses_the_last_rate_and_records_that_it_was_stale() -> None:
    """100,000 x 0.480 = 48,000 yen; at an ask of 150.010: 319.98."""
    venue = Venue().quote("USDJPY", "150.000", "150.010").quote("EURJPY", "162.000", "162.020")
    venue.send("a", "EURJPY", "buy", "100000")
    venue.at(venue.ts + HOUR).quote("EURJPY", "162.500", "162.520").send("b", "EURJPY", "sell", "100000")
    assert str(venue.balance()) == "10319.98"
    assert [fill.stale_rate for fill in venue.fills()] == [False, True]


def test_a_commission_in_a_currency_without_a_fresh_rate_opens_nothing() -> None:
    """A commission of 3.00 pounds at an ask of 1.27010: 3.81 dollars."""
    venue = Venue(replace(NETTING, commission_per_lot=Decimal(3), commission_currency="GBP"))
    venue.quote("EURUSD", "1.10000", "1.10010").send("none", "EURUSD", "buy", "100000")
    venue.quote("GBPUSD", "1.27000", "1.27010").send("fresh", "EURUSD", "buy", "100000")
    venue.at(venue.ts + MINUTE + 1).send("stale", "EURUSD", "buy", "100000")
    assert venue.reasons() == ["there is no rate from GBP to USD", "there is only a stale rate from GBP to USD"]
    assert venue.booked("fee") == [Decimal("-3.81")]
    venue.send("exit", "EURUSD", "sell", "100000")
    assert venue.booked("fee") == [Decimal("-3.81"), Decimal("-3.81")]
    assert [fill.stale_rate for fill in venue.fills()] == [False, True]


def test_an_exit_without_a_conversion_rate_is_canceled_and_books_nothing() -> None:
    venue = Venue().quote("USDJPY", "150.000", "150.010").quote("EURJPY", "162.000", "162.020")
    venue.send("a", "EURJPY", "buy", "100000")
    restarted = Exchange(CONTRACTS)
    account = restarted.restore(
        Account.rebuilt("a", NETTING, restarted.contracts, journal.parse(journal.lines(venue.account.journal)))
    )
    restarted.quote(venue.ts, "EURJPY", 162_500, 162_520)
    restarted.submit("a", venue.ts, OrderRequest("b", "EURJPY", Side.SELL, Decimal(100_000)))
    restarted.settle(venue.ts)
    assert account.orders["b"].status is Status.CANCELED
    assert account.net("EURJPY") == 100
    assert account.balances == venue.account.balances


def test_a_cash_account_has_no_credit() -> None:
    venue = Venue(CASH, {"USDT": "1000"}).quote("BTCUSDT", "49990.00", "50000.00")
    venue.send("short", "BTCUSDT", "sell", "0.01")
    venue.send("exact", "BTCUSDT", "buy", "0.01998")  # 999.00 and a fee of 0.999
    venue.send("more", "BTCUSDT", "buy", "0.00001")
    assert [venue.status(name) for name in ("short", "exact", "more")] == [
        Status.REJECTED, Status.FILLED, Status.REJECTED,
    ]  # fmt: skip
    assert str(venue.balance("USDT")) == "0.00100000"


def test_a_ticket_without_a_position_closes_nothing() -> None:
    venue = Venue(HEDGING).quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "sell", "1000", ticket="nobody")
    assert venue.status("a") is Status.CANCELED
    assert venue.account.positions == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quantity": "500"}, "EURUSD: a quantity must be a multiple of 1000"),
        ({"price": "1.099001"}, "EURUSD: a limit must be a multiple of 0.00001"),
        ({"stop": "1.2"}, "a limit order has no such price"),
    ],
)
def test_an_invalid_modification_leaves_the_order_unchanged(change: dict[str, str], reason: str) -> None:
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "2000", **LIMIT)
    order = venue.account.orders["a"]
    before = (order.quantity, order.price, order.stop, order.seq)
    refused = venue.exchange.modify("a", venue.ts, "a", **{name: Decimal(value) for name, value in change.items()})
    assert refused.startswith(reason)
    assert (order.quantity, order.price, order.stop, order.seq) == before
    assert venue.notes() == ["modify_refused"]


@pytest.mark.parametrize("latency", [0.0, 20.0])
@pytest.mark.parametrize(
    ("terms", "change", "reason"),
    [
        ({"type": "limit", "price": "1.09900", "post_only": True}, {"price": "1.10010"}, "post-only at 1.10010 would"),
        ({"type": "limit", "price": "1.09900"}, {"quantity": "900000"}, "not enough free margin"),
        ({"type": "stop", "stop": "1.10200"}, {"quantity": "900000"}, "not enough free margin"),
        ({"type": "stop", "stop": "1.10200"}, {"stop": "1.10010"}, "a buy stop must be above the ask 1.10010"),
        ({"type": "trailing_stop", "trail": "0.00100"}, {"quantity": "900000"}, "not enough free margin"),
    ],
)
def test_a_modification_passes_the_checks_of_a_new_order_before_and_after_its_arrival(
    terms: dict[str, Any], change: dict[str, str], reason: str, latency: float
) -> None:
    venue = Venue(replace(NETTING, latency=Latency(latency))).quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "2000", **terms)
    order = venue.account.orders["a"]
    before = (order.quantity, order.price, order.stop)
    refusal = venue.exchange.modify("a", venue.ts, "a", **{name: Decimal(value) for name, value in change.items()})
    assert refusal.startswith(reason)
    assert (order.quantity, order.price, order.stop) == before
    venue.at(venue.ts + 20)
    assert venue.status("a") is Status.WORKING


def test_a_reduce_only_sale_is_never_larger_than_the_coins() -> None:
    venue = Venue(CASH, {"USDT": "0", "BTC": "1"}).quote("BTCUSDT", "49990.00", "50000.00")
    venue.send("a", "BTCUSDT", "sell", "0.5", "limit", price="51000.00", reduce_only=True)
    assert venue.exchange.modify("a", venue.ts, "a", quantity=Decimal(3)) == ""
    assert venue.account.orders["a"].quantity == 100_000


def test_exits_stay_while_their_entry_may_still_open_more() -> None:
    """4,000 of 10,000 fill and are sold by another order; the stop covers the 6,000 that fill later."""
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    entry = OrderRequest("B", "EURUSD", Side.BUY, Decimal(10_000), OrderType.LIMIT, Decimal("1.09900"))
    venue.exchange.submit("a", venue.ts, Bracket("B", entry, Decimal("1.09000")))
    venue.at(venue.ts).quote("EURUSD", "1.09890", "1.09900", "4000")
    venue.send("out", "EURUSD", "sell", "4000")
    venue.quote("EURUSD", "1.09890", "1.09900", "9000").quote("EURUSD", "1.09000", "1.09010", "9000")
    assert [(fill.order, fill.quantity) for fill in venue.fills()] == [("B", 4), ("out", 4), ("B", 6), ("B.sl", 6)]


def test_a_modification_below_the_filled_quantity_is_refused() -> None:
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "5000", **LIMIT)
    venue.quote("EURUSD", "1.09890", "1.09900", "3000")
    assert "3000 of it has filled already" in venue.exchange.modify("a", venue.ts, "a", quantity=Decimal(2000))
    assert venue.exchange.modify("a", venue.ts, "a", quantity=Decimal(4000)) == ""
    venue.quote("EURUSD", "1.09890", "1.09900", "9000")
    assert venue.account.net("EURUSD") == 4


def test_an_ended_order_cannot_be_canceled() -> None:
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "1000")
    assert venue.exchange.cancel("a", venue.ts, "a") == "there is no working order with this id"
    assert venue.exchange.cancel("a", venue.ts, "b") == "there is no working order with this id"
    assert venue.status("a") is Status.FILLED


def test_an_entry_that_has_the_id_of_its_own_exit_is_refused() -> None:
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    entry = OrderRequest("a.sl", "EURUSD", Side.BUY, Decimal(100_000))
    reason = venue.exchange.submit("a", venue.ts, Bracket("a", entry, Decimal("1.09"), Decimal("1.11")))
    assert reason == "order a.sl: an exit of its bracket has the same id; use another id for the entry"
    assert venue.account.orders == {}

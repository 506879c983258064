"""Free cash, locked cash and losses for all order and account types, computed by hand."""

from typing import Any

import pytest

from mikrobot.paper.scenario import simulate
from tests.reference.paper.cases import BTCUSDT, EURJPY, EURUSD, PERP, USDJPY, bar, book, order, quote, snapshot, submit

GBPUSD = EURUSD | {"symbol": "GBPUSD", "base": "GBP"}
FREE = BTCUSDT | {"maker_fee": "0", "taker_fee": "0"}
FEES = BTCUSDT | {"maker_fee": "0.001", "taker_fee": "0.002"}
MILLE = BTCUSDT | {"maker_fee": "0.001", "taker_fee": "0.001"}
SPOT_PERP = PERP | {"maker_fee": "0", "taker_fee": "0", "maintenance_rate": "0.005"}


def margin(balance: str = "10000", currency: str = "USD", **rest: Any) -> dict[str, Any]:
    return {"type": "margin", "base_currency": currency, "balances": {currency: balance}, "leverage": "30", **rest}


def cash(**balances: str) -> dict[str, Any]:
    return {"type": "cash", "base_currency": None, "balances": balances}


def play(account: dict[str, Any], instruments: list[dict[str, Any]], *events: dict[str, Any]) -> dict[str, Any]:
    return simulate({"account": account, "instruments": instruments, "events": list(events)})


def fills(result: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return order, side, quantity and price of each fill; a forced close loses the number in its id."""
    return [(_plain(f["order"]), f["side"], f["qty"], f["price"]) for f in result["fills"]]


def _plain(name: str) -> str:
    return name.split(".")[0] if name.startswith(("stop_out.", "liquidation.")) else name


def status(result: dict[str, Any]) -> dict[str, str]:
    return {name: state["status"] for name, state in result["orders"].items()}


def reason(result: dict[str, Any], name: str) -> str:
    return str(result["reasons"][name])


def spot(t: int, bid: str, ask: str, size: str = "9") -> dict[str, Any]:
    return book(t, [[bid, size]], [[ask, size]])


def perp(t: int, bid: str, ask: str, size: str = "900") -> dict[str, Any]:
    return book(t, [[bid, size]], [[ask, size]], "BTCPERP")


def coins(t: int, id: str, side: str, qty: str, type: str = "market", **rest: Any) -> dict[str, Any]:
    return submit(t, id, side, qty, type, "BTCUSDT", **rest)


def pair(t: int, first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return {"t": t, "type": "oco", "orders": [first, second]}


# spot: two orders that cancel each other lock their coins once


@pytest.mark.parametrize(
    ("bid", "ask", "leg", "price"),
    [("38990.00", "39100.00", "B.sl", "38990.00"), ("42000.00", "42100.00", "B.tp", "42000.00")],
)
def test_either_exit_of_a_spot_bracket_fills_and_cancels_the_other(bid: str, ask: str, leg: str, price: str) -> None:
    """The two exits lock the same 2 coins once."""
    result = play(
        cash(USDT="90000"),
        [FEES],
        spot(0, "39900.00", "40100.00"),
        coins(10, "B", "buy", "2", "bracket", entry={"type": "market"}, sl="39000.00", tp="42000.00"),
        snapshot(15),
        spot(20, bid, ask),
        snapshot(30),
    )
    assert fills(result) == [
        ("B.entry", "buy", "2.000000", "40100.00"),
        (leg, "sell", "2.000000", price),
    ]
    assert sorted(status(result).values()) == ["canceled", "filled", "filled"]
    assert result["snapshots"][0]["free"]["BTC"] == "0.00000000"
    assert result["snapshots"][1]["balances"]["BTC"] == "0.00000000"


def test_a_spot_bracket_that_sells_buys_its_coins_back() -> None:
    """The sale brings 1.5 x 40,000 = 60,000; the stop buys 1.5 at 41,010 for 61,515 of the 70,000 available."""
    result = play(
        cash(USDT="10000", BTC="1.5"),
        [FREE],
        spot(0, "40000.00", "40010.00"),
        coins(10, "B", "sell", "1.5", "bracket", entry={"type": "market"}, sl="41000.00", tp="38000.00"),
        spot(20, "41000.00", "41010.00"),
        snapshot(30),
    )
    assert fills(result) == [
        ("B.entry", "sell", "1.500000", "40000.00"),
        ("B.sl", "buy", "1.500000", "41010.00"),
    ]
    assert result["final"]["balances"] == {"USDT": "8485.00000000", "BTC": "1.50000000"}


@pytest.mark.parametrize(
    ("stop", "bid", "ask", "leg", "price"),
    [
        ({"type": "stop", "stop": "39000.00"}, "38900.00", "38950.00", "down", "38900.00"),
        ({"type": "stop_limit", "stop": "39000.00", "price": "38800.00"}, "38900.00", "38950.00", "down", "38900.00"),
        ({"type": "trailing_stop", "trail": "1000.00"}, "38900.00", "38950.00", "down", "38900.00"),
        ({"type": "stop", "stop": "39000.00"}, "41000.00", "41100.00", "up", "41000.00"),
    ],
)
def test_two_sales_of_the_same_coins_are_locked_once(
    stop: dict[str, str], bid: str, ask: str, leg: str, price: str
) -> None:
    result = play(
        cash(USDT="0", BTC="2"),
        [FREE],
        spot(0, "40000.00", "40100.00"),
        pair(
            10,
            order("up", "sell", "2", "limit", "BTCUSDT", price="41000.00"),
            order("down", "sell", "2", symbol="BTCUSDT", **stop),
        ),
        coins(11, "third", "sell", "0.000001", "limit", price="45000.00"),
        spot(20, bid, ask),
    )
    assert fills(result) == [(leg, "sell", "2.000000", price)]
    assert status(result)["third"] == "rejected"


@pytest.mark.parametrize(("free", "expected"), [("123000", "working"), ("122999.99", "rejected")])
def test_two_buys_lock_the_larger_amount_and_leave_the_rest_for_a_third(free: str, expected: str) -> None:
    """2 at 42,000 plus 0.2 % cost 84,168 (the limit: 76,076); 38,793.20 plus 0.1 % raises it to 122,999.9932."""
    result = play(
        cash(USDT=free),
        [FEES],
        spot(0, "39900.00", "40100.00"),
        pair(
            10,
            order("low", "buy", "2", "limit", "BTCUSDT", price="38000.00"),
            order("high", "buy", "2", "stop", "BTCUSDT", stop="42000.00"),
        ),
        coins(11, "third", "buy", "1", "limit", price="38793.20"),
        snapshot(12),
        spot(20, "41900.00", "42000.00"),
    )
    assert status(result) == {"low": "canceled", "high": "filled", "third": expected}


def test_a_stop_sells_coins_that_were_sold_and_bought_again() -> None:
    result = play(
        cash(USDT="0", BTC="2"),
        [FREE],
        spot(0, "40000.00", "40000.01"),
        coins(10, "out", "sell", "2"),
        coins(11, "B", "buy", "1.5", "bracket", entry={"type": "market"}, sl="39000.00"),
        spot(20, "38990.00", "39100.00"),
    )
    assert fills(result)[2] == ("B.sl", "sell", "1.500000", "38990.00")


def test_on_a_spot_account_reduce_only_sells_only_held_coins() -> None:
    """Another sell order locks 0.5 of 2 coins, so 1.5 can be sold; a buy reduces nothing."""
    result = play(
        cash(USDT="90000", BTC="2"),
        [FREE],
        spot(0, "40000.00", "40000.01"),
        coins(10, "other", "sell", "0.5", "limit", price="45000.00"),
        coins(11, "x", "sell", "9", reduce_only=True),
        coins(12, "y", "sell", "9", reduce_only=True),
        coins(13, "z", "buy", "1", reduce_only=True),
        coins(14, "w", "sell", "9", "limit", price="46000.00", reduce_only=True),
        snapshot(15),
    )
    assert fills(result) == [("x", "sell", "1.500000", "40000.00")]
    assert status(result) == {"other": "working", "x": "filled", "y": "canceled", "z": "canceled", "w": "canceled"}
    assert result["snapshots"][0]["free"]["BTC"] == "0.00000000"


def test_a_withdrawal_of_coins_reduces_the_stop_that_covers_them() -> None:
    result = play(
        cash(USDT="90000"),
        [FREE],
        spot(0, "40000.00", "40000.01"),
        coins(10, "B", "buy", "2", "bracket", entry={"type": "market"}, sl="39000.00", tp="45000.00"),
        {"t": 20, "type": "deposit", "currency": "BTC", "amount": "-0.5"},
        spot(30, "39000.00", "39100.00"),
    )
    assert fills(result)[1] == ("B.sl", "sell", "1.500000", "39000.00")
    assert status(result)["B.tp"] == "canceled"


def test_a_spot_stop_fills_level_by_level() -> None:
    """It fills 0.4 at 38,990 and 0.6 at 38,900, although the target locks the same coin."""
    result = play(
        cash(USDT="90000"),
        [FREE],
        spot(0, "40000.00", "40000.01"),
        coins(10, "B", "buy", "1", "bracket", entry={"type": "market"}, sl="39000.00", tp="45000.00"),
        book(20, [["38990.00", "0.4"], ["38900.00", "5"]], [["39100.00", "5"]]),
    )
    assert fills(result)[1:] == [
        ("B.sl", "sell", "0.400000", "38990.00"),
        ("B.sl", "sell", "0.600000", "38900.00"),
    ]


def test_the_unrealised_profit_of_spot_coins_is_based_on_their_average_cost() -> None:
    """1 at 40,000 and 3 at 44,000 average 43,000; a bid of 42,000 gives -4,000, and -3,000 after a sale of one."""
    result = play(
        cash(USDT="500000", BTC="7"),
        [FREE],
        spot(0, "39999.00", "40000.00"),
        coins(10, "a", "buy", "1"),
        spot(20, "43999.00", "44000.00"),
        coins(21, "b", "buy", "3"),
        spot(30, "42000.00", "42001.00"),
        snapshot(31),
        coins(32, "c", "sell", "1"),
        snapshot(33),
        coins(34, "d", "sell", "9"),
        snapshot(35),
    )
    assert [shot["unrealized"] for shot in result["snapshots"]] == [
        {"USDT": "-4000.00000000"},
        {"USDT": "-3000.00000000"},
        {},
    ]


# spot: exits that buy back what their entry sold


def sold(t: int, id: str = "B", sl: str = "51000.00", **rest: Any) -> dict[str, Any]:
    """Return a bracket that sells 1 BTC at the market: at 50,000 less 0.1 % it brings 49,950."""
    return coins(t, id, "sell", "1", "bracket", entry={"type": "market"}, sl=sl, **rest)


@pytest.mark.parametrize("exits", [{}, {"tp": "48000.00"}])
def test_an_exit_that_cannot_pay_in_full_is_cut_to_the_available_cash(exits: dict[str, str]) -> None:
    """49,950 / (51,000 x 1.001) = 0.978433...; these coins cost 49,949.983083."""
    result = play(
        cash(BTC="1"),
        [MILLE],
        spot(0, "50000.00", "50000.01"),
        sold(10, **exits),
        snapshot(11),
        spot(20, "50999.99", "51000.00"),
        snapshot(21),
    )
    assert fills(result)[1:] == [("B.sl", "buy", "0.978433", "51000.00")]
    assert status(result) == {"B.entry": "filled", "B.sl": "filled"} | ({"B.tp": "canceled"} if exits else {})
    assert reason(result, "B.sl") == "cut to what the free USDT pays"
    assert [shot["free"]["USDT"] for shot in result["snapshots"]] == ["0.00000000", "0.01691700"]
    assert result["final"]["balances"] == {"BTC": "0.97843300", "USDT": "0.01691700"}


@pytest.mark.parametrize(
    ("money", "free", "price", "state"),
    [
        ("10000", "8899.00000000", "8890.10", "working"),  # 8,890.10 x 1.001 = 8,898.9901
        ("10000", "8899.00000000", "8890.11", "rejected"),  # 8,899.00011
        ("1101", "0.00000000", "0.01", "rejected"),
        ("0.01", "0.00000000", "0.01", "rejected"),
    ],
)
def test_both_exits_lock_the_larger_cost_and_at_most_the_balance(money: str, free: str, price: str, state: str) -> None:
    """The stop locks 51,051 of 49,950 plus the opening balance; the 48,048 of the target are not added."""
    result = play(
        cash(BTC="1", USDT=money),
        [MILLE],
        spot(0, "50000.00", "50000.01"),
        sold(10, tp="48000.00"),
        snapshot(11),
        coins(12, "n", "buy", "1", "limit", price=price),
    )
    assert result["snapshots"][0]["free"]["USDT"] == free
    assert status(result)["n"] == state


def test_an_order_placed_before_the_sale_keeps_its_locked_cash() -> None:
    """The buy order locks 40,040, and 49,950 remain for the exits: the buy fills, and the stop is cut."""
    result = play(
        cash(BTC="1", USDT="40040"),
        [MILLE],
        spot(0, "50000.00", "50000.01"),
        coins(9, "n", "buy", "1", "limit", price="40000.00"),
        sold(10),
        snapshot(11),
        spot(20, "39999.99", "40000.00"),
        spot(30, "50999.99", "51000.00"),
    )
    assert result["snapshots"][0]["free"]["USDT"] == "0.00000000"
    assert fills(result)[1:] == [("n", "buy", "1.000000", "40000.00"), ("B.sl", "buy", "0.978433", "51000.00")]


@pytest.mark.parametrize(
    ("first", "filled"),
    [
        # A pays 51,051 of 99,900; 48,849 remain for B: 0.956866...
        ("51000.00", [("A.sl", "buy", "1.000000", "51000.00"), ("B.sl", "buy", "0.956866", "51000.00")]),
        # A keeps 52,052 locked; B has 47,848: 0.937258...
        ("52000.00", [("B.sl", "buy", "0.937258", "51000.00")]),
    ],
)
def test_of_two_brackets_the_earlier_is_paid_first(first: str, filled: list[tuple[str, str, str, str]]) -> None:
    result = play(
        cash(BTC="2"),
        [MILLE],
        spot(0, "50000.00", "50000.01"),
        sold(10, "A", first, tp="48000.00"),
        sold(11, "B", tp="48000.00"),
        snapshot(12),
        spot(20, "50999.99", "51000.00"),
    )
    assert result["snapshots"][0]["free"]["USDT"] == "0.00000000"
    assert fills(result)[2:] == filled


def test_the_size_that_a_cut_exit_leaves_in_the_book_fills_the_next_order() -> None:
    """49,950 buy 0.978433 at 51,000; of the displayed 1.5, 0.521567 remain for an order with its own locked cash."""
    result = play(
        cash(BTC="1", USDT="52052"),
        [MILLE],
        spot(0, "50000.00", "50000.01"),
        coins(9, "n", "buy", "1", "stop_limit", stop="51000.00", price="52000.00"),
        sold(10, sl="50500.00"),
        spot(20, "50999.99", "51000.00", "1.5"),
    )
    assert fills(result)[1:] == [
        ("B.sl", "buy", "0.978433", "51000.00"),
        ("n", "buy", "0.521567", "51000.00"),
    ]


def test_an_exit_after_a_gap_is_paid_before_later_exits() -> None:
    """A pays 52,052 of 99,900 instead of 51,051; 47,848 remain for B: 0.919234 at 52,000."""
    result = play(
        cash(BTC="2"),
        [MILLE],
        spot(0, "50000.00", "50000.01"),
        sold(10, "A"),
        sold(11, "B"),
        book(20, [["51000.00", "5"]], [["52000.00", "1.2"], ["52000.01", "5"]]),
    )
    assert fills(result)[2:] == [
        ("A.sl", "buy", "1.000000", "52000.00"),
        ("B.sl", "buy", "0.200000", "52000.00"),
        ("B.sl", "buy", "0.719234", "52000.01"),
    ]


def test_an_exit_is_cut_at_the_level_that_it_cannot_afford() -> None:
    """0.4 at 51,000 cost 20,420.40; the remaining 29,529.60 buy 0.567309 at 52,000."""
    result = play(
        cash(BTC="1"),
        [MILLE],
        spot(0, "50000.00", "50000.01"),
        sold(10, tp="48000.00"),
        book(20, [["50990.00", "5"]], [["51000.00", "0.4"], ["52000.00", "5"]]),
    )
    assert fills(result)[1:] == [
        ("B.sl", "buy", "0.400000", "51000.00"),
        ("B.sl", "buy", "0.567309", "52000.00"),
    ]
    assert status(result) == {"B.entry": "filled", "B.sl": "filled", "B.tp": "canceled"}


def test_a_target_above_the_entry_is_cut_at_its_last_fill() -> None:
    """0.3 at 50,500 cost 15,165.15, and the stop still covers 0.7; 34,784.85 buy 0.688120 of them."""
    result = play(
        cash(BTC="1"),
        [MILLE],
        spot(0, "50000.00", "50000.01"),
        sold(10, tp="48000.00"),
        spot(20, "50599.99", "50600.00"),
        {"t": 21, "type": "modify", "id": "B.tp", "price": "50500.00"},
        spot(30, "50499.99", "50500.00", "0.3"),
        snapshot(31),
        spot(40, "50499.99", "50500.00"),
    )
    assert fills(result)[1:] == [("B.tp", "buy", "0.300000", "50500.00"), ("B.tp", "buy", "0.688120", "50500.00")]
    assert result["snapshots"][0]["free"]["USDT"] == "0.00000000"
    assert status(result) == {"B.entry": "filled", "B.sl": "canceled", "B.tp": "filled"}


def test_the_exits_of_a_partly_filled_sale_are_cut_to_its_proceeds() -> None:
    """0.4 sold at 50,000 bring 19,980: 0.391373 at 51,000. The rest of the entry is canceled with its exit."""
    result = play(
        cash(BTC="1"),
        [MILLE],
        spot(0, "49000.00", "49000.01"),
        coins(10, "B", "sell", "1", "bracket", entry={"type": "limit", "price": "50000.00"}, sl="51000.00"),
        spot(20, "50000.00", "50000.01", "0.4"),
        snapshot(21),
        spot(30, "50999.99", "51000.00", "0.9"),
    )
    assert fills(result)[-1] == ("B.sl", "buy", "0.391373", "51000.00")
    assert result["snapshots"][0]["free"] == {"BTC": "0.00000000", "USDT": "0.00000000"}


def test_an_exit_without_cash_is_canceled_with_its_reason() -> None:
    result = play(
        cash(BTC="1"),
        [MILLE],
        spot(0, "50000.00", "50000.01"),
        sold(10, tp="48000.00"),
        {"t": 11, "type": "deposit", "currency": "USDT", "amount": "-49949.95"},
        snapshot(12),
        spot(20, "50999.99", "51000.00"),
    )
    assert result["snapshots"][0]["free"]["USDT"] == "0.00000000"
    assert fills(result)[1:] == []
    assert status(result) == {"B.entry": "filled", "B.sl": "canceled", "B.tp": "working"}
    assert reason(result, "B.sl") == "not enough USDT"


@pytest.mark.parametrize("leg", ["B.sl", "B.tp"])
def test_an_exit_cannot_become_larger_than_the_sale(leg: str) -> None:
    result = play(
        cash(BTC="1", USDT="500000"),
        [MILLE],
        spot(0, "50000.00", "50000.01"),
        sold(10, tp="48000.00"),
        {"t": 11, "type": "modify", "id": leg, "qty": "3"},
        spot(20, "50999.99", "51000.00") if leg == "B.sl" else spot(20, "47999.99", "48000.00"),
    )
    assert [fill[2] for fill in fills(result)[1:]] == ["1.000000"]


# a flip needs margin for the position that it opens

KINDS: dict[str, dict[str, Any]] = {
    "market": {},
    "limit": {"type": "limit", "price": "{near}"},
    "resting": {"type": "limit", "price": "{far}"},
    "stop": {"type": "stop", "stop": "{stop}"},
    "stop_limit": {"type": "stop_limit", "stop": "{stop}", "price": "{worst}"},
    "trailing": {"type": "trailing_stop", "trail_pct": "0.1"},
    "bracket": {"type": "bracket", "entry": {"type": "market"}, "sl": "{sl}"},
}

FX_PRICES = {
    "sell": {"near": "1.10000", "far": "1.10100", "stop": "1.09900", "worst": "1.09800", "sl": "1.12000"},
    "buy": {"near": "1.10010", "far": "1.09910", "stop": "1.10110", "worst": "1.10210", "sl": "1.08000"},
}
PERP_PRICES = {
    "sell": {"near": "49999.9", "far": "50100.0", "stop": "49900.0", "worst": "49800.0", "sl": "51000.0"},
    "buy": {"near": "50000.0", "far": "49900.0", "stop": "50100.0", "worst": "50200.0", "sl": "49000.0"},
}


def terms(kind: str, prices: dict[str, str]) -> dict[str, Any]:
    return {name: value.format(**prices) if isinstance(value, str) else value for name, value in KINDS[kind].items()}


@pytest.mark.parametrize("side", ["sell", "buy"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("qty", "taken"), [("5000000", False), ("300000", True)])
def test_a_flip_needs_the_margin_of_the_position_that_it_opens(kind: str, side: str, qty: str, taken: bool) -> None:
    """The account holds 20,000; opening 280,000 needs about 10,270 of 11,000, and 4,980,000 about 182,600."""
    other = "buy" if side == "sell" else "sell"
    result = play(
        margin("11000"),
        [EURUSD],
        quote(0, "1.10000", "1.10010"),
        submit(10, "a", other, "20000"),
        submit(20, "b", side, qty, **terms(kind, FX_PRICES[side])),
        snapshot(30),
    )
    state = status(result).get("b") or status(result)["b.entry"]
    assert (state == "rejected") is not taken
    if not taken:
        assert fills(result)[1:] == []


@pytest.mark.parametrize("side", ["sell", "buy"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("qty", "taken"), [("100", False), ("1.5", True)])
def test_a_flip_of_a_perpetual_needs_the_margin_of_the_position_that_it_opens(
    kind: str, side: str, qty: str, taken: bool
) -> None:
    """The account holds 0.001; opening 1.499 needs 7,495 of 10,000, and 99.999 about 500,000."""
    other = "buy" if side == "sell" else "sell"
    result = play(
        margin("10000", "USDT", netting=True) | {"leverage": "10"},
        [SPOT_PERP],
        perp(0, "49999.9", "50000.0"),
        submit(10, "a", other, "0.001", symbol="BTCPERP"),
        submit(20, "b", side, qty, symbol="BTCPERP", **terms(kind, PERP_PRICES[side])),
    )
    state = status(result).get("b") or status(result)["b.entry"]
    assert (state == "rejected") is not taken


def test_both_legs_of_an_oco_need_margin_to_flip() -> None:
    result = play(
        margin(),
        [EURUSD],
        quote(0, "1.10000", "1.10010"),
        submit(10, "a", "buy", "10000"),
        pair(
            20,
            order("up", "sell", "5000000", "limit", price="1.10500"),
            order("down", "sell", "5000000", "stop", stop="1.09500"),
        ),
        quote(30, "1.10500", "1.10510"),
    )
    assert status(result) == {"a": "filled", "up": "rejected", "down": "canceled"}


@pytest.mark.parametrize(("qty", "state"), [("319940", "filled"), ("319950", "rejected")])
def test_a_flip_may_use_the_margin_that_its_close_frees(qty: str, state: str) -> None:
    """20,000 from 1.10010: equity 10,998.00 at the bid; 1.10000 x 299,940 / 30 = 10,997.80; 10 more need 10,998.17.

    The close frees the margin of the 20,000, 733.40.
    """
    result = play(
        margin("11000"),
        [EURUSD],
        quote(0, "1.10000", "1.10010"),
        submit(10, "a", "buy", "20000"),
        submit(20, "b", "sell", qty),
    )
    assert status(result)["b"] == state


def test_the_margin_of_a_resting_flip_is_checked_again_when_it_fills() -> None:
    """On arrival there is margin for 190,000; at the fill, GBPUSD uses a margin of about 4,333 and it is not enough."""
    result = play(
        margin("8000"),
        [EURUSD, GBPUSD],
        quote(0, "1.10000", "1.10010"),
        quote(1, "1.30000", "1.30010", "GBPUSD"),
        submit(10, "a", "buy", "10000"),
        submit(20, "b", "sell", "200000", "limit", price="1.10100"),
        submit(30, "c", "buy", "100000", symbol="GBPUSD"),
        quote(40, "1.10100", "1.10110"),
        snapshot(50),
    )
    assert status(result) == {"a": "filled", "b": "canceled", "c": "filled"}
    assert result["snapshots"][0]["net_position"]["EURUSD"] == "10000"


def test_a_market_order_through_several_levels_stops_when_its_margin_is_used_up() -> None:
    """With 10,000 at a leverage of 10, 1 at 50,000 needs 5,000; 1 more at 60,000 would need 6,000."""
    result = play(
        margin("10000", "USDT") | {"leverage": "10"},
        [SPOT_PERP],
        book(0, [["49999.9", "9"]], [["50000.0", "1"], ["60000.0", "9"]], "BTCPERP"),
        submit(10, "a", "buy", "2", symbol="BTCPERP"),
    )
    assert fills(result) == [("a", "buy", "1.000", "50000.0")]
    assert status(result) == {"a": "canceled"}


# tickets


@pytest.mark.parametrize("type", ["market", "limit", "stop"])
def test_a_ticket_closes_its_own_symbol_only(type: str) -> None:
    price = {"market": {}, "limit": {"price": "1.30000"}, "stop": {"stop": "1.29000"}}[type]
    result = play(
        margin("100000", netting=False),
        [EURUSD, GBPUSD],
        quote(0, "1.10000", "1.10010"),
        quote(1, "1.30000", "1.30010", "GBPUSD"),
        submit(10, "a", "buy", "100000"),
        submit(20, "x", "sell", "100000", type, "GBPUSD", ticket="a", **price),
        quote(30, "1.28000", "1.28010", "GBPUSD"),
        snapshot(40),
    )
    assert fills(result) == [("a", "buy", "100000", "1.10010")]
    assert status(result)["x"] == "rejected"
    assert result["rejections"][0]["reason"] == "order x: the ticket a is a position in EURUSD, not in GBPUSD"


# a stop-out inside a bar


@pytest.mark.parametrize(
    ("side", "spread", "path", "price", "balance"),
    [
        # 30,000 x 1.1 / 30 = 1,100; an equity of half, 550, is a loss of 950.00: 0.03166.. per unit
        ("buy", "0", ("1.10000", "1.10100", "1.05000", "1.06000"), "1.06833", "549.90"),
        ("sell", "0", ("1.10000", "1.15000", "1.09900", "1.14000"), "1.13167", "549.90"),
        # 30,000 x 1.1001 / 30 = 1,100.10; the loss from the ask of 1.10010 is 949.95 at a bid of 1.06843
        ("buy", "0.00010", ("1.10000", "1.10100", "1.05000", "1.06000"), "1.06843", "549.90"),
        # short from the bid; the loss is 950.00 at an ask of 1.13167
        ("sell", "0.00010", ("1.10000", "1.15000", "1.09900", "1.14000"), "1.13167", "549.90"),
        # the bar opens beyond the level
        ("buy", "0", ("1.06000", "1.07000", "1.05000", "1.06000"), "1.06000", "300.00"),
    ],
)
@pytest.mark.parametrize("netting", [True, False])
def test_a_stop_out_inside_a_bar_fills_at_its_level(
    side: str, spread: str, path: tuple[str, ...], price: str, balance: str, netting: bool
) -> None:
    result = play(
        margin("1500", netting=netting),
        [EURUSD],
        bar(0, *["1.10000"] * 4, spread=spread),
        submit(1, "a", side, "30000"),
        bar(60_000, *path, spread=spread),
    )
    other = "sell" if side == "buy" else "buy"
    assert fills(result)[1] == ("stop_out", other, "30000", price)
    assert result["final"]["balances"] == {"USD": balance}


@pytest.mark.parametrize(
    ("side", "path", "price"),
    [
        # (P - 150) x 20,000 / P <= -666.67: P <= 145.161; short (150 - P) x 20,000 / P: P >= 155.173
        ("buy", ("150.000", "150.100", "140.000", "141.000"), "145.161"),
        ("sell", ("150.000", "160.000", "149.900", "159.000"), "155.173"),
    ],
)
def test_a_stop_out_in_yen_fills_at_its_level(side: str, path: tuple[str, ...], price: str) -> None:
    result = play(
        margin("1000"),
        [USDJPY],
        bar(0, *["150.000"] * 4) | {"symbol": "USDJPY"},
        submit(1, "a", side, "20000", symbol="USDJPY"),
        bar(60_000, *path) | {"symbol": "USDJPY"},
    )
    assert fills(result)[1][3] == price


def test_two_positions_are_stopped_out_in_two_steps() -> None:
    """60,000 from 1.10000 and 30,000 from 1.09000 at a leverage of 30: margins 2,200 and 1,090, cash 4,000.

    Half of 3,290 is 1,645, a loss of 2,355.00, at P with 90,000 P = 98,700 - 2,355: 1.07050. The first position
    has lost 1,770.00 and is closed; 2,230 remain. The second is stopped out at an equity of 545:
    (P - 1.09) x 30,000 = -1,685, so P = 1.03383.
    """
    result = play(
        margin("4000", netting=False),
        [EURUSD],
        bar(0, *["1.10000"] * 4),
        submit(1, "one", "buy", "60000"),
        bar(60_000, "1.09000", "1.09000", "1.09000", "1.09000"),
        submit(60_001, "two", "buy", "30000"),
        bar(120_000, "1.09000", "1.09000", "1.02000", "1.03000"),
    )
    assert fills(result)[2:] == [
        ("stop_out", "sell", "60000", "1.07050"),
        ("stop_out", "sell", "30000", "1.03383"),
    ]
    assert result["final"]["balances"] == {"USD": "544.90"}


def test_a_hedged_account_is_stopped_out_by_its_larger_side() -> None:
    """60,000 short and 30,000 long from 1.10000: margin 2,200; equity is half at (P - 1.1) x 30,000 = 1,400: 1.14667.

    The short has the larger loss, 2,800.20, and is closed; the long and its profit stay open.
    """
    result = play(
        margin("2500", netting=False),
        [EURUSD],
        bar(0, *["1.10000"] * 4),
        submit(1, "short", "sell", "60000"),
        submit(2, "long", "buy", "30000"),
        bar(60_000, "1.10000", "1.20000", "1.05000", "1.20000"),
    )
    assert fills(result)[2] == ("stop_out", "buy", "60000", "1.14667")


def test_a_stop_loss_before_the_level_fills_and_the_account_is_not_stopped_out() -> None:
    result = play(
        margin("1500"),
        [EURUSD],
        bar(0, *["1.10000"] * 4),
        submit(1, "a", "buy", "30000"),
        submit(2, "s", "sell", "30000", "stop", stop="1.07000"),
        bar(60_000, "1.10000", "1.10100", "1.05000", "1.06000"),
    )
    assert fills(result)[1] == ("s", "sell", "30000", "1.07000")


# checks of a modification


@pytest.mark.parametrize(
    ("given", "change", "after"),
    [
        ({"type": "limit", "price": "1.09950", "post_only": True}, {"price": "1.10010"}, ("1.09900", "1.09910")),
        ({"type": "limit", "price": "1.09950"}, {"qty": "9000000"}, ("1.09900", "1.09910")),
        ({"type": "stop", "stop": "1.10100"}, {"qty": "9000000"}, ("1.10100", "1.10110")),
        ({"type": "stop", "stop": "1.10100"}, {"stop": "1.10000"}, ("1.10100", "1.10110")),
        ({"type": "stop_limit", "stop": "1.10100", "price": "1.10200"}, {"qty": "9000000"}, ("1.10100", "1.10110")),
        ({"type": "trailing_stop", "trail": "0.00100"}, {"qty": "9000000"}, ("1.10200", "1.10210")),
        ({"type": "limit", "price": "1.09950"}, {"qty": "10"}, ("1.09900", "1.09910")),
    ],
)
def test_a_refused_modification_keeps_the_old_order(
    given: dict[str, Any], change: dict[str, str], after: tuple[str, str]
) -> None:
    result = play(
        margin(),
        [EURUSD | {"min_notional": "1000"}],
        quote(0, "1.10000", "1.10010"),
        submit(1, "a", "buy", "10000", **given),
        {"t": 2, "type": "modify", "id": "a", **change},
        quote(10, *after),
    )
    assert [fill[:3] for fill in fills(result)] == [("a", "buy", "10000")]
    assert [fill["t"] for fill in result["fills"]] == [10]


def test_a_spot_order_cannot_become_larger_than_its_cash_allows() -> None:
    """50,000 pay for 1.2 at 40,000 plus the fee, but not for 1.3; the other leg of the pair does not count."""

    def filled(qty: str) -> str:
        result = play(
            cash(USDT="50000"),
            [FEES],
            spot(0, "40900.00", "41000.00"),
            pair(
                1,
                order("low", "buy", "1", "limit", "BTCUSDT", price="40000.00"),
                order("high", "buy", "1", "stop", "BTCUSDT", stop="42000.00"),
            ),
            {"t": 2, "type": "modify", "id": "low", "qty": qty},
            spot(10, "39900.00", "40000.00"),
        )
        return str(result["orders"]["low"]["filled"])

    assert filled("1.2") == "1.200000"
    assert filled("1.3") == "1.000000"


def test_the_prices_of_a_bracket_stay_in_order() -> None:
    """A stop loss above a pending entry is refused; a stop loss above the price of a filled entry is not."""
    result = play(
        margin(),
        [EURUSD],
        quote(0, "1.10000", "1.10010"),
        submit(
            1, "B", "buy", "10000", "bracket", entry={"type": "limit", "price": "1.09900"}, sl="1.09700", tp="1.10300"
        ),
        {"t": 2, "type": "modify", "id": "B.sl", "stop": "1.09950"},
        {"t": 3, "type": "modify", "id": "B.entry", "price": "1.09600"},
        quote(10, "1.09890", "1.09900"),
        quote(20, "1.10200", "1.10210"),
        {"t": 21, "type": "modify", "id": "B.sl", "stop": "1.10100"},
        quote(30, "1.10100", "1.10110"),
    )
    assert fills(result) == [("B.entry", "buy", "10000", "1.09900"), ("B.sl", "sell", "10000", "1.10100")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": "a", "qty": "9000000"}, "modify refused: not enough free margin"),
        ({"id": "a", "price": "1.090005"}, "modify refused: EURUSD: a limit must be a multiple of 0.00001"),
        ({"id": "m", "price": "1.09000"}, "modify refused: there is no working order with this id"),
        ({"id": "B", "price": "1.09000"}, "modify refused: a bracket has no terms of its own; modify one of B.entry"),
    ],
)
def test_a_refused_modification_is_reported(change: dict[str, str], reason: str) -> None:
    result = play(
        margin(),
        [EURUSD],
        quote(0, "1.10000", "1.10010"),
        submit(1, "m", "buy", "10000"),
        submit(2, "a", "buy", "10000", "limit", price="1.09000"),
        submit(3, "B", "buy", "10000", "bracket", entry={"type": "limit", "price": "1.09900"}, sl="1.09700"),
        {"t": 4, "type": "modify", **change},
    )
    (refusal,) = result["rejections"]
    assert (refusal["t"], refusal["order"]) == (4, change["id"])
    assert refusal["reason"].startswith(reason)
    assert status(result) == {"m": "filled", "a": "working", "B.entry": "working", "B.sl": "held"}


def test_a_refused_cancellation_is_reported_in_the_order_of_time() -> None:
    result = play(
        margin(),
        [EURUSD],
        quote(0, "1.10000", "1.10010"),
        submit(1, "a", "buy", "10000"),
        {"t": 2, "type": "cancel", "id": "a"},
        submit(3, "b", "buy", "9000000"),
    )
    assert [(refusal["t"], refusal["order"]) for refusal in result["rejections"]] == [(2, "a"), (3, "b")]
    assert result["rejections"][0]["reason"] == "cancel refused: there is no working order with this id"


def test_an_order_that_ends_without_a_fill_has_its_reason() -> None:
    result = play(
        margin(),
        [EURUSD],
        quote(0, "1.10000", "1.10010"),
        submit(1, "a", "buy", "10000", "limit", price="1.09000", tif="GTD", expire_t=5),
        submit(1, "b", "buy", "10000", "limit", price="1.09000"),
        {"t": 2, "type": "cancel", "id": "b"},
        submit(3, "c", "buy", "10000", "limit", price="1.09000"),
        quote(10, "1.10000", "1.10010"),
    )
    assert (reason(result, "a"), reason(result, "b")) == ("it has expired", "on request")
    assert "c" not in result["reasons"]


# hedges and isolated positions


@pytest.mark.parametrize(("qty", "state"), [("270000", "filled"), ("260000", "filled"), ("280000", "rejected")])
def test_a_hedge_without_additional_margin_is_always_allowed(qty: str, state: str) -> None:
    """270,000 at 1.10010 need 9,900.90 of 10,000; 280,000 short would need 10,266.67."""
    result = play(
        margin(netting=False),
        [EURUSD],
        quote(0, "1.10000", "1.10010"),
        submit(10, "a", "buy", "270000"),
        submit(20, "b", "sell", qty),
        snapshot(30),
    )
    assert status(result)["b"] == state
    assert result["snapshots"][0]["margin_used"] == {"EURUSD": "9900.90"}


@pytest.mark.parametrize("sizes", [["0.5"], ["0.1", "0.9"], ["0.2", "0.2", "0.6"], ["1"]])
@pytest.mark.parametrize(("side", "bid", "ask"), [("buy", "30000.0", "30000.1"), ("sell", "69999.9", "70000.0")])
def test_an_isolated_position_loses_its_margin_and_no_more_over_any_fills(
    sizes: list[str], side: str, bid: str, ask: str
) -> None:
    """1 at 50,000 with a leverage of 10 has a margin of 5,000."""
    entry = perp(0, "49999.9", "50000.0") if side == "buy" else perp(0, "50000.0", "50000.1")
    result = play(
        margin("20000", "USDT") | {"leverage": "10"},
        [SPOT_PERP],
        entry,
        submit(10, "a", side, "1", symbol="BTCPERP"),
        *[perp(100 + number, bid, ask, size) for number, size in enumerate([*sizes, "5"])],
    )
    assert sum(float(fill[2]) for fill in fills(result)[1:]) == 1
    assert result["final"]["balances"] == {"USDT": "15000.00000000"}


def test_a_partly_liquidated_position_is_liquidated_further_although_the_price_recovers() -> None:
    """0.5 closed at 42,000 lost 4,000 of 5,000; the rest has no margin below 50,000 - 1,000 / 0.5 = 48,000."""
    result = play(
        margin("20000", "USDT") | {"leverage": "10"},
        [SPOT_PERP],
        perp(0, "49999.9", "50000.0"),
        submit(10, "a", "buy", "1", symbol="BTCPERP"),
        perp(20, "42000.0", "42000.1", "0.5"),
        perp(30, "47500.0", "47500.1"),
    )
    assert fills(result)[1:] == [
        ("liquidation", "sell", "0.500", "42000.0"),
        ("liquidation", "sell", "0.500", "47500.0"),
    ]
    assert result["final"]["balances"] == {"USDT": "15000.00000000"}


def test_a_market_exit_through_a_thin_book_loses_no_more_than_the_margin() -> None:
    """0.3 lose 300 and free their share of the margin; 0.7 would lose 14,000 but lose only their margin, 3,500."""
    result = play(
        margin("20000", "USDT") | {"leverage": "10"},
        [SPOT_PERP],
        perp(0, "49999.9", "50000.0"),
        submit(10, "a", "buy", "1", symbol="BTCPERP"),
        book(20, [["49000.0", "0.3"], ["30000.0", "9"]], [["50000.0", "9"]], "BTCPERP"),
        submit(30, "b", "sell", "1", symbol="BTCPERP"),
    )
    assert result["final"]["balances"] == {"USDT": "16200.00000000"}


# exits without a position to reduce


@pytest.mark.parametrize(("held", "left", "exits"), [("50000", "0", "canceled"), ("70000", "20000", "canceled")])
def test_the_exits_of_an_entry_that_only_closes_are_canceled(held: str, left: str, exits: str) -> None:
    result = play(
        margin(),
        [EURUSD],
        quote(0, "1.10000", "1.10010"),
        submit(10, "a", "buy", held),
        submit(11, "B", "sell", "50000", "bracket", entry={"type": "market"}, sl="1.10500", tp="1.09500"),
        snapshot(12),
        submit(30, "c", "sell", "50000"),
        quote(40, "1.09490", "1.09500"),
    )
    assert result["snapshots"][0]["net_position"]["EURUSD"] == left
    assert (status(result)["B.sl"], status(result)["B.tp"]) == (exits, exits)
    assert [fill[0] for fill in fills(result)] == ["a", "B.entry", "c"]


def test_the_exits_of_a_flip_close_what_it_opened() -> None:
    """Of 80,000 sold, 50,000 close and 30,000 open; another 50,000 short stay open when the target fills."""
    result = play(
        margin(),
        [EURUSD],
        quote(0, "1.10000", "1.10010"),
        submit(10, "a", "buy", "50000"),
        submit(11, "B", "sell", "80000", "bracket", entry={"type": "market"}, sl="1.10500", tp="1.09500"),
        submit(30, "c", "sell", "50000"),
        quote(40, "1.09490", "1.09500"),
        snapshot(50),
    )
    assert fills(result)[3] == ("B.tp", "buy", "30000", "1.09500")
    assert result["snapshots"][0]["net_position"]["EURUSD"] == "-50000"


def test_exits_are_canceled_when_another_order_closes_their_position() -> None:
    result = play(
        margin(),
        [EURUSD],
        quote(0, "1.10000", "1.10010"),
        submit(10, "B", "buy", "50000", "bracket", entry={"type": "market"}, sl="1.09500", tp="1.10500"),
        submit(20, "out", "sell", "50000"),
        submit(30, "again", "buy", "50000"),
        quote(40, "1.09400", "1.09410"),
    )
    assert (status(result)["B.sl"], status(result)["B.tp"]) == ("canceled", "canceled")
    assert [fill[0] for fill in fills(result)] == ["B.entry", "out", "again"]


# trailing stops with an activation, distances in percent, and the minimum notional


def test_a_trailing_stop_waits_for_its_activation() -> None:
    """It ignores the fall to 1.09700; after 1.10500 it trails: 1.10600 - 0.00200 = 1.10400."""
    result = play(
        margin(),
        [EURUSD],
        quote(0, "1.10000", "1.10010"),
        submit(10, "a", "buy", "10000"),
        submit(11, "ts", "sell", "10000", "trailing_stop", trail="0.00200", activation="1.10500"),
        quote(20, "1.09700", "1.09710"),
        quote(30, "1.10499", "1.10509"),
        quote(40, "1.10200", "1.10210"),
        quote(50, "1.10600", "1.10610"),
        quote(60, "1.10401", "1.10411"),
        quote(70, "1.10400", "1.10410"),
    )
    assert fills(result)[1] == ("ts", "sell", "10000", "1.10400")
    assert [fill["t"] for fill in result["fills"]] == [10, 70]


def test_a_trailing_buy_is_activated_by_a_falling_ask() -> None:
    """The ask reaches 1.09500; the stop is 1.09410 + 0.00200 = 1.09610."""
    result = play(
        margin(),
        [EURUSD],
        quote(0, "1.10000", "1.10010"),
        submit(11, "ts", "buy", "10000", "trailing_stop", trail="0.00200", activation="1.09500"),
        quote(20, "1.10300", "1.10310"),
        quote(30, "1.09400", "1.09410"),
        quote(40, "1.09600", "1.09610"),
    )
    assert fills(result) == [("ts", "buy", "10000", "1.09610")]


@pytest.mark.parametrize(
    ("side", "prices", "fill"),
    [
        # 2 % of 50,000.0 are 1,000.0; of 51,000.0 they are 1,020.0: 49,980.0
        ("sell", [("51000.0", "51000.1"), ("49980.1", "49980.2"), ("49980.0", "49980.1")], "49980.0"),
        # 2 % above 49,000.0: 49,980.0
        ("buy", [("48999.9", "49000.0"), ("49979.8", "49979.9"), ("49979.9", "49980.0")], "49980.0"),
    ],
)
def test_a_trailing_distance_may_be_a_percentage(side: str, prices: list[tuple[str, str]], fill: str) -> None:
    result = play(
        margin("10000", "USDT") | {"leverage": "10"},
        [SPOT_PERP],
        perp(0, "49999.9", "50000.0"),
        submit(10, "ts", side, "1", "trailing_stop", "BTCPERP", trail_pct="2"),
        *[perp(20 + number, *price) for number, price in enumerate(prices)],
    )
    assert [(f["t"], f["price"]) for f in result["fills"]] == [(22, fill)]


def test_inside_a_bar_a_trailing_stop_is_activated_by_the_high_and_filled_by_the_close() -> None:
    """The low of 1.09700 does nothing; the high of 1.10600 sets the stop to 1.10400; the close of 1.10300 passes it."""
    result = play(
        margin(),
        [EURUSD],
        bar(0, *["1.10000"] * 4),
        submit(10, "a", "buy", "10000"),
        submit(11, "ts", "sell", "10000", "trailing_stop", trail="0.00200", activation="1.10500"),
        bar(60_000, "1.10000", "1.10600", "1.09700", "1.10300"),
    )
    assert fills(result)[1] == ("ts", "sell", "10000", "1.10400")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"type": "trailing_stop", "trail": "0.1", "trail_pct": "1"}, "give its distance as trail or as trail_pct"),
        ({"type": "trailing_stop"}, "a trailing_stop order needs a trail"),
        ({"type": "trailing_stop", "trail_pct": "100"}, "trail_pct must be between 0 and 100"),
        ({"type": "trailing_stop", "trail_pct": "0.00001"}, "trail_pct must be a multiple of 0.0001"),
        ({"type": "market", "activation": "1.2"}, "a market order has no activation"),
        ({"type": "limit", "price": "1.1", "trail_pct": "1"}, "a limit order has no trail"),
    ],
)
def test_an_invalid_trailing_order_is_refused(given: dict[str, str], reason: str) -> None:
    result = play(margin(), [EURUSD], quote(0, "1.10000", "1.10010"), submit(1, "a", "sell", "10000", **given))
    assert reason in result["rejections"][0]["reason"]


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ({"qty": "909"}, "rejected"),  # 909 x 1.10010 = 999.99
        ({"qty": "910"}, "filled"),
        ({"qty": "909", "type": "limit", "price": "1.10010"}, "rejected"),
        ({"qty": "910", "type": "limit", "price": "1.09000"}, "rejected"),  # 991.90
        ({"qty": "1000", "type": "limit", "price": "1.00000"}, "working"),
        ({"qty": "909", "type": "stop", "stop": "1.10110"}, "working"),  # 1,000.90
    ],
)
def test_an_order_has_at_least_the_minimum_notional(given: dict[str, str], state: str) -> None:
    result = play(
        margin(), [EURUSD | {"min_notional": "1000"}], quote(0, "1.10000", "1.10010"), submit(1, "a", "buy", **given)
    )
    assert status(result)["a"] == state


def test_nothing_trades_at_a_conversion_rate() -> None:
    result = play(
        margin(),
        [USDJPY, EURJPY],
        quote(0, "150.000", "150.010", "USDJPY") | {"conversion_only": True},
        quote(1, "165.000", "165.010", "EURJPY"),
        submit(10, "a", "buy", "1000", symbol="USDJPY"),
        submit(11, "b", "buy", "1000", symbol="EURJPY"),
    )
    assert result["rejections"][0]["reason"] == "USDJPY is quoted for conversion only"
    assert status(result)["b"] == "filled"

"""Scenarios whose results are computed by hand in each test; latency and slippage models are off."""

import json
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pytest

from mikrobot.paper.scenario import simulate
from mikrobot.workflows.simulate import play
from tests.reference.paper.cases import (
    CASH,
    DOLLARS,
    TETHER,
    bar,
    book,
    bracket,
    order,
    quote,
    scenario,
    snapshot,
    submit,
)

SHARED = Path(__file__).parents[4] / "shared/scenarios"


def fills(result: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(f["t"], f["order"], f["price"], f["qty"], f["liquidity"]) for f in result["fills"]]


def status(result: dict[str, Any]) -> dict[str, str]:
    return {name: order["status"] for name, order in result["orders"].items()}


@pytest.mark.skipif(not SHARED.exists(), reason="the shared scenarios are not on this machine")
def test_the_shared_scenarios_agree_exactly() -> None:
    expected = json.loads((SHARED / "expected.json").read_text())
    results = play([SHARED / f"{name}.json" for name in expected])
    for name, case in expected.items():
        keys = ("t", "order", "side", "price", "qty", "liquidity", "commission")
        got = [[_number(fill[key]) for key in keys] for fill in results[name]["fills"]]
        assert got == [[_number(fill[key]) for key in keys] for fill in case["fills"]], name
        assert {k: results[name]["orders"][k]["status"] for k in case["order_status"]} == case["order_status"], name
        final = results[name]["final"]["balances"]
        assert {k: Decimal(final[k]) for k in case["balances"]} == {
            k: Decimal(v) for k, v in case["balances"].items()
        }, name


def _number(value: Any) -> Any:
    try:
        return Decimal(value)
    except InvalidOperation:
        return value


def test_a_stop_through_a_gap_fills_at_the_first_available_price() -> None:
    """Stop 1.09900, next bid 1.09500: (1.09500 - 1.10010) x 100,000 = -510.00."""
    result = simulate(
        scenario(
            quote(0, "1.10000", "1.10010"),
            submit(10, "a", "buy"),
            submit(20, "sl", "sell", type="stop", stop="1.09900"),
            quote(100, "1.09500", "1.09510"),
        )
    )
    assert fills(result)[1] == (100, "sl", "1.09500", "100000", "taker")
    assert result["final"]["balances"] == {"USD": "9490.00"}


def test_a_resting_limit_keeps_its_price_when_the_quote_gaps_through() -> None:
    result = simulate(
        scenario(
            quote(0, "1.10000", "1.10010"),
            submit(10, "a", "buy", type="limit", price="1.09900"),
            quote(100, "1.09500", "1.09510"),
        )
    )
    assert fills(result) == [(100, "a", "1.09900", "100000", "maker")]


def test_a_limit_that_crosses_takes_the_better_price() -> None:
    result = simulate(scenario(quote(0, "1.10000", "1.10010"), submit(10, "a", "buy", type="limit", price="1.10100")))
    assert fills(result) == [(10, "a", "1.10010", "100000", "taker")]


def test_a_crossing_limit_rests_with_its_unfilled_quantity() -> None:
    result = simulate(
        scenario(
            book(0, [["49990.00", "1"]], [["50000.00", "0.3"], ["50010.00", "0.5"]]),
            submit(10, "a", "buy", "1", "limit", symbol="BTCUSDT", price="50000.00"),
            book(100, [["49990.00", "1"]], [["50000.00", "0.2"]]),
            snapshot(110),
            account=CASH,
        )
    )
    assert fills(result) == [
        (10, "a", "50000.00", "0.300000", "taker"),
        (100, "a", "50000.00", "0.200000", "maker"),
    ]
    assert status(result) == {"a": "partially_filled"}
    # 100,000 - 15,000 - 15 (taker fee) - 10,000 - 2 (maker fee); 25,000 and its maker fee of 5 are locked
    assert result["snapshots"][0]["balances"]["USDT"] == "74983.00000000"
    assert result["snapshots"][0]["free"]["USDT"] == "49978.00000000"


def test_displayed_size_is_consumed_once_within_a_snapshot() -> None:
    result = simulate(
        scenario(
            book(0, [["49990.00", "1"]], [["50000.00", "0.3"], ["50010.00", "0.5"]]),
            submit(10, "a", "buy", "0.2", symbol="BTCUSDT"),
            submit(20, "b", "buy", "0.2", symbol="BTCUSDT"),
            account=CASH,
        )
    )
    assert fills(result) == [
        (10, "a", "50000.00", "0.200000", "taker"),
        (20, "b", "50000.00", "0.100000", "taker"),
        (20, "b", "50010.00", "0.100000", "taker"),
    ]


def test_a_market_order_beyond_the_depth_is_canceled_for_the_rest() -> None:
    result = simulate(
        scenario(
            book(0, [["49990.00", "0.5"]], [["50000.00", "1"]]),
            submit(10, "a", "sell", "0.8", symbol="BTCUSDT"),
            account=CASH,
        )
    )
    assert fills(result) == [(10, "a", "49990.00", "0.500000", "taker")]
    assert result["orders"]["a"] == {"status": "canceled", "filled": "0.500000"}


@pytest.mark.parametrize(
    ("tif", "expected", "filled"), [("IOC", "canceled", "0.300000"), ("FOK", "canceled", "0.000000")]
)
def test_ioc_takes_the_available_size_and_fok_all_or_nothing(tif: str, expected: str, filled: str) -> None:
    result = simulate(
        scenario(
            book(0, [["49990.00", "1"]], [["50000.00", "0.3"], ["50010.00", "0.5"]]),
            submit(10, "a", "buy", "0.6", "limit", symbol="BTCUSDT", price="50000.00", tif=tif),
            account=CASH,
        )
    )
    assert result["orders"]["a"] == {"status": expected, "filled": filled}


def test_fok_fills_over_several_levels_if_their_size_is_sufficient() -> None:
    result = simulate(
        scenario(
            book(0, [["49990.00", "1"]], [["50000.00", "0.3"], ["50010.00", "0.5"]]),
            submit(10, "a", "buy", "0.8", "limit", symbol="BTCUSDT", price="50010.00", tif="FOK"),
            account=CASH,
        )
    )
    assert [fill[2:4] for fill in fills(result)] == [("50000.00", "0.300000"), ("50010.00", "0.500000")]
    assert status(result) == {"a": "filled"}


def test_gtd_expires_at_its_time_before_anything_matches() -> None:
    result = simulate(
        scenario(
            quote(0, "1.10000", "1.10010"),
            submit(10, "a", "buy", type="limit", price="1.09900", tif="GTD", expire_t=100),
            submit(10, "b", "buy", type="limit", price="1.09900", tif="GTD", expire_t=101),
            quote(100, "1.09890", "1.09900"),
        )
    )
    assert status(result) == {"a": "expired", "b": "filled"}


def test_post_only_is_rejected_if_it_would_cross_and_is_a_maker_otherwise() -> None:
    result = simulate(
        scenario(
            quote(0, "1.10000", "1.10010"),
            submit(10, "a", "buy", type="limit", price="1.10010", post_only=True),
            submit(20, "b", "buy", type="limit", price="1.10009", post_only=True),
            quote(100, "1.09999", "1.10009"),
        )
    )
    assert status(result) == {"a": "rejected", "b": "filled"}
    assert fills(result) == [(100, "b", "1.10009", "100000", "maker")]


def test_reduce_only_is_cut_to_the_position_and_canceled_without_one() -> None:
    result = simulate(
        scenario(
            quote(0, "1.10000", "1.10010"),
            submit(10, "a", "buy", "100000"),
            submit(20, "x", "sell", "250000", reduce_only=True),
            submit(30, "y", "sell", "100000", reduce_only=True),
            snapshot(40),
        )
    )
    assert result["orders"]["x"] == {"status": "filled", "filled": "100000"}
    assert result["orders"]["y"] == {"status": "canceled", "filled": "0"}
    assert result["snapshots"][0]["net_position"]["EURUSD"] == "0"


def test_a_stop_limit_is_a_limit_once_triggered() -> None:
    """Triggered at an ask of 1.10250, above its limit: it rests, and fills as maker when the ask returns."""
    result = simulate(
        scenario(
            quote(0, "1.10000", "1.10010"),
            submit(10, "a", "buy", type="stop_limit", stop="1.10200", price="1.10220"),
            submit(10, "b", "buy", type="stop_limit", stop="1.10100", price="1.10260"),
            quote(100, "1.10240", "1.10250"),
            snapshot(150),
            quote(200, "1.10200", "1.10210"),
        )
    )
    assert fills(result) == [(100, "b", "1.10250", "100000", "taker"), (200, "a", "1.10220", "100000", "maker")]


def test_a_trailing_stop_of_a_short_follows_the_ask_down() -> None:
    """Asks 1.10010, 1.09710, 1.09809, 1.09910: the stop is 1.10210, then 1.09910."""
    result = simulate(
        scenario(
            quote(0, "1.10000", "1.10010"),
            submit(10, "a", "sell"),
            submit(20, "ts", "buy", type="trailing_stop", trail="0.00200", reduce_only=True),
            quote(100, "1.09700", "1.09710"),
            quote(200, "1.09799", "1.09909"),
            quote(300, "1.09900", "1.09910"),
        )
    )
    assert fills(result)[1:] == [(300, "ts", "1.09910", "100000", "taker")]


def test_of_two_limits_in_oco_the_filled_one_cancels_the_other_permanently() -> None:
    result = simulate(
        scenario(
            quote(0, "1.10000", "1.10010"),
            {
                "t": 10,
                "type": "oco",
                "orders": [
                    order("lo", "buy", type="limit", price="1.09900"),
                    order("hi", "sell", type="limit", price="1.10100"),
                ],
            },
            quote(100, "1.10100", "1.10110"),
            quote(200, "1.09800", "1.09810"),
        )
    )
    assert status(result) == {"lo": "canceled", "hi": "filled"}


def test_a_bracket_with_a_limit_entry_activates_its_exits_on_the_fill() -> None:
    """(1.09700 - 1.09900) x 100,000 = -200.00."""
    result = simulate(
        scenario(
            quote(0, "1.10000", "1.10010"),
            bracket(10, "buy", "1.09700", "1.10300", {"type": "limit", "price": "1.09900"}),
            quote(50, "1.10310", "1.10320"),
            quote(100, "1.09890", "1.09900"),
            quote(200, "1.09700", "1.09710"),
            quote(300, "1.10400", "1.10410"),
        )
    )
    assert fills(result) == [
        (100, "B.entry", "1.09900", "100000", "maker"),
        (200, "B.sl", "1.09700", "100000", "taker"),
    ]
    assert result["final"]["balances"] == {"USD": "9800.00"}
    assert status(result) == {"B.entry": "filled", "B.sl": "filled", "B.tp": "canceled"}


def test_exits_have_the_open_quantity_of_a_partial_entry() -> None:
    """0.4 of 1 enters; the target fills 0.1, and the stop closes the remaining 0.3."""
    result = simulate(
        scenario(
            book(0, [["49990.00", "1"]], [["50000.00", "0.4"]]),
            bracket(
                10, "buy", "49000.00", "51000.00", {"type": "limit", "price": "50000.00"}, symbol="BTCUSDT", qty="1"
            ),
            book(100, [["51000.00", "0.1"]], [["51010.00", "1"]]),
            book(200, [["48990.00", "5"]], [["49010.00", "1"]]),
            account=CASH,
        )
    )
    assert fills(result) == [
        (10, "B.entry", "50000.00", "0.400000", "taker"),
        (100, "B.tp", "51000.00", "0.100000", "maker"),
        (200, "B.sl", "48990.00", "0.300000", "taker"),
    ]
    assert status(result) == {"B.entry": "canceled", "B.sl": "filled", "B.tp": "canceled"}


def test_usdjpy_is_booked_in_dollars_at_its_own_closing_price() -> None:
    """(150.500 - 150.010) x 100,000 = 49,000 yen; / 150.500 = 325.58 dollars; margin 100,000 / 30."""
    result = simulate(
        scenario(
            quote(0, "150.000", "150.010", "USDJPY"),
            submit(10, "a", "buy", symbol="USDJPY"),
            snapshot(20),
            quote(100, "150.500", "150.510", "USDJPY"),
            submit(110, "b", "sell", symbol="USDJPY"),
        )
    )
    assert result["snapshots"][0]["margin_used"] == {"USDJPY": "3333.33"}
    assert result["final"]["balances"] == {"USD": "10325.58"}


def test_a_cross_is_converted_at_the_less_favourable_side() -> None:
    """48,000 yen buy dollars at 160.010: 299.98; -52,000 yen cost dollars at 159.990: -325.02."""
    for closing, balance in (("162.500", "10299.98"), ("161.500", "9674.98")):
        result = simulate(
            scenario(
                quote(0, "150.000", "150.000", "USDJPY"),
                quote(1, "162.000", "162.020", "EURJPY"),
                submit(10, "a", "buy", symbol="EURJPY"),
                quote(90, "159.990", "160.010", "USDJPY"),
                quote(100, closing, "163.000", "EURJPY"),
                submit(110, "b", "sell", symbol="EURJPY"),
            )
        )
        assert result["final"]["balances"] == {"USD": balance}


def test_commission_per_lot_is_paid_on_both_sides() -> None:
    """2.5 lots x 3.50 = 8.75 per side; -0.00010 x 250,000 = -25.00."""
    account = DOLLARS | {"commission_per_lot": "3.50", "commission_ccy": "USD", "lot": "100000"}
    result = simulate(
        scenario(
            quote(0, "1.10000", "1.10010"),
            submit(10, "a", "buy", "250000"),
            submit(20, "b", "sell", "250000"),
            account=account,
        )
    )
    assert [fill["commission"] for fill in result["fills"]] == ["8.75", "8.75"]
    assert result["final"]["balances"] == {"USD": "9957.50"}


def test_a_netting_position_flips_at_the_fill_price() -> None:
    """+100,000 at 1.10010 and +100,000 at 1.10210 average 1.10110; -300,000 at 1.10300: +380.00, then short."""
    result = simulate(
        scenario(
            quote(0, "1.10000", "1.10010"),
            submit(10, "a", "buy"),
            quote(100, "1.10200", "1.10210"),
            submit(110, "b", "buy"),
            quote(200, "1.10300", "1.10310"),
            submit(210, "c", "sell", "300000"),
            snapshot(220),
        )
    )
    assert result["snapshots"][0]["balances"] == {"USD": "10380.00"}
    assert result["snapshots"][0]["net_position"]["EURUSD"] == "-100000"
    assert result["snapshots"][0]["margin_used"] == {"EURUSD": "3676.67"}  # 100,000 x 1.10300 / 30
    assert result["snapshots"][0]["unrealized"] == {"USD": "-10.00"}


def test_an_order_without_its_margin_is_rejected() -> None:
    """300,000 x 1.10010 / 30 = 11,001, more than the 10,000 available."""
    result = simulate(scenario(quote(0, "1.10000", "1.10010"), submit(10, "a", "buy", "300000")))
    assert status(result) == {"a": "rejected"}
    assert "free margin" in result["rejections"][0]["reason"]
    assert result["final"]["balances"] == {"USD": "10000.00"}


def test_a_cash_account_sells_only_held_coins_and_buys_only_what_it_can_pay() -> None:
    """It holds 2 BTC; its 100,000 USDT do not cover 2 x 50,000 plus the fee of 100."""
    result = simulate(
        scenario(
            book(0, [["49990.00", "9"]], [["50000.00", "9"]]),
            submit(10, "a", "sell", "2.000001", symbol="BTCUSDT"),
            submit(20, "b", "buy", "2", symbol="BTCUSDT"),
            submit(30, "c", "sell", "1.5", "limit", symbol="BTCUSDT", price="51000.00"),
            submit(40, "d", "sell", "0.6", symbol="BTCUSDT"),
            snapshot(50),
            account=CASH,
        )
    )
    assert status(result) == {"a": "rejected", "b": "rejected", "c": "working", "d": "rejected"}
    assert result["snapshots"][0]["free"] == {"USDT": "100000.00000000", "BTC": "0.50000000"}


def test_a_perpetual_short_pays_fees_and_holds_its_margin() -> None:
    """Short 0.5 at 50,000: margin 2,500, fee 12.50; closed at 49,000: +500, fee 12.25."""
    result = simulate(
        scenario(
            book(0, [["50000.0", "9"]], [["50000.1", "9"]], "BTCPERP"),
            submit(10, "a", "sell", "0.5", symbol="BTCPERP"),
            snapshot(20),
            book(100, [["48999.9", "9"]], [["49000.0", "9"]], "BTCPERP"),
            submit(110, "b", "buy", "0.5", symbol="BTCPERP", reduce_only=True),
            account=TETHER,
        )
    )
    assert result["snapshots"][0]["margin_used"] == {"BTCPERP": "2500.00000000"}
    assert result["final"]["balances"] == {"USDT": "10475.25000000"}


def test_a_modified_order_goes_to_the_end_of_the_queue_unless_it_shrinks() -> None:
    def filled_first(change: dict[str, str]) -> str:
        result = simulate(
            scenario(
                book(0, [["49990.00", "1"]], [["50010.00", "1"]]),
                submit(10, "a", "buy", "0.2", "limit", symbol="BTCUSDT", price="50000.00"),
                submit(11, "b", "buy", "0.2", "limit", symbol="BTCUSDT", price="50000.00"),
                {"t": 20, "type": "modify", "id": "a", **change},
                book(100, [["49990.00", "1"]], [["50000.00", "0.1"]]),
                account=CASH,
            )
        )
        return str(result["fills"][0]["order"])

    assert filled_first({"qty": "0.15"}) == "a"
    assert filled_first({"qty": "0.25"}) == "b"


# bars


@pytest.mark.parametrize(
    ("side", "sl", "tp", "after", "price", "balance"),
    [
        ("buy", "1.09800", "1.10300", ("1.10000", "1.10400", "1.09700", "1.10100"), "1.09800", "9800.00"),
        ("sell", "1.10300", "1.09800", ("1.10000", "1.10400", "1.09700", "1.10100"), "1.10300", "9700.00"),
    ],
)
def test_a_bar_that_reaches_stop_and_target_fills_the_stop_and_marks_it_ambiguous(
    side: str, sl: str, tp: str, after: tuple[str, ...], price: str, balance: str
) -> None:
    result = simulate(scenario(bar(0, *["1.10000"] * 4), bracket(10, side, sl, tp), bar(60_000, *after)))
    assert fills(result)[1] == (60_000, "B.sl", price, "100000", "taker")
    assert result["fills"][1]["ambiguous"]
    assert result["ambiguous"] == 1
    assert result["final"]["balances"] == {"USD": balance}


def test_finer_bars_resolve_an_ambiguous_coarse_bar() -> None:
    result = simulate(
        scenario(
            bar(0, *["1.10000"] * 4),
            bracket(10, "buy", "1.09800", "1.10300"),
            bar(
                120_000, "1.10000", "1.10400", "1.09700", "1.10100",
                detail=[
                    bar(60_000, "1.10000", "1.10400", "1.09990", "1.10350"),
                    bar(120_000, "1.10350", "1.10350", "1.09700", "1.10100"),
                ],
            ),
        )
    )  # fmt: skip
    assert fills(result)[1] == (60_000, "B.tp", "1.10300", "100000", "maker")
    assert result["ambiguous"] == 0


def test_a_bar_that_opens_beyond_the_stop_fills_at_its_open_and_is_not_ambiguous() -> None:
    result = simulate(
        scenario(
            bar(0, *["1.10000"] * 4),
            bracket(10, "buy", "1.09800", "1.10300"),
            bar(60_000, "1.09500", "1.10400", "1.09400", "1.10100"),
        )
    )
    assert fills(result)[1][1:3] == ("B.sl", "1.09500")
    assert result["ambiguous"] == 0


def test_the_ask_of_a_bar_is_its_bid_plus_its_spread() -> None:
    """Short from 1.10000; the bid reaches 1.10280, which is an ask of 1.10300."""
    result = simulate(
        scenario(
            bar(0, *["1.10000"] * 4, spread="0.00020"),
            bracket(10, "sell", "1.10300", "1.09500"),
            bar(60_000, "1.10000", "1.10279", "1.09990", "1.10000", spread="0.00020"),
            bar(120_000, "1.10000", "1.10280", "1.09990", "1.10000", spread="0.00020"),
        )
    )
    assert fills(result)[1] == (120_000, "B.sl", "1.10300", "100000", "taker")


def test_an_entry_inside_a_bar_gets_the_path_with_less_equity() -> None:
    """Open 1.10000, high 1.10400, low 1.09850, close 1.09950; a buy limit at 1.09900 has its target at 1.10300.

    If the low comes first, the high follows the entry and the target fills (+400.00). If the high comes
    first, the target does not fill and the entry has +50.00. The account gets the path with less equity.
    """
    result = simulate(
        scenario(
            bar(0, *["1.10000"] * 4),
            bracket(10, "buy", "1.09700", "1.10300", {"type": "limit", "price": "1.09900"}),
            bar(60_000, "1.10000", "1.10400", "1.09850", "1.09950"),
            snapshot(60_010),
        )
    )
    assert [fill[1] for fill in fills(result)] == ["B.entry"]
    assert result["snapshots"][0]["unrealized"] == {"USD": "50.00"}


def test_a_trailing_stop_rises_with_the_high_only_after_the_low() -> None:
    """Stop 1.09800; the low 1.09850 does not reach it; the high 1.10500 raises it to 1.10300, passed by the close."""
    result = simulate(
        scenario(
            bar(0, *["1.10000"] * 4),
            submit(10, "a", "buy"),
            submit(20, "ts", "sell", type="trailing_stop", trail="0.00200", reduce_only=True),
            bar(60_000, "1.10000", "1.10500", "1.09850", "1.10200"),
        )
    )
    assert fills(result)[1] == (60_000, "ts", "1.10300", "100000", "taker")

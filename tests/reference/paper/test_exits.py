"""Exits of a bracket whose position another order closes; each result is computed by hand."""

from typing import Any

from mikrobot.paper.scenario import simulate
from tests.reference.paper.cases import TETHER, book, bracket, quote, scenario, snapshot, submit


def status(result: dict[str, Any]) -> dict[str, str]:
    return {name: order["status"] for name, order in result["orders"].items()}


def nets(result: dict[str, Any], symbol: str = "EURUSD") -> list[str]:
    return [shot["net_position"][symbol] for shot in result["snapshots"]]


STOP_ENTRY = {"type": "stop", "stop": "1.09900"}


def test_exits_are_canceled_if_another_order_closes_the_position_in_the_event_of_the_entry() -> None:
    """At 1.09890 the entry sells 100,000 and the limit buys them back; the later short stays."""
    result = simulate(
        scenario(
            quote(0, "1.10000", "1.10010"),
            bracket(1, "sell", "1.10500", "1.05000", STOP_ENTRY),
            submit(2, "l", "buy", type="limit", price="1.09950"),
            quote(10, "1.09890", "1.09900"),
            submit(12, "mine", "sell"),
            quote(20, "1.10490", "1.10500"),
            snapshot(21),
        )
    )
    assert (status(result)["B.sl"], status(result)["B.tp"]) == ("canceled", "canceled")
    assert result["reasons"]["B.sl"] == "nothing is left to reduce"
    assert nets(result) == ["-100000"]


def test_exits_of_a_perpetual_are_canceled_if_its_position_closes_in_the_event_of_the_entry() -> None:
    result = simulate(
        scenario(
            book(0, [["50000.0", "5"]], [["50000.1", "5"]], "BTCPERP"),
            bracket(
                1, "sell", "50500.0", "49000.0", {"type": "stop", "stop": "49900.0"}, symbol="BTCPERP", qty="0.1"
            ),
            submit(2, "l", "buy", "0.1", "limit", symbol="BTCPERP", price="49950.0"),
            book(10, [["49890.0", "5"]], [["49900.0", "5"]], "BTCPERP"),
            submit(12, "mine", "sell", "0.1", symbol="BTCPERP"),
            book(20, [["50490.0", "5"]], [["50500.0", "5"]], "BTCPERP"),
            snapshot(21),
            account=TETHER,
        )
    )  # fmt: skip
    assert status(result)["B.sl"] == status(result)["B.tp"] == "canceled"
    assert nets(result, "BTCPERP") == ["-0.100"]


def test_exits_of_an_entry_that_still_works_wait_for_its_next_fill() -> None:
    """The limit entry buys 40,000 of 100,000, which the trader sells; the stop leaves the trader's own 30,000 alone.

    Its remaining 60,000 fill at 20; from then on the stop at 1.09700 closes them, and only them.
    """
    limit = {"type": "limit", "price": "1.09900"}
    result = simulate(
        scenario(
            quote(0, "1.10000", "1.10010"),
            bracket(1, "buy", "1.09700", "1.10300", limit),
            quote(10, "1.09890", "1.09900", size="40000"),
            submit(11, "out", "sell", "40000"),
            quote(12, "1.10000", "1.10010"),
            submit(13, "mine", "buy", "30000"),
            quote(14, "1.10300", "1.10310", size="90000"),
            snapshot(15),
            quote(20, "1.09890", "1.09900", size="90000"),
            snapshot(21),
            quote(30, "1.09700", "1.09710", size="90000"),
            snapshot(31),
        )
    )
    assert nets(result) == ["30000", "90000", "30000"]
    assert status(result)["B.entry"] == "filled"
    assert result["orders"]["B.sl"] == {"status": "filled", "filled": "60000"}

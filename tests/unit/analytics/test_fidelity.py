"""Comparison of a backtest with its run: every difference is found and has its first cause."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from mikrobot.analytics.fidelity import RunRecord, compare
from mikrobot.domain.trading import Decision, Fill, FillReason, OrderIntent, Prediction, Side

AT = datetime(2024, 3, 11, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def account(*minutes: int) -> RunRecord:
    """Return the records of one closed trade for each of these minutes."""
    orders, fills, decisions, predictions = [], [], [], []
    for minute in minutes:
        at, name = AT + minute * MINUTE, f"EURUSD/{minute}/buy"
        orders.append(
            OrderIntent(name, "d", "EURUSD", Side.BUY, D("0.10"), D("1.098"), D("1.103"), at, at + 30 * MINUTE)
        )
        entry = Fill(
            f"fx/{minute}", name, "EURUSD", Side.BUY, D("0.10"), D("1.1"), FillReason.ENTRY, D("0.35"), D(0), at
        )
        left = replace(entry, id=f"fx/{minute}x", side=Side.SELL, price=D("1.103"), reason=FillReason.TARGET, pnl=D(30))
        fills += [entry, left]
        decisions.append(
            Decision(f"r/{minute}", "EURUSD", at, True, Side.BUY, ("probability passed: 0.6",), "simple_break@0")
        )
        predictions.append(Prediction("EURUSD", Side.BUY, at, 0.6, "bos", "1", "h", {"m1_rsi_14": 60.0}))
    return RunRecord(orders, fills, decisions, predictions, {})


RUN = account(1, 2)


def test_the_same_records_have_no_difference() -> None:
    fidelity = compare(RUN, account(1, 2))
    assert fidelity.differences == ()
    assert (fidelity.orders, fidelity.fills, fidelity.alike, fidelity.decisions_alike) == ((2, 2), (4, 4), 2, 2)
    assert fidelity.pnl == (D("58.60"), D("58.60"))


def test_ids_of_records_and_decisions_may_differ() -> None:
    again = account(1, 2)
    renamed = replace(
        again,
        orders=[replace(order, decision_id="other") for order in again.orders],
        fills=[replace(fill, id=f"other {fill.id}") for fill in again.fills],
    )
    assert compare(RUN, renamed).differences == ()


@pytest.mark.parametrize(
    ("field", "value", "difference_text"),
    [
        ("price", D("1.10301"), "exit price: 1.103, backtest 1.10301"),
        ("pnl", D("29.99"), "exit pnl: 30, backtest 29.99"),
        ("fee", D("0.36"), "exit fee: 0.35, backtest 0.36"),
        ("reason", FillReason.STOP, "exit reason: target, backtest stop"),
        ("filled_at", AT + MINUTE, "exit filled at: 2024-03-11 09:02, backtest 2024-03-11 09:01"),
        ("ambiguous", True, "exit ambiguous: False, backtest True"),
    ],
)
def test_every_field_of_a_fill_counts(field: str, value: object, difference_text: str) -> None:
    again = account(1, 2)
    changed = replace(again, fills=[*again.fills[:3], replace(again.fills[3], **{field: value})])
    (difference,) = compare(RUN, changed).differences
    assert (difference.order, difference.what) == ("EURUSD/2/buy", difference_text)
    assert difference.cause.startswith("the same decision was filled differently")


def test_terms_of_an_order_count() -> None:
    again = account(1, 2)
    changed = replace(again, orders=[replace(again.orders[0], lots=D("0.11")), again.orders[1]])
    (difference,) = compare(RUN, changed).differences
    assert difference.what == "lots: 0.10, backtest 0.11"


def test_a_fill_that_only_one_has_is_a_difference() -> None:
    again = account(1, 2)
    (difference,) = compare(RUN, replace(again, fills=again.fills[:3])).differences
    assert difference.what == "fills: 2, backtest 1"


def test_a_minute_that_the_run_skipped_is_the_cause_of_its_missing_order() -> None:
    skipped = replace(account(1), skips={("EURUSD", AT + 2 * MINUTE): "no online row at 09:02"})
    (difference,) = compare(skipped, RUN).differences
    assert difference.what == "the backtest sent it, the run did not"
    assert difference.cause == "the run skipped the minute: no online row at 09:02"


def test_a_different_prediction_is_the_cause_with_the_inputs_that_differ() -> None:
    again = account(1)
    second = RUN.predictions[1]
    other = replace(second, probability=0.5, features={"m1_rsi_14": 59.0})
    refused = replace(RUN.decisions[1], approved=False)
    changed = replace(again, decisions=[*again.decisions, refused], predictions=[*again.predictions, other])
    (difference,) = compare(RUN, changed).differences
    assert difference.cause == "the model predicted 0.600000, backtest 0.500000, because m1_rsi_14 differ"


def test_a_difference_caused_by_an_earlier_one_names_it() -> None:
    again = account(1, 2)
    smaller = replace(again.orders[1], lots=D("0.09"))
    poorer = replace(again.decisions[1], reasons=("size passed: 0.09 lots",))
    changed = replace(
        again,
        orders=[again.orders[0], smaller],
        fills=[again.fills[0], replace(again.fills[1], pnl=D(-20)), *again.fills[2:]],
        decisions=[again.decisions[0], poorer],
    )
    first, second = compare(RUN, changed).differences
    assert first.order == "EURUSD/1/buy"
    assert second.cause.endswith("backtest on 'size passed: 0.09 lots', because EURUSD/1/buy differs")
    assert compare(RUN, changed).decisions_alike == 1

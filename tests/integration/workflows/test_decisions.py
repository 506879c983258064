"""The recorded decisions of a run: listed, counted by terminal reason, and explained."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from math import nan

import pytest

from mikrobot.cli.console import unbounded
from mikrobot.cli.decision_tables import explanation_tables, list_tables
from mikrobot.domain.check_results import Check, compared
from mikrobot.domain.errors import StoreError, UsageError
from mikrobot.domain.trading import Decision, OrderIntent, Prediction, Side
from mikrobot.settings import Settings
from mikrobot.store.ledger import Ledger, Skip
from mikrobot.store.runs import Run, Runs
from mikrobot.workflows import decision_list
from mikrobot.workflows.decision_list import Wanted
from mikrobot.workflows.explain import explain
from tests.journals import lines_of_a_trade

MINUTE = timedelta(minutes=1)
SPREAD = Check("spread", True, "5 %", compared(0.05, "<", 0.2, "of the stop distance"))


def decided(at, *checks, symbol="EURUSD", strategy="simple_break"):
    approved = all(check.passed for check in checks)
    return Decision(
        f"r1/{symbol}/{at:%Y%m%dT%H%M}/{strategy}", symbol, at, approved, Side.BUY,
        ("answered by bos 7, learned from EURUSD", *map(str, checks)), f"{strategy}@0",
        tuple(check.compared for check in checks),
    )  # fmt: skip


@pytest.fixture
def start(pool, bars):
    """A run with a trade at its first close, and refusals of EURUSD and BTCUSDT at the next three."""
    at = bars(1)["open_time"].iloc[0].to_pydatetime() + MINUTE
    segment = {"symbols": ["EURUSD", "BTCUSDT"], **dict.fromkeys(("history_from", "trade_from"), at.isoformat())}
    until = at + timedelta(hours=1)
    recorded = {**Settings().model_dump(mode="json"), "segments": [segment | {"trade_until": until.isoformat()}]}
    Runs(pool).begin(Run("r1", "replay", False, ("EURUSD", "BTCUSDT"), at, until, until, recorded))
    bought = decided(at, SPREAD)
    order = OrderIntent(
        "o1", bought.id, "EURUSD", Side.BUY, Decimal("0.10"), Decimal("1.09900"), Decimal("1.10200"), at, until
    )
    prediction = Prediction("EURUSD", Side.BUY, at, 0.61, "bos", "7", "abc", {"m1_rsi_14": 61.5, "m1_atr_14": nan})
    journal = lines_of_a_trade(order, ("1.10000", "1.10200"), "20", "0.35", at + MINUTE, first=0)
    Ledger(pool).commit("r1", at, predictions=[prediction], decisions=[bought], orders=[order], journal=journal)
    improbable = Check("probability", False, "0.5", compared(0.5, ">=", 0.55, "probability"))
    wide = replace(SPREAD, passed=False, compared=compared(0.3, "<", 0.2, "of the stop distance"))
    for number, refused in enumerate((improbable, improbable, wide), start=1):
        close = at + number * MINUTE
        second = decided(close, wide, symbol="BTCUSDT", strategy="m1_retest")
        Ledger(pool).commit("r1", close, decisions=[decided(close, refused, SPREAD), second])
    return at


def test_every_decision_is_listed_once_and_the_counts_add_up(pool, start):
    listed = decision_list.listed(pool, "last", Wanted())
    assert listed.terminal_reasons == {"spread": 4, "probability": 2, "approved": 1}
    assert sum(listed.terminal_reasons.values()) == len(listed.decisions) == Ledger(pool).counts("r1")["decisions"]
    document = listed.to_json()
    json.dumps(document, allow_nan=False)
    assert document["decisions"][1]["refusal"] == {
        "name": "probability", "passed": False, "value": 0.5, "relation": ">=", "threshold": 0.55, "distance": 0.05,
        "unit": "probability", "text": "0.5",
    }  # fmt: skip
    assert document["decisions"][0]["refusal"] is None
    printed = "".join(map(unbounded, list_tables(listed, 2)))
    assert "0.1 of the stop distance" in printed
    assert printed.count("r1/") == 2


def test_each_close_and_strategy_has_one_terminal_reason_also_if_it_was_skipped(pool, start):
    halted, closes = "halted since 09:30 UTC: data quality 0.00", [start + number * MINUTE for number in (4, 5, 6)]
    for close in closes:
        Ledger(pool).commit("r1", close, skips=[Skip("EURUSD", close, halted), Skip("BTCUSDT", close, "no row")])
    listed = decision_list.listed(pool, "last", Wanted())
    assert listed.terminal_reasons == {"skipped": 6, "spread": 4, "probability": 2, "approved": 1}
    assert sum(listed.terminal_reasons.values()) == listed.closes * listed.strategies == 13
    assert listed.skip_reasons == {halted: 3, "no row": 3}
    assert {key: listed.to_json()[key] for key in ("closes", "strategies", "count")} == {
        "closes": 13, "strategies": 1, "count": 7,
    }  # fmt: skip
    chosen = decision_list.listed(pool, "last", Wanted(symbol="EURUSD", start=closes[1], end=closes[1]))
    assert (chosen.terminal_reasons, chosen.closes) == ({"skipped": 1}, 1)
    printed = "".join(map(unbounded, list_tables(listed, 2)))
    assert "skipped closes by reason" in printed
    assert halted in printed


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (lambda at: Wanted(symbol="BTCUSDT"), 3),
        (lambda at: Wanted(strategy="simple_break"), 4),
        (lambda at: Wanted(start=at + MINUTE, end=at + 2 * MINUTE), 4),
        (lambda at: Wanted(symbol="EURUSD", start=at + 3 * MINUTE), 1),
        (lambda at: Wanted(symbol="EURUSD", strategy="simple_break", end=at), 1),
    ],
    ids=["symbol", "strategy", "span", "from", "to"],
)
def test_the_list_keeps_to_what_is_wanted(pool, start, wanted, count):
    assert len(decision_list.listed(pool, None, wanted(start)).decisions) == count


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (lambda at: Wanted(symbol="GBPUSD"), r"does not trade GBPUSD; it trades EURUSD, BTCUSDT"),
        (lambda at: Wanted(strategy="m5_bos"), r"no decision of 'm5_bos'; its strategies are m1_retest, simple_break"),
        (lambda at: Wanted(start=at + timedelta(days=1)), r"trades from .* to .* UTC; choose other times"),
        (lambda at: Wanted(end=at - timedelta(days=1)), r"trades from .* to .* UTC; choose other times"),
    ],
    ids=["symbol", "strategy", "after", "before"],
)
def test_a_list_of_what_the_run_does_not_have_is_refused(pool, start, wanted, message):
    with pytest.raises(UsageError, match=message):
        decision_list.listed(pool, "r1", wanted(start))


def test_an_approved_decision_is_explained_to_its_profit(pool, start):
    explained = explain(pool, f"r1/EURUSD/{start:%Y%m%dT%H%M}/simple_break").to_json()
    json.dumps(explained, allow_nan=False)
    assert explained["terminal_reason"] == "approved"
    assert explained["inputs"]["answered_by"] == "bos 7, learned from EURUSD"
    assert explained["inputs"]["predictions"][0]["features"] == {"m1_rsi_14": 61.5, "m1_atr_14": None}
    assert explained["checks"] == [SPREAD.to_json()]
    assert explained["order"]["lots"] == "0.10"
    assert [fill["reason"] for fill in explained["outcome"]["fills"]] == ["entry", "target"]
    assert explained["outcome"]["profit"] == "19.30"


def test_an_explanation_is_printed_from_its_inputs_to_its_profit(pool, start):
    explained = explain(pool, f"r1/EURUSD/{start:%Y%m%dT%H%M}/simple_break")
    printed = "".join(map(unbounded, explanation_tables(explained)))
    for part in ("0.61 by bos 7, known at", "m1_rsi_14", "61.5", "buy 0.10 lots at the next open", "profit 19.30 USD"):
        assert part in printed


def test_a_refused_decision_is_explained_without_an_order(pool, start):
    explained = explain(pool, f"r1/EURUSD/{start + MINUTE:%Y%m%dT%H%M}/simple_break").to_json()
    assert explained["refusal"]["distance"] == 0.05
    assert (explained["order"], explained["outcome"]["state"]) == (None, "no order")


def test_an_unknown_decision_is_refused_in_one_line(pool, start):
    with pytest.raises(StoreError, match=r"\Athere is no decision 'r1/none'; `mikrobot decisions` lists the ids"):
        explain(pool, "r1/none")

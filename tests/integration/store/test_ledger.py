"""The ledger: records are read back equal, are written once, and can never change."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from math import isnan, nan

import psycopg
import pytest

from mikrobot.domain.check_results import Comparison
from mikrobot.domain.errors import StoreError
from mikrobot.domain.trading import Decision, OrderIntent, Prediction, Side
from mikrobot.store.ledger import JournalLine, Ledger, Skip
from mikrobot.store.postgres import database as databases
from mikrobot.store.postgres.roles import OWNER
from mikrobot.store.predicted import versions_since
from mikrobot.store.runs import Runs

MINUTE = timedelta(minutes=1)
TABLES = ("prediction", "decision", "orders", "journal", "skip", "shadow", "feature_list")


@pytest.fixture
def ledger(pool, run):
    Runs(pool).begin(run)
    return Ledger(pool)


@pytest.fixture
def minute(run):
    """Return every kind of record that a worker may write at one close."""
    at = run.starts_at + MINUTE
    up = Prediction("EURUSD", Side.BUY, at, 0.61, "bos", "3", "abc123", {"m1_rsi_14": 61.5, "m1_atr_14": 0.1 + 0.2})
    down = replace(up, side=Side.SELL, probability=0.2)
    decision = Decision(
        "d1", "EURUSD", at, True, Side.BUY, ("probability passed: 0.61 >= 0.55", "spread passed: ok"), "simple_break@0",
        (Comparison(0.1 + 0.2, ">=", 0.55, "probability"), None, Comparison(None, "<", 0.2, "of the stop")),
    )  # fmt: skip
    refused = Decision("d2", "BTCUSDT", at, False, None, ("no level",), "simple_break@0")
    order = OrderIntent(
        "o1", "d1", "EURUSD", Side.BUY, Decimal("0.10"), Decimal("1.07990"), Decimal("1.08260"), at, at + 5 * MINUTE
    )
    return {
        "close_time": at,
        "predictions": [up, down],
        "decisions": [decision, refused],
        "orders": [order],
        "journal": [
            JournalLine("fx", 0, "booked", '{"record":"booked","seq":0,"amount":123456789012345678901234567890}'),
            JournalLine("fx", 1, "filled", '{"record":"filled", "seq":1,  "base_rate":[1,3]}'),
            JournalLine("crypto", 0, "filled", '{"record":"filled","seq":0}'),
        ],
        "skips": [Skip("BTCUSDT", at, "no online row at 00:01")],
        "shadows": [replace(up, model_version="4", probability=0.7), replace(down, model_version="4")],
    }


def test_versions_that_predicted_are_found_by_their_closes_and_by_the_start_of_their_run(pool, run, minute):
    started, second = run.started_at + timedelta(days=9), timedelta(seconds=1)
    Runs(pool).begin(replace(run, started_at=started))
    Ledger(pool).commit("r1", **minute)
    assert versions_since(pool, started) == {"3", "4"}
    assert versions_since(pool, started + second) == frozenset()
    none = dict.fromkeys(("predictions", "decisions", "orders", "journal", "skips"), ())
    shadow = replace(minute["shadows"][0], close_time=started + MINUTE)
    Ledger(pool).commit("r1", started + MINUTE, shadows=[shadow], **none)
    assert versions_since(pool, started + MINUTE) == {"4"}
    assert versions_since(pool, started + MINUTE + second) == frozenset()


def test_what_was_committed_comes_back_equal_and_in_order(ledger, minute):
    assert ledger.commit("r1", **minute)
    for kind in ("predictions", "decisions", "orders", "skips"):
        assert getattr(ledger, kind)("r1") == minute[kind]
    assert ledger.counts("r1") == {"predictions": 2, "decisions": 2, "orders": 1, "fills": 2, "skips": 1}


def test_the_predictions_of_a_version_come_back_from_every_run_of_its_source(ledger, minute, run, pool):
    ledger.commit("r1", **minute)
    Runs(pool).begin(replace(run, id="r2"))
    later = run.starts_at + 2 * MINUTE
    ledger.commit("r2", later, predictions=[replace(minute["predictions"][0], close_time=later)])
    asked = ("bos", "3", run.source)
    closes = [prediction.close_time for prediction in ledger.predictions_of(*asked, run.starts_at)]
    assert closes == [minute["close_time"]] * 2 + [later]
    assert [prediction.close_time for prediction in ledger.predictions_of(*asked, minute["close_time"])] == [later]
    assert ledger.predictions_of("bos", "4", run.source, run.starts_at) == []
    assert ledger.predictions_of("bos", "3", "elsewhere", later) == []


def test_shadow_predictions_are_counted_and_are_not_among_the_predictions(ledger, minute, run, pool):
    ledger.commit("r1", **minute)
    assert {prediction.model_version for prediction in ledger.predictions("r1")} == {"3"}
    asked = (("bos", "4", "EURUSD"), ("bos", "4", "BTCUSDT"), ("bos", "3", "EURUSD"), ("retest", "4", "EURUSD"))
    assert [ledger.shadows(*version) for version in asked] == [2, 0, 0, 0]


def test_decimals_come_back_digit_for_digit(ledger, minute):
    ledger.commit("r1", **minute)
    assert str(ledger.orders("r1")[0].lots) == "0.10"


def test_journals_come_back_to_the_byte_each_in_its_order(ledger, minute):
    first, second, other = minute["journal"]
    ledger.commit("r1", minute["close_time"], journal=[second, other, first])
    assert ledger.journal("r1") == [other, first, second]
    assert ledger.journal("r1", ("booked",)) == [first]


def test_a_record_of_an_account_is_written_once(ledger, minute, pool):
    ledger.commit("r1", **minute)
    again = {"journal": [replace(minute["journal"][0], record='{"another":"record"}')]}
    with pytest.raises(StoreError, match=r"failed: .*journal_pkey"):
        ledger.commit("r1", minute["close_time"] + MINUTE, **again)
    assert ledger.journal("r1") == [minute["journal"][2], *minute["journal"][:2]]
    assert Runs(pool).reached("r1", "worker") == minute["close_time"]


def test_a_probability_and_a_feature_that_are_missing_come_back_as_nan(ledger, minute):
    missing = replace(minute["predictions"][0], probability=nan, features={"m1_spread_atr": nan})
    ledger.commit("r1", minute["close_time"], predictions=[missing])
    (read,) = ledger.predictions("r1")
    assert isnan(read.probability)
    assert isnan(read.features["m1_spread_atr"])


def test_features_keep_their_order_and_each_list_of_names_is_kept_once(ledger, minute, pool, run):
    swapped = replace(minute["predictions"][0], symbol="BTCUSDT", features={"m1_atr_14": 1.0, "m1_rsi_14": 2.0})
    ledger.commit("r1", minute["close_time"], predictions=[*minute["predictions"], swapped])
    later = replace(minute["predictions"][0], close_time=minute["close_time"] + MINUTE)
    Ledger(pool).commit("r1", later.close_time, predictions=[later])
    assert [list(p.features) for p in ledger.predictions("r1")] == [
        ["m1_rsi_14", "m1_atr_14"], ["m1_rsi_14", "m1_atr_14"], ["m1_atr_14", "m1_rsi_14"], ["m1_rsi_14", "m1_atr_14"]
    ]  # fmt: skip
    with pool.connection() as connection:
        assert connection.execute("SELECT count(*) FROM feature_list").fetchone() == (2,)


def test_a_close_is_committed_once(ledger, minute):
    assert ledger.commit("r1", **minute)
    assert not ledger.commit("r1", **minute)
    assert not ledger.commit("r1", minute["close_time"] - MINUTE, skips=[Skip("EURUSD", minute["close_time"], "late")])
    assert ledger.counts("r1") == {"predictions": 2, "decisions": 2, "orders": 1, "fills": 2, "skips": 1}


def test_an_empty_minute_still_moves_the_worker_on(ledger, run, pool):
    assert ledger.commit("r1", run.starts_at + MINUTE)
    assert Runs(pool).reached("r1", "worker") == run.starts_at + MINUTE


def test_a_minute_is_committed_whole_or_not_at_all(ledger, minute, pool):
    stray = replace(minute["orders"][0], id="o2", decision_id="unknown")
    with pytest.raises(StoreError, match=r"committing 2024-03-04 00:01.* failed: .*foreign key"):
        ledger.commit("r1", **(minute | {"orders": [*minute["orders"], stray]}))
    assert set(ledger.counts("r1").values()) == {0}
    assert Runs(pool).reached("r1", "worker") is None
    assert ledger.commit("r1", **minute)


def test_runs_do_not_mix(ledger, minute, run, pool):
    Runs(pool).begin(replace(run, id="r2"))
    ledger.commit("r1", **minute)
    assert set(ledger.counts("r2").values()) == {0}
    assert ledger.commit("r2", **minute)
    assert len(ledger.journal("r2")) == len(minute["journal"])


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("statement", ["UPDATE {} SET {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
@pytest.mark.parametrize("setting", ["", "SET session_replication_role = replica"])
def test_the_database_refuses_its_owner_and_administrator_to_change_what_is_written(
    ledger, minute, database, postgres, table, statement, setting
):
    ledger.commit("r1", **minute)
    column = {"feature_list": "names = names", "journal": "kind = 'other'"}.get(table, "symbol = 'other'")
    owner, administrator = databases.url(database, OWNER), postgres.admin_url.rpartition("/")[0] + "/mikrobot"
    for url in (administrator,) if setting else (owner, administrator):
        with psycopg.connect(url) as connection:
            connection.execute(setting)
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                connection.execute(statement.format(table, column))
    assert ledger.predictions("r1") == minute["predictions"]

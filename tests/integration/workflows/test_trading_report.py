"""The trading report of a recorded run, from the ledger and the stored bars."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from mikrobot import settings as configuration
from mikrobot.domain.errors import DataError, UsageError
from mikrobot.domain.market import Timeframe
from mikrobot.domain.risk_profiles import RISK_PROFILES
from mikrobot.domain.trading import Decision, OrderIntent, Side
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.runs import Run, Runs
from mikrobot.workflows import trading_report
from tests.journals import lines_of_a_trade

DAYS = 10


@pytest.fixture
def run(pool, bars):
    """A run of ten days with a trade every six hours, all of them won by 20 dollars."""
    frame = bars(DAYS * 1440)
    start = frame["open_time"].iloc[0].to_pydatetime()
    until = start + timedelta(days=DAYS)
    segment = {"symbols": ["EURUSD"], **dict.fromkeys(("history_from", "trade_from"), start.isoformat())}
    settings = {**Settings().model_dump(mode="json"), "segments": [segment | {"trade_until": until.isoformat()}]}
    recorded = Run("r1", "replay", False, ("EURUSD",), start, until, until, settings)
    Runs(pool).begin(recorded)
    BarStore(pool).upsert("replay", "EURUSD", Timeframe.M1, frame)
    for number in range(4 * DAYS):
        at = start + timedelta(hours=6 * number)
        left, key, stop, target = at + timedelta(minutes=30), f"r1/{number}", Decimal("1.09900"), Decimal("1.10200")
        order = OrderIntent(key, key, "EURUSD", Side.BUY, Decimal("0.10"), stop, target, at, left)
        Ledger(pool).commit(
            "r1", left,
            decisions=[Decision(key, "EURUSD", at, True, Side.BUY, ("probability passed: 0.7",), "simple_break@0")],
            orders=[order],
            journal=lines_of_a_trade(order, ("1.10000", "1.10200"), "20", "0.35", left, first=4 * number),
        )  # fmt: skip
    return recorded


def test_the_report_of_a_run_has_every_trade_and_figure(database, run):
    written = trading_report.write(database, None)
    assert written.run.id == run.id
    assert all(Path(path).is_file() for path in written.paths.values())
    report_json = written.to_json()
    json.dumps(report_json, allow_nan=False)
    assert report_json["total"]["trades"] == 4 * DAYS
    assert Decimal(report_json["total"]["pnl"]) == 4 * DAYS * Decimal("19.30")
    assert report_json["figures"]["values"]["expectancy_r"] == pytest.approx(1.93)
    assert report_json["figures"]["reasons"]["profit_factor"] == "nothing was lost"


def test_the_report_names_what_the_run_was_traded_by_and_not_what_is_set_today(database, pool, run, monkeypatch):
    recorded = {"profile": "ftmo", "entry_probability": 0.7, "swing": 15, "horizon_minutes": 10, "balance": "5000"}
    Runs(pool).begin(replace(run, id="other", settings=run.settings | recorded))
    for name, value in {"PROFILE": "lightning", "ENTRY_PROBABILITY": "0.2", "SWING": "5", "BALANCE": "70000"}.items():
        monkeypatch.setenv(f"MIKROBOT_{name}", value)
    today = configuration.load(**database.model_dump(include={"home", "postgres_port"}))
    assert today.trading == RISK_PROFILES["lightning"]
    report = trading_report.write(today, "other").report
    for text in (report.html.read_text(), report.markdown.read_text()):
        assert "profile ftmo · entry probability 0.7 · swing 15 · horizon 10 min" in text
        assert "answers of the champion or the baseline" in text
    assert "Opening balance 5,000.00 USD" in report.html.read_text()


def test_the_last_days_go_into_a_folder_of_their_own(database, run):
    week, whole = trading_report.write(database, run.id, days=7), trading_report.write(database, run.id)
    assert week.report.assessment.total.trades == 28
    assert week.report.html != whole.report.html
    assert week.report.html.exists()
    assert "last-7-days" in str(week.report.html)


def test_a_run_of_the_time_before_journals_is_refused_and_not_reported_as_idle(database, pool, run):
    Runs(pool).begin(replace(run, id="old"))
    at = run.starts_at + timedelta(minutes=1)
    order = OrderIntent("o", "d", "EURUSD", Side.BUY, Decimal(1), Decimal("1.09"), Decimal("1.12"), at, at)
    Ledger(pool).commit(
        "old", at, decisions=[Decision("d", "EURUSD", at, True, Side.BUY, (), "simple_break@0")], orders=[order]
    )
    with pytest.raises(DataError, match="traded before journals were kept"):
        trading_report.write(database, "old")


def test_without_a_run_the_error_asks_for_one(database):
    with pytest.raises(UsageError, match="mikrobot run"):
        trading_report.write(database, None)

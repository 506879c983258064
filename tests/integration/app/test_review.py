"""The trading report of a recorded run, from the ledger and the stored bars."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from mikrobot.app import review
from mikrobot.domain.errors import UsageError
from mikrobot.domain.market import Timeframe
from mikrobot.domain.trading import Decision, Fill, FillReason, Order, Side
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.runs import Run, Runs

DAYS = 10


@pytest.fixture
def run(pool, bars):
    """A run of ten days with a trade every six hours, all of them won by 20 dollars."""
    frame = bars(DAYS * 1440)
    start = frame["open_time"].iloc[0].to_pydatetime()
    until = start + timedelta(days=DAYS)
    segment = {"symbols": ["EURUSD"], **dict.fromkeys(("history_from", "trade_from"), start.isoformat())}
    settings = {"segments": [segment | {"trade_until": until.isoformat()}]}
    recorded = Run("r1", "replay", False, ("EURUSD",), start, until, until, settings)
    Runs(pool).begin(recorded)
    BarStore(pool).upsert("replay", "EURUSD", Timeframe.M1, frame)
    lots, nothing, fee = Decimal("0.10"), Decimal(0), Decimal("0.35")
    for number in range(4 * DAYS):
        at = start + timedelta(hours=6 * number)
        left, key = at + timedelta(minutes=30), f"r1/{number}"
        entry, stop, target = Decimal("1.10000"), Decimal("1.09900"), Decimal("1.10200")
        Ledger(pool).commit(
            "r1", left,
            decisions=[Decision(key, "EURUSD", at, True, Side.BUY, ("probability passed: 0.7",))],
            orders=[Order(key, key, "EURUSD", Side.BUY, lots, stop, target, at, left)],
            fills=[
                Fill(f"{key}/in", key, "EURUSD", Side.BUY, lots, entry, FillReason.ENTRY, fee, nothing, at),
                Fill(f"{key}/out", key, "EURUSD", Side.SELL, lots, target, FillReason.TARGET, fee, Decimal("20"), left),
            ],
        )  # fmt: skip
    return recorded


def test_the_report_of_a_run_has_every_trade_and_figure(database, run):
    found = review.review(database, None)
    assert found.run.id == run.id
    assert all(Path(path).is_file() for path in found.paths.values())
    told = found.to_json()
    json.dumps(told, allow_nan=False)
    assert told["total"]["trades"] == 4 * DAYS
    assert Decimal(told["total"]["pnl"]) == 4 * DAYS * Decimal("19.30")
    assert told["figures"]["values"]["expectancy_r"] == pytest.approx(1.93)
    assert told["figures"]["reasons"]["profit_factor"] == "nothing was lost"


def test_the_last_days_go_into_a_folder_of_their_own(database, run):
    week, whole = review.review(database, run.id, days=7), review.review(database, run.id)
    assert week.report.assessment.total.trades == 28
    assert week.report.html != whole.report.html
    assert week.report.html.exists()
    assert "last-7-days" in str(week.report.html)


def test_without_a_run_it_says_what_to_do(database):
    with pytest.raises(UsageError, match="mikrobot run"):
        review.review(database, None)

"""The run that is resumed: the latest, if it is a replay that did not end; its stages are done once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mikrobot.domain.errors import UsageError
from mikrobot.market.history import Backfill
from mikrobot.settings import Settings
from mikrobot.store.resets import Reset, Resets
from mikrobot.store.runs import Run, Runs, Segment
from mikrobot.workflows import resumption, run_stages
from mikrobot.workflows.gate_counts import GateCounts, Gated

NOON = datetime(2025, 3, 14, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
INGESTED = [Gated(Backfill("EURUSD", 60, 60, 0, NOON - HOUR, NOON), GateCounts("bars", 9, 1, 60, 0))]


def begin(pool: Any, settings: Settings, run_id: str, source: str = "replay", started_at: datetime = NOON) -> Run:
    segment = Segment(("EURUSD",), NOON - HOUR, NOON - HOUR, NOON)
    recorded = {**settings.model_dump(mode="json"), "segments": [segment.to_json()]}
    run = Run(run_id, source, False, ("EURUSD",), segment.trade_from, NOON, started_at, recorded)
    Runs(pool).begin(run)
    return run


def test_the_latest_run_is_resumed(database: Settings, pool) -> None:
    begin(pool, database, "earlier")
    run = begin(pool, database, "latest", started_at=NOON + HOUR)
    assert resumption.interrupted(database, {"hours": None}) == run


def test_without_a_run_there_is_nothing_to_resume(database: Settings, pool) -> None:
    with pytest.raises(UsageError, match="there is no run to resume"):
        resumption.interrupted(database, {})


def test_a_run_that_has_ended_is_not_resumed_nor_is_one_before_it(database: Settings, pool) -> None:
    begin(pool, database, "interrupted")
    begin(pool, database, "ended", started_at=NOON + HOUR)
    Runs(pool).conclude("ended", {"run": "ended"})
    with pytest.raises(UsageError, match="the latest run, ended, has ended, so there is nothing to resume"):
        resumption.interrupted(database, {})


def test_a_run_on_a_live_source_is_left_to_up(database: Settings, pool) -> None:
    begin(pool, database, "live", "simulated")
    with pytest.raises(UsageError, match="`mikrobot up` continues its trading"):
        resumption.interrupted(database, {})


def test_a_run_whose_account_was_reset_is_not_resumed(database: Settings, pool) -> None:
    begin(pool, database, "reset")
    Resets(pool).add(Reset("replay", NOON + HOUR, database.balance))
    with pytest.raises(UsageError, match="the paper account of source replay was reset after run reset"):
        resumption.interrupted(database, {})


@pytest.mark.parametrize(
    ("kind", "result"),
    [(run_stages.INGESTED, INGESTED), (run_stages.FIRST_ORDER, None), (run_stages.FIRST_ORDER, NOON)],
)
def test_a_stage_that_has_ended_is_not_repeated(database: Settings, pool, monkeypatch, kind, result) -> None:
    monkeypatch.setattr(run_stages.configuration, "load", lambda: database)
    begin(pool, database, "run")
    segment, times = run_stages.SegmentStages("run", 0), []

    def work() -> Any:
        times.append("worked")
        return result

    assert [segment.once("stage", kind, work) for _ in range(2)] == [result, result]
    assert times == ["worked"]
    assert run_stages.SegmentStages("run", 1).once("stage", kind, work) == result
    assert times == ["worked", "worked"]


def test_a_stage_that_fails_is_repeated(database: Settings, pool, monkeypatch) -> None:
    monkeypatch.setattr(run_stages.configuration, "load", lambda: database)
    begin(pool, database, "run")
    once = run_stages.SegmentStages("run", 0).once
    with pytest.raises(ZeroDivisionError):
        once("stage", run_stages.FIRST_ORDER, lambda: 1 / 0)
    assert once("stage", run_stages.FIRST_ORDER, lambda: NOON) == NOON

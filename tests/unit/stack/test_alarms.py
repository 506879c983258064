"""What `status` and `doctor` find wrong with a stack that should run."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mikrobot.cli.main import main
from mikrobot.live import pid_records, steady_clock
from mikrobot.settings import Settings
from mikrobot.stack import alarms, supervision, wanted
from mikrobot.stack.schedules import PlannedRun, Schedules
from mikrobot.stack.service_log import ServiceStatus
from mikrobot.stack.supervision import Report

TUESDAY = datetime(2024, 3, 12, 10, tzinfo=UTC)
SATURDAY = datetime(2024, 3, 16, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLANNED = Schedules((PlannedRun("ingest", TUESDAY + MINUTE),))
IN_ORDER = Report()
NAMES = ("postgres", "prefect", "flows", "streamer", "worker")


@pytest.fixture
def settings(tmp_path) -> Settings:
    """Settings of a stack that is wanted with a live run of EURUSD, and whose supervisor is this process."""
    settings = Settings(home=tmp_path, source="simulated", symbols=("EURUSD",))
    wanted.want(settings, ("postgres", "prefect", "flows"))
    wanted.want_live(settings, "r1", 0)
    pid_records.record("supervisor", tmp_path, os.getpid())
    steady_clock.anchor_at(TUESDAY, tmp_path)
    return settings


@pytest.fixture
def find(settings) -> Callable[..., list[str]]:
    def find(report: Report = IN_ORDER, planned: Schedules | None = PLANNED, **changed: Any) -> list[str]:
        supervision.write_report(report, settings.home)
        statuses = [ServiceStatus(name, 1, True, "", 0, None) for name in NAMES if name not in changed]
        statuses += [ServiceStatus(name, pid, False, "", 0, None) for name, pid in changed.items()]
        return alarms.alarms(settings, statuses, planned)

    return find


def test_a_stack_in_order_has_no_alarm(find):
    assert find(Report(silent_since=TUESDAY)) == []


def test_a_stack_that_nobody_wants_has_none_either(find, settings):
    wanted.clear(settings.home)
    assert find(worker=None) == []


def test_a_dead_process_one_that_is_not_ready_and_one_that_keeps_dying_are_named(find):
    assert find(worker=None) == ["worker does not run"]
    assert find(streamer=7) == ["streamer runs, but is not ready"]
    report = Report({"flows": "no such module"})
    assert find(report, flows=None) == ["flows keeps dying and stays down for now: no such module"]


def test_a_supervisor_that_was_killed_is_named_with_the_remedy(find, settings):
    pid_records.forget("supervisor", settings.home)
    assert find() == ["the supervisor does not run, nothing restarts what dies: `mikrobot up` starts it again"]


@pytest.mark.parametrize(("now", "minutes", "silent"), [(TUESDAY, 2, False), (TUESDAY, 4, True), (SATURDAY, 60, False)])
def test_silence_is_an_alarm_only_on_an_open_market(find, settings, now, minutes, silent):
    steady_clock.anchor_at(now, settings.home)
    lines = find(Report(silent_since=now - minutes * MINUTE))
    assert [line[: line.index(" on")] for line in lines] == (
        [f"no minute was handled for {minutes} minutes"] if silent else []
    )


def test_after_the_weekend_the_market_has_three_minutes_before_silence_is_an_alarm(find, settings):
    sunday_opening = datetime(2024, 3, 17, 21, tzinfo=UTC)
    friday = datetime(2024, 3, 15, 21, tzinfo=UTC)
    for after, count in ((2, 0), (4, 1)):
        steady_clock.anchor_at(sunday_opening + after * MINUTE, settings.home)
        assert len(find(Report(silent_since=friday))) == count


@pytest.mark.parametrize(("seconds", "way"), [(3600, "forward by 3600 s"), (-60, "back by 60 s")])
def test_a_clock_that_was_set_is_named(find, seconds, way):
    assert [way in line for line in find(Report(clock_set_by_s=seconds))] == [True]


def test_a_scheduler_that_schedules_nothing_or_does_not_answer_is_named(find):
    assert find(planned=Schedules(unscheduled=("retrain",))) == [
        "Prefect schedules no run of retrain: read logs/prefect.log"
    ]
    assert find(planned=None) == ["Prefect does not answer, no flow is scheduled: read logs/prefect.log"]


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_status_and_doctor_exit_with_1_and_name_what_does_not_run(settings, monkeypatch, capsys, command):
    monkeypatch.setenv("MIKROBOT_HOME", str(settings.home))
    with pytest.raises(SystemExit) as stopped:
        main([command, "--json"])
    assert stopped.value.code == 1
    printed = json.loads(capsys.readouterr().out)
    lines = printed["alarms"] if command == "status" else [finding["found"] for finding in printed]
    assert {f"{name} does not run" for name in NAMES} <= set(lines)

"""A run in the present under a supervisor: what is recorded of a kill, and minutes after the clock was set."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import psutil
import pytest

from mikrobot.domain.market import Timeframe
from mikrobot.live import pid_records, steady_clock
from mikrobot.market.simulated import SimulatedSource
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.stack import local_stack, supervision, supervisor, wanted
from mikrobot.store.bars import BarStore
from mikrobot.store.postgres import bundled, database
from mikrobot.store.process_events import ProcessEvents
from mikrobot.store.runs import Run, Runs, Segment
from tests.killing import kill_9

CLOCK = SystemClock()
SYMBOL = "BTCUSDT"  # is never closed


@pytest.fixture(scope="module")
def standing(install, tmp_path_factory) -> Iterator[Any]:
    """PostgreSQL, streamer and worker of a run in the present, under a supervisor."""
    with install(tmp_path_factory.mktemp("standing")) as installation, pytest.MonkeyPatch.context() as patch:
        patch.delenv("MIKROBOT_DATABASE_URL", raising=False)
        installation.settings = installation.settings.model_copy(update={"source": "simulated", "symbols": (SYMBOL,)})
        settings = installation.settings
        bundled.start(settings.home, settings.host, settings.postgres_port)
        database.provision(settings)
        database.migrate(settings)
        local_stack.run_module("feature_repo", settings)
        ended = CLOCK.now().replace(second=0, microsecond=0) - timedelta(minutes=2)
        record(settings, Segment((SYMBOL,), ended - timedelta(days=2), ended, ended))
        wanted.want(settings, ["postgres"])
        supervisor.begin(settings, "r1", 0)
        yield installation


def record(settings: Any, segment: Segment, run_id: str = "r1") -> None:
    """Record a run in the present with the bars of its history."""
    frame = SimulatedSource((SYMBOL,), settings.seed, CLOCK).history(SYMBOL, segment.history_from, segment.trade_until)
    recorded = {**settings.model_dump(mode="json", exclude={"database_url"}), "segments": [segment.to_json()]}
    ended = segment.trade_until
    with database.open_pool(settings) as pool:
        BarStore(pool).upsert("simulated", SYMBOL, Timeframe.M1, frame)
        Runs(pool).begin(Run(run_id, "simulated", True, (SYMBOL,), ended, ended, ended, recorded))


def test_a_postgres_that_is_killed_is_in_the_events_of_the_database_once_it_is_back(standing):
    kill_9(psutil.Process(bundled.pid(standing.home)))

    def stored() -> bool:
        with suppress(Exception), database.open_pool(standing.settings) as pool:
            events = ProcessEvents(pool).all()
            return [event.event for event in events if event.process == "postgres"] == ["died", "restarted"]
        return False

    wait_until(stored, "the events are not stored", CLOCK, timeout_s=120, every_s=1)


def test_minutes_are_traded_by_the_time_that_has_really_passed_after_the_clock_was_set_forward(standing):
    """The anchor lies an hour back, as after the clock of the machine was set forward by an hour."""
    settings = standing.settings
    local_stack.down(settings, wanted.LIVE)
    kill_9(pid_records.find("supervisor", standing.home), children=False)
    steady = steady_clock.anchor_at(CLOCK.now() - timedelta(hours=1), standing.home)
    ended = steady.now().replace(second=0, microsecond=0) - timedelta(minutes=2)
    record(settings, Segment((SYMBOL,), ended - timedelta(days=2), ended, ended), "r2")
    supervisor.begin(settings, "r2", 0)
    with database.open_pool(settings) as pool:
        runs = Runs(pool)
        wait_until(lambda: runs.reached("r2", "worker") is not None, "nothing is traded", CLOCK, timeout_s=300)
        runs.advance("r2", "streamer", steady.now() + timedelta(minutes=30))
        CLOCK.sleep(5)  # in which the worker asks several times
        assert runs.reached("r2", "worker") <= steady.now()
    wait_until(lambda: 3590 < supervision.report(standing.home).clock_set_by_s < 3610, "no alarm", CLOCK, timeout_s=60)


def test_down_leaves_nothing_even_if_the_supervisor_and_a_process_were_killed(standing):
    kill_9(pid_records.find("supervisor", standing.home), children=False)
    kill_9(pid_records.find("worker", standing.home))
    process = standing.run("down")
    assert process.returncode == 0, process.stderr
    assert standing.left() == []

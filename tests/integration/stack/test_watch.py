"""The supervisor on small processes that are really started, killed and started again."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from time import perf_counter

import pytest

from mikrobot.live import pid_records
from mikrobot.runtime import ManualClock, SystemClock, wait_until
from mikrobot.settings import Settings
from mikrobot.stack import local_stack, processes, service_table, supervision, wanted, watch
from mikrobot.stack.event_log import EventLog
from mikrobot.stack.log_rotation import LARGEST_BYTES
from mikrobot.stack.processes import Service
from mikrobot.stack.restarts import RESTARTS
from mikrobot.stack.wanted import Wanted
from mikrobot.stack.watch import UNRESPONSIVE_S, Supervisor
from tests.killing import alive, kill_9
from tests.ports import reserved_ports

SLEEP = (sys.executable, "-S", "-c", "import threading; threading.Event().wait()")
DIE = (sys.executable, "-S", "-c", "raise SystemExit('no such port')")
CLOCK = ManualClock(datetime(2025, 3, 14, tzinfo=UTC))


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Iterator[Settings]:
    monkeypatch.setenv("MIKROBOT_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    with reserved_ports(2) as (mlflow, bento):
        settings = Settings(home=tmp_path, mlflow_port=mlflow, bento_port=bento)
        yield settings
        local_stack.down(settings)


@pytest.fixture
def supervise(settings) -> Callable[..., Supervisor]:
    """Return a function that starts the services `mlflow` and `bento` as small processes, and their supervisor."""

    def begin(**commands: tuple[str, ...]) -> Supervisor:
        def start(name: str, current: Wanted) -> None:
            processes.start(Service(name, commands[name], {}), settings.home, settings.host)

        wanted.want(settings, commands)
        for name in commands:
            start(name, wanted.read(settings.home))
        return Supervisor(settings, EventLog(settings, CLOCK), start, CLOCK)

    return begin


def running(settings: Settings, name: str):
    process = pid_records.find(name, settings.home)
    assert process is not None, f"{name} does not run"
    return process


def test_what_is_killed_is_started_again_and_what_runs_is_left_alone(settings, supervise):
    supervisor = supervise(mlflow=SLEEP, bento=SLEEP)
    killed, other = running(settings, "mlflow"), running(settings, "bento")
    assert supervisor.check()
    assert running(settings, "mlflow") == killed
    kill_9(killed)
    supervisor.check()
    assert running(settings, "mlflow") != killed
    assert running(settings, "bento") == other


def test_a_server_that_no_longer_answers_is_restarted_once_and_then_has_time_to_start(settings, supervise, monkeypatch):
    """Nothing answers on its port; it did once."""
    supervisor = supervise(bento=SLEEP)
    first = running(settings, "bento")
    supervisor._answered["bento"] = perf_counter() - UNRESPONSIVE_S - 1
    monkeypatch.setattr(watch, "HEALTH_EVERY_S", 0.0)
    for _ in range(2):
        supervisor.check()  # stops it, and starts it again
    second = running(settings, "bento")
    assert second != first
    for _ in range(3):
        supervisor.check()
    assert running(settings, "bento") == second


def test_the_logs_are_kept_small(settings, supervise):
    supervisor, large = supervise(mlflow=SLEEP), settings.home / "logs" / "mlflow.log"
    large.write_bytes(b"line\n" * (LARGEST_BYTES // 4))
    supervisor.check()
    assert large.stat().st_size == 0
    assert large.with_name("mlflow.log.1").stat().st_size > LARGEST_BYTES


def test_several_that_are_killed_at_once_are_started_again_in_one_check(settings, supervise):
    supervisor = supervise(mlflow=SLEEP, bento=SLEEP)
    for name in ("mlflow", "bento"):
        kill_9(running(settings, name))
    supervisor.check()
    assert all(running(settings, name) for name in ("mlflow", "bento"))


def test_prefect_is_started_again_only_after_what_trades_works_or_after_a_while(settings, supervise, monkeypatch):
    """Nothing answers on the port of the prediction service."""
    supervisor = supervise(bento=SLEEP, prefect=SLEEP)
    for name in ("bento", "prefect"):
        kill_9(running(settings, name))
    supervisor.check()
    assert running(settings, "bento")
    assert pid_records.find("prefect", settings.home) is None
    monkeypatch.setattr(watch, "PATIENCE_S", 0.0)
    supervisor.check()
    assert running(settings, "prefect")


def test_a_process_that_keeps_dying_stays_down_and_is_reported_and_the_others_are_kept(settings, supervise):
    supervisor = supervise(mlflow=DIE, bento=SLEEP)
    with processes.supervising(settings.home):
        wait_until(
            lambda: supervisor.check() and bool(pid_records.kept_down(settings.home)),
            "it is restarted without end", SystemClock(), timeout_s=120, every_s=0.2,
        )  # fmt: skip
        assert pid_records.kept_down(settings.home)["mlflow"].startswith("no such port")
        assert supervision.report(settings.home).kept_down.keys() == {"mlflow"}
        kill_9(running(settings, "bento"))
        supervisor.check()
        assert running(settings, "bento")
    written = (settings.home / "logs" / "mlflow.log").read_text()
    assert written.count("no such port") == 1 + RESTARTS
    assert pid_records.kept_down(settings.home) == {}


def test_what_is_no_longer_wanted_is_not_started_again(settings, supervise):
    supervisor = supervise(mlflow=SLEEP, bento=SLEEP)
    local_stack.down(settings, ["mlflow"])
    assert supervisor.check()
    assert pid_records.find("mlflow", settings.home) is None
    local_stack.down(settings, ["bento"])
    assert not supervisor.check()


def test_a_second_supervisor_refuses_to_start_and_the_first_one_ends_by_down(settings):
    processes.start(Service("mlflow", SLEEP, {}), settings.home, settings.host)
    wanted.want(settings, ["mlflow"])
    assert supervision.ensure(settings)
    assert not supervision.ensure(settings)
    first = running(settings, "supervisor")
    wait_until(
        lambda: supervision.events_since(settings.home, 0), "no supervisor", SystemClock(), timeout_s=120, every_s=0.2
    )
    variables = service_table.environment(settings)
    command = [sys.executable, "-m", "mikrobot.stack.watch"]
    second = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert second.returncode == 1
    assert f"error: a supervisor of {settings.home} runs already" in second.stderr
    assert running(settings, "supervisor") == first
    service = running(settings, "mlflow")
    assert local_stack.down(settings) == ["supervisor", "mlflow"]
    assert not any(map(alive, (first, service)))


def test_a_supervisor_that_is_killed_is_replaced_and_what_it_supervises_is_not_touched(settings):
    processes.start(Service("mlflow", SLEEP, {}), settings.home, settings.host)
    wanted.want(settings, ["mlflow"])
    supervision.ensure(settings)
    service = running(settings, "mlflow")
    assert pid_records.supervised(settings.home)
    kill_9(running(settings, "supervisor"))
    assert not pid_records.supervised(settings.home)
    assert supervision.ensure(settings)
    assert running(settings, "mlflow") == service


def test_the_supervisor_does_not_wait_for_a_database_that_does_not_answer(settings, supervise, monkeypatch):
    """As while PostgreSQL is killed: it accepts a connection, and keeps silent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MIKROBOT_DATABASE_URL", f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none")
        supervisor = supervise(mlflow=SLEEP)
        supervisor.settings, supervisor.events.settings = (
            Settings(**settings.model_dump(exclude={"database_url"})) for _ in range(2)
        )
        kill_9(running(settings, "mlflow"))
        assert supervisor.check()
        assert "events" in {thread.name for thread in threading.enumerate()}
        assert running(settings, "mlflow")

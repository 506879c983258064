"""Live processes that wait for an ended one: without a supervisor, they end with one line that names it."""

import sys
from collections.abc import Iterator

import pytest

from feature_repo.applying import apply
from mikrobot.live import pid_records, wiring
from mikrobot.live.session import plan, record_of
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.settings import Settings
from mikrobot.stack import processes, service_table
from mikrobot.stack.processes import Service
from mikrobot.store.runs import Runs

CLOCK = SystemClock()


@pytest.fixture
def market(database: Settings, pool, bar_files) -> Iterator[Settings]:
    """Yield the settings of a recorded run of one hour of a file; stop every started process afterwards."""
    apply(database)
    chosen = {"source": "replay", "data": (bar_files["EURUSD"],), "symbols": ("EURUSD",)}
    settings = database.model_copy(update=chosen)
    source = wiring.open_source(settings, CLOCK)
    segments = plan(source, settings.symbols, 1, 2, clock=CLOCK)
    Runs(pool).begin(record_of("waiting", settings, source, segments, started_at=CLOCK.now()))
    yield settings
    for name in pid_records.recorded(settings.home):
        processes.stop(name, settings.home)


def start(settings: Settings, *services: Service) -> None:
    for service in services:
        processes.start(service, settings.home, settings.host)


def dying(name: str, words: str) -> Service:
    return Service(name, (sys.executable, "-c", f"raise SystemExit({words!r})"), {})


def log_of(name: str, settings: Settings) -> str:
    path = settings.home / "logs" / f"{name}.log"
    return path.read_text() if path.exists() else ""


def last_words(name: str, settings: Settings) -> str:
    """Return the last log line of a process after it has ended."""
    ended = f"{name} waits on: {log_of(name, settings)}"
    wait_until(lambda: pid_records.find(name, settings.home) is None, ended, CLOCK, timeout_s=180)
    assert "Traceback" not in log_of(name, settings)
    return pid_records.last_line(name, settings.home)


def test_a_streamer_waits_for_a_dead_worker_as_long_as_somebody_starts_it_again(market):
    _, streamer = service_table.live_processes(market, "waiting", 0)
    with processes.supervising(market.home):
        start(market, dying("worker", "no such model"), streamer)
        wait_until(lambda: "waiting_for_worker" in log_of("streamer", market), "no wait", CLOCK, timeout_s=180)
        assert pid_records.find("streamer", market.home) is not None
    assert "worker has ended and nothing starts it again: no such model" in last_words("streamer", market)


def test_a_worker_does_not_wait_for_a_dead_streamer(market):
    worker, _ = service_table.live_processes(market, "waiting", 0)
    start(market, worker, dying("streamer", "no such bars"))
    assert "streamer has ended and nothing starts it again: no such bars" in last_words("worker", market)


def test_nobody_waits_for_a_worker_that_does_not_wait_for_a_dead_prediction_service(market):
    start(market, dying("bento", "no such port"), *service_table.live_processes(market, "waiting", 0))
    message = "bento has ended and nothing starts it again: no such port"
    assert message in last_words("worker", market)
    assert "worker has ended and nothing starts it again" in last_words("streamer", market)

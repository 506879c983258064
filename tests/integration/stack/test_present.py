"""A run on a live source after its hours: the real processes, in real time, with a gap, a kill and a restart."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from mikrobot.domain.market import Timeframe
from mikrobot.live import pid_records
from mikrobot.market.simulated import SimulatedSource
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.settings import Settings
from mikrobot.stack import local_stack, supervisor
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres import bundled, database
from mikrobot.store.runs import Run, Runs, Segment
from mikrobot.workflows import status
from tests.killing import kill_9

CLOCK = SystemClock()
MINUTE = timedelta(minutes=1)
MISSED = 4
SYMBOL = "BTCUSDT"  # is never closed


class Stopped(Exception):
    """Raised to end the following."""


class StoppableClock(SystemClock):
    """A system clock whose sleep raises after a stop."""

    def __init__(self) -> None:
        self.stop = threading.Event()

    def sleep(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Stopped


@pytest.fixture
def run(install, tmp_path) -> Iterator[tuple[Settings, Run]]:
    """Record a run whose hours ended some minutes ago, on a database with the bars up to then; no process runs."""
    with install(tmp_path) as installation, pytest.MonkeyPatch.context() as patch:
        patch.delenv("MIKROBOT_DATABASE_URL", raising=False)
        settings = installation.settings.model_copy(update={"source": "simulated", "symbols": (SYMBOL,)})
        bundled.start(settings.home, settings.host, settings.postgres_port)
        database.provision(settings)
        database.migrate(settings)
        local_stack.run_module("feature_repo", settings)
        ended = CLOCK.now().replace(second=0, microsecond=0) - MISSED * MINUTE
        yield settings, recorded(settings, Segment((SYMBOL,), ended - timedelta(days=2), ended, ended))


def recorded(settings: Settings, segment: Segment) -> Run:
    frame = SimulatedSource((SYMBOL,), settings.seed, CLOCK).history(SYMBOL, segment.history_from, segment.trade_until)
    recorded_settings = {**settings.model_dump(mode="json", exclude={"database_url"}), "segments": [segment.to_json()]}
    ended = segment.trade_until
    run = Run("r1", "simulated", True, (SYMBOL,), ended, ended, ended, recorded_settings)
    with database.open_pool(settings) as pool:
        BarStore(pool).upsert("simulated", SYMBOL, Timeframe.M1, frame)
        Runs(pool).begin(run)
    return run


@contextmanager
def followed(settings: Settings) -> Iterator[list[str]]:
    """Follow the run as `mikrobot run` on a terminal does; yield its messages."""
    clock, messages = StoppableClock(), list[str]()
    with ThreadPoolExecutor(1) as executor:
        watching = executor.submit(supervisor.keep_trading, settings, clock, messages.append)
        try:
            yield messages
        finally:
            clock.stop.set()
            with pytest.raises(Stopped):
                watching.result(timeout=60)


def handled(settings: Settings) -> list[tuple[datetime, str]]:
    """Return every minute that the worker has handled, with its reason."""
    with database.open_pool(settings) as pool:
        ledger = Ledger(pool)
        assert ledger.decisions("r1") == []
        return [(skip.close_time, skip.reason) for skip in ledger.skips("r1")]


def await_minute(settings: Settings, at: datetime) -> None:
    wait_until(
        lambda: any(close >= at for close, _ in handled(settings)),
        f"{at} was not handled",
        CLOCK,
        timeout_s=180,
        every_s=1,
    )


def seen(settings: Settings) -> Any:
    return status.overview(settings, CLOCK).to_json()


def test_trading_goes_on_in_the_present_through_a_gap_a_death_and_a_restart(run):
    settings, begun = run
    resumed = supervisor.resume(settings, lambda line: None)
    assert resumed == ["worker", "streamer"]
    await_minute(settings, CLOCK.now())
    missed = handled(settings)[:MISSED]
    assert [close for close, _ in missed] == [begun.ends_at + n * MINUTE for n in range(1, MISSED + 1)]
    # The newest of them may be handled before its successor closes.
    assert all(reason.startswith("missed: ") for _, reason in missed[:-1])
    newest = handled(settings)[-1][1]
    assert "prediction service" in newest
    assert seen(settings)["symbols"][SYMBOL]["reason"].endswith(newest)
    with followed(settings) as messages:
        killed_at = CLOCK.now()
        worker = pid_records.find("worker", settings.home)
        assert worker is not None
        kill_9(worker)
        await_minute(settings, killed_at)
    assert any("the worker has ended and is started again" in line for line in messages)
    local_stack.down(settings, ["streamer", "worker"])
    state = seen(settings)
    assert state["run"]["state"] == "stopped"
    assert "`mikrobot up` resumes it" in state["symbols"][SYMBOL]["reason"]
    supervisor.resume(settings, lambda line: None)
    await_minute(settings, CLOCK.now())
    closes = [close for close, _ in handled(settings)]
    assert closes == [begun.ends_at + n * MINUTE for n in range(1, len(closes) + 1)]
    with followed(settings) as messages:
        local_stack.down(settings, ["streamer", "worker"])
        CLOCK.sleep(2 * supervisor.WATCH_S)  # which is longer than it takes to start a supervisor again
    assert messages == []
    assert not pid_records.supervised(settings.home)
    assert local_stack.down(settings)[-1] == "postgres"
    assert pid_records.recorded(settings.home) == []

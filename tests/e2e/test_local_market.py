"""A run on a local venue of its own: the live path without a network, its recording, and replays of that."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mikrobot.domain.market import Timeframe, bars_of
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.stack import local_stack
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres import database
from mikrobot.store.runs import Runs
from tests.replay_run import ENTRY_PROBABILITY, NO_DRIFT

SYMBOLS = ("BTCUSDT", "ETHUSDT")
OPTIONS = ("--once", "--hours", 1, "--history-days", 3, "--json")


@dataclass(frozen=True)
class Live:
    """A stack on a local venue of its own, what its run has printed, and the folder of the recording."""

    program: Any
    folder: Path
    summary: dict[str, Any]
    left: list[str]
    venue: dict[str, int]

    def run(self, *arguments: object) -> Any:
        return self.program.run(*arguments, entry_probability=ENTRY_PROBABILITY, drift_share=NO_DRIFT, **self.venue)

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.program.run("status", "--json").stdout))


@pytest.fixture(scope="module")
def live(install, free_port, tmp_path_factory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("recorded")
    with install(tmp_path_factory.mktemp("local")) as program:
        venue = {"venue_port": free_port()}
        begun = Live(program, folder, {}, [], venue)
        ended = begun.run(
            "run", "--source", "binance", "--venue", "local", "--symbols", ",".join(SYMBOLS),
            "--record", folder, *OPTIONS,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        yield Live(program, folder, json.loads(ended.stdout), program.left(), venue)


def ledger(program: Any, run_id: str) -> list[str]:
    """Return every record of a run as exact text, without the id of the run."""
    with local_stack.database_up(program.settings, lambda text: None), database.open_pool(program.settings) as pool:
        entries = Ledger(pool)
        readers = (entries.predictions, entries.decisions, entries.orders, entries.journal, entries.skips)
        return [repr(record).replace(run_id, "RUN") for read in readers for record in read(run_id)]


def test_the_coming_hours_are_traded_on_a_market_that_is_marked_simulated(live: Live) -> None:
    assert (live.summary["source"], live.summary["simulated"]) == ("binance-local", True)
    assert live.summary["trading"]["decisions"] >= len(SYMBOLS) * 55
    assert live.left == []


def test_two_replays_of_the_recording_have_the_bars_of_the_session_and_equal_ledgers(live: Live) -> None:
    runs = []
    for _ in range(2):
        ended = live.run("run", "--source", "replay", "--data", live.folder, *OPTIONS)
        assert ended.returncode == 0, ended.stderr
        runs.append(json.loads(ended.stdout))
    assert [run["simulated"] for run in runs] == [True, True]
    first, second = (ledger(live.program, run["run"]) for run in runs)
    assert first == second
    assert len(first) > 100
    settings = live.program.settings
    with local_stack.database_up(settings, lambda text: None), database.open_pool(settings) as pool:
        session = Runs(pool).get(live.summary["run"])
        for symbol in SYMBOLS:
            span = (session.starts_at, session.ends_at)
            traded, again = (
                bars_of(symbol, BarStore(pool).range(source, symbol, Timeframe.M1, span[0], end=span[1]))
                for source in ("binance-local", "replay")
            )
            assert len(traded) == 60
            assert repr(again) == repr(traded)


def test_up_lets_the_market_go_on_where_it_stood_and_down_ends_it(live: Live) -> None:
    def last_bar() -> datetime:
        return datetime.fromisoformat(live.status()["symbols"]["BTCUSDT"]["last_bar"])

    # The replays are later runs: the run on the venue is continued by another one.
    begun = live.run("run", "--source", "binance", "--venue", "local", "--symbols", "BTCUSDT", *OPTIONS)
    assert begun.returncode == 0, begun.stderr
    up = live.program.run("up", **live.venue)
    assert up.returncode == 0, up.stderr
    stood = datetime.fromisoformat(live.status()["symbols"]["BTCUSDT"]["last_bar"])
    wait_until(
        lambda: last_bar() >= stood + timedelta(minutes=5), "the market stands still", SystemClock(), timeout_s=60
    )
    status = live.status()
    assert {service["name"]: service["ready"] for service in status["services"]}["venue"]
    assert status["run"]["simulated"]
    assert status["alarms"] == []
    down = live.program.run("down")
    assert "venue" in down.stderr
    assert live.program.left() == []

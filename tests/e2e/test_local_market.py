"""A run on a local venue of its own: the live path without a network, its recording, and replays of that."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mikrobot.domain.market import Bar, Timeframe, bars_of
from mikrobot.live import accounts
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.stack import local_stack
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres import database
from mikrobot.store.runs import Runs
from tests.replay_run import ENTRY_PROBABILITY

SYMBOLS = ("BTCUSDT", "ETHUSDT")
EARLY, LATE = datetime(2025, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
OPTIONS = ("--once", "--hours", 1, "--history-days", 5, "--json")


@dataclass(frozen=True)
class Live:
    """A stack on a local venue of its own, what its run has printed, and the folder of the recording."""

    program: Any
    folder: Path
    summary: dict[str, Any]
    left: list[str]
    venue: dict[str, int]

    def run(self, *arguments: object) -> Any:
        return self.program.run(*arguments, entry_probability=ENTRY_PROBABILITY, **self.venue)

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


def of_the_hours(program: Any, run_id: str, until: datetime) -> list[str]:
    """Return every record of a run up to an instant, without the ids of run and source."""
    with local_stack.database_up(program.settings, lambda text: None), database.open_pool(program.settings) as pool:
        entries, run = Ledger(pool), Runs(pool).get(run_id)
        run = replace(run, ends_at=until)
        records = [
            *(record for record in entries.predictions(run_id) if record.close_time <= until),
            *(record for record in entries.decisions(run_id) if record.close_time <= until),
            *(record for record in entries.orders(run_id) if record.submitted_at <= until),
            *(record for record in entries.skips(run_id) if record.close_time <= until),
            *accounts.lines_of(accounts.of_the_hours(run, accounts.journals(entries, run_id))),
        ]
    return [repr(record).replace(run_id, "RUN").replace(run.source, "SOURCE") for record in records]


def test_the_coming_hours_are_traded_on_a_market_that_is_marked_simulated(live: Live) -> None:
    assert (live.summary["source"], live.summary["simulated"]) == ("binance-local", True)
    assert live.summary["trading"]["decisions"] >= len(SYMBOLS) * 55
    assert live.left == []


def test_the_order_books_of_the_session_were_recorded(live: Live) -> None:
    refused = live.program.run("book", live.folder)
    assert (refused.returncode, "BTCUSDT, ETHUSDT; choose one with --symbol" in refused.stderr) == (2, True)
    shown = live.program.run("book", live.folder, "--symbol", "ETHUSDT", "--json")
    assert shown.returncode == 0, shown.stderr
    books = json.loads(shown.stdout)
    assert {book["symbol"] for book in books} == {"ETHUSDT"}
    assert sum(book["applied"] for book in books) > 1000
    assert sum(book["crossed"] for book in books) == 0
    assert sum(book["published_compared"] for book in books) > 20


@pytest.mark.soak
def test_replays_of_the_recording_have_the_bars_and_the_ledger_of_the_session(live: Live, install, tmp_path) -> None:
    ledgers = []
    settings = live.program.settings
    with local_stack.database_up(settings, lambda text: None), database.open_pool(settings) as pool:
        until = Runs(pool).get(live.summary["run"]).ends_at
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        with install(tmp_path / place) as program:
            ended = Live(program, live.folder, {}, [], {}).run(
                "run", "--source", "replay", "--data", live.folder, "--once", "--json"
            )
            assert ended.returncode == 0, ended.stderr
            replayed = json.loads(ended.stdout)
            assert (replayed["source"], replayed["simulated"]) == ("replay", True)
            ledgers.append(ledger(program, replayed["run"]))
            again = traded_bars(program, "replay")
            hours = of_the_hours(program, replayed["run"], until)
    assert ledgers[0] == ledgers[1]
    assert len(ledgers[0]) > 100
    assert hours == of_the_hours(live.program, live.summary["run"], until)
    traded = traded_bars(live.program, "binance-local", live.summary["run"])
    for symbol, bars in traded.items():
        assert len(bars) == 60
        assert set(map(repr, bars)) <= set(map(repr, again[symbol]))


def traded_bars(program: Any, source: str, run_id: str | None = None) -> dict[str, list[Bar]]:
    """Return the stored bars of the hours of a run by symbol; without a run, all."""
    settings = program.settings
    with local_stack.database_up(settings, lambda text: None), database.open_pool(settings) as pool:
        run = None if run_id is None else Runs(pool).get(run_id)
        start, end = (EARLY, LATE) if run is None else (run.starts_at, run.ends_at)
        return {
            symbol: bars_of(symbol, BarStore(pool).range(source, symbol, Timeframe.M1, start, end=end))
            for symbol in SYMBOLS
        }


def trades(live: Live) -> bool:
    run = live.status()["run"]
    return run is not None and run["id"] != live.summary["run"] and decided(live, "BTCUSDT")


def decided(live: Live, symbol: str) -> bool:
    state = live.status()["symbols"].get(symbol)
    return state is not None and state["last_decision"] is not None


def assert_no_minute_is_missing(live: Live) -> None:
    """Each minute of a symbol has a decision, or a halt for data that were late while its stack was down."""
    with database.open_pool(live.program.settings) as pool:
        run = Runs(pool).latest()
        assert run is not None
        decisions = Ledger(pool).decisions(run.id)
        skips = [skip for skip in Ledger(pool).skips(run.id) if skip.symbol != "ADAUSDT"]
    assert [skip.reason for skip in skips if not skip.reason.startswith("halted")] == []
    for symbol in SYMBOLS:
        closes = sorted(row.close_time for row in (*decisions, *skips) if row.symbol == symbol)
        assert closes == [run.starts_at + timedelta(minutes=1) * n for n in range(1, len(closes) + 1)]


@pytest.mark.soak
def test_up_lets_the_market_go_on_symbols_join_it_and_down_ends_it(live: Live) -> None:
    def last_bar() -> datetime:
        return datetime.fromisoformat(live.status()["symbols"]["BTCUSDT"]["last_bar"])

    session = live.program.start(
        "run", "--source", "binance", "--venue", "local", "--symbols", ",".join(SYMBOLS),
        "--hours", 240, "--history-days", 5, entry_probability=ENTRY_PROBABILITY, **live.venue,
    )  # fmt: skip
    wait_until(lambda: trades(live), "the run does not trade", SystemClock(), timeout_s=240, every_s=1)
    session.terminate()
    session.communicate(timeout=60)
    up = live.program.run("up", **live.venue)
    assert up.returncode == 0, up.stderr
    stood = datetime.fromisoformat(live.status()["symbols"]["BTCUSDT"]["last_bar"])
    wait_until(
        lambda: last_bar() >= stood + timedelta(minutes=5), "the market stands still", SystemClock(), timeout_s=60
    )
    joined = live.run("symbols", "add", "ADAUSDT", "--json")
    assert joined.returncode == 0, joined.stderr
    assert json.loads(joined.stdout)["symbols"] == ["ADAUSDT"]
    wait_until(lambda: decided(live, "ADAUSDT"), "ADAUSDT is not traded", SystemClock(), timeout_s=60, every_s=1)
    assert_no_minute_is_missing(live)
    unknown = live.run("symbols", "add", "SOLUSDT")
    assert unknown.returncode != 0
    assert "SOLUSDT: Binance spot does not list this symbol" in unknown.stderr
    again = live.run("symbols", "add", "ADAUSDT")
    assert (again.returncode, "trades ADAUSDT already" in again.stderr) == (2, True)
    status = live.status()
    assert {service["name"]: service["ready"] for service in status["services"]}["venue"]
    assert status["run"]["simulated"]
    assert status["alarms"] == []
    down = live.program.run("down")
    assert "venue" in down.stderr
    assert live.program.left() == []

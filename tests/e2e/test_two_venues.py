"""A run of the real command on two venues over real sockets, recorded, and replayed twice."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mikrobot.runtime import SystemClock
from mikrobot.stack import local_stack
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres import database
from tests.replay_run import ENTRY_PROBABILITY

OPTIONS = ("--once", "--json", "--hours", 3, "--history-days", 5)


@dataclass
class Session:
    """A run on two venues, and the folder of its recording."""

    summary: dict[str, Any]
    folder: Path


def printed(process: Any, lines: int) -> dict[str, str]:
    """Return the settings that a development server prints with its first lines."""
    texts = [process.stdout.readline().strip() for _ in range(lines)]
    return dict(text.removeprefix("MIKROBOT_").lower().split("=") for text in texts if text.startswith("MIKROBOT_"))


@pytest.fixture(scope="module")
def session(install: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    home, folder = tmp_path_factory.mktemp("live"), tmp_path_factory.mktemp("recorded")
    with install(home) as program:
        start = f"{SystemClock().now():%Y-%m-%d %H:%M:%S}"
        venue = printed(program.start("venue", "--start", start, "--port", 0, "--symbols", "BTCUSDT"), 5)
        terminal = printed(program.start("terminal", "--port", 0, "--symbols", "EURUSD,BTCUSDT"), 3)
        process = program.run(
            "run", "--source", "mt5+binance", "--symbols", "EURUSD,BTCUSDT", "--record", folder, *OPTIONS,
            entry_probability=ENTRY_PROBABILITY, **venue, **terminal,
        )  # fmt: skip
        assert process.returncode == 0, process.stderr
        yield Session(json.loads(process.stdout), folder)


@pytest.mark.soak
def test_symbols_of_two_venues_are_traded_in_one_run_that_is_marked_simulated(session: Session) -> None:
    source = (session.summary["source"], session.summary["simulated"])
    assert source == ("binance-local+mt5-local", True)
    assert session.summary["symbols"] == ["EURUSD", "BTCUSDT"]
    assert session.summary["trading"]["fills"] > 0
    assert session.summary["checks"]["failed"] == 0
    assert session.summary["drift"]["skewed_rows"] == 0


@pytest.mark.soak
def test_replays_of_the_recording_have_equal_ledgers(session: Session, install: Any, tmp_path: Path) -> None:
    ledgers = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        with install(tmp_path / place) as program:
            process = program.run(
                "run", "--source", "replay", "--data", session.folder, *OPTIONS, entry_probability=ENTRY_PROBABILITY
            )
            assert process.returncode == 0, process.stderr
            summary = json.loads(process.stdout)
            assert (summary["source"], summary["simulated"]) == ("replay", True)
            ledgers.append(ledger(program, summary["run"]))
    assert ledgers[0] == ledgers[1]
    assert len(ledgers[0]) > 100


def ledger(program: Any, run_id: str) -> list[str]:
    """Return every record of a run, without its id."""
    with local_stack.database_up(program.settings, lambda text: None), database.open_pool(program.settings) as pool:
        entries = Ledger(pool)
        readers = (entries.predictions, entries.decisions, entries.orders, entries.journal, entries.skips)
        return [repr(record).replace(run_id, "RUN") for read in readers for record in read(run_id)]

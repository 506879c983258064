"""The benchmarks on a small scale: that they measure, and leave nothing behind; never how fast.

Those that start services have files of their own: test_serving, test_signal, test_retraining, test_run and
test_streamer.
"""

import os
from pathlib import Path

import psutil
import pytest

from benchmarks import features, suite
from tests.killing import alive
from tests.measuring import SMALL, require_plausible

COUNTS = {
    "commands": 1, "files": 9, "features": 9, "models": 3, "stores": 9, "streams": 5, "paper": 7, "report": 1,
    "monitoring": 2,
}  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Put the temporary folders where they can be looked for, and name a database that must not be used."""
    pytest.importorskip("talib")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("MIKROBOT_DATABASE_URL", "postgresql://somebody:secret@127.0.0.1:1/theirs")


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_every_figure_stands_beside_a_peer_and_a_limit(name: str, count: int, tmp_path: Path) -> None:
    finished: list[str] = []
    results = suite.measure([name], say=finished.append, scale=SMALL)
    assert finished == [result.name for result in results]
    assert len(results) == count
    require_plausible(suite.to_json(results))
    assert ours(tmp_path) == []
    assert [child for child in psutil.Process().children() if "postgres" in child.name()] == []
    assert os.environ["MIKROBOT_DATABASE_URL"].endswith("/theirs")


@pytest.mark.soak
def test_the_start_of_the_features_is_measured(tmp_path: Path) -> None:
    require_plausible(suite.to_json([features.start(SMALL)]))
    assert ours(tmp_path) == []


def test_every_benchmark_is_run_by_a_test() -> None:
    elsewhere = {"serving", "signal", "retraining", "run", "streamer"}
    assert set(COUNTS) | elsewhere == set(suite.GROUPS)


def test_an_interrupted_benchmark_stops_what_it_has_started(tmp_path: Path) -> None:
    servers: list[psutil.Process] = []

    def interrupt(_: str) -> None:
        servers.extend(_servers(tmp_path))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        suite.measure(["stores"], say=interrupt, scale=SMALL)
    assert len(servers) == 1
    assert not alive(servers[0])
    assert ours(tmp_path) == []


def ours(folder: Path) -> list[Path]:
    """Return what benchmarks have left in a folder; Feast leaves files of its own."""
    return [path for path in folder.iterdir() if not path.name.startswith("feast_metrics")]


def _servers(folder: Path) -> list[psutil.Process]:
    """Find the PostgreSQL servers whose data lie under a folder."""
    notes = folder.glob("*/postgres/postmaster.pid")
    return [psutil.Process(int(note.read_text().split()[0])) for note in notes]

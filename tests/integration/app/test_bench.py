"""The benchmarks on a small scale: that they measure, and leave nothing behind; never how fast."""

import os
from pathlib import Path

import psutil
import pytest

from mikrobot.app import bench, bench_features, bench_models, bench_stores
from tests.killing import alive


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Shorten the frames, and put the temporary folders where they can be looked for."""
    for module, name, value in (
        (bench_features, "BARS", 31_000),
        (bench_models, "BARS", 31_000),
        (bench_stores, "BARS", 2_000),
        (bench_stores, "EVENTS", 500),
    ):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("MIKROBOT_DATABASE_URL", "postgresql://somebody:secret@127.0.0.1:1/theirs")


@pytest.mark.parametrize(("name", "count"), [("features", 10), ("models", 3), ("stores", 7)])
def test_every_figure_stands_beside_a_peer_and_a_limit(name: str, count: int, tmp_path: Path) -> None:
    pytest.importorskip("talib")
    said: list[str] = []
    results = bench.measure([name], say=said.append)
    assert said == [result.name for result in results]
    assert len(results) == count
    for result in results:
        assert 0 < result.p50 <= result.p99
        assert result.peer_p50 > 0
        assert result.limit_p50 > 0
    assert list(tmp_path.iterdir()) == []
    assert [child for child in psutil.Process().children() if "postgres" in child.name()] == []
    assert os.environ["MIKROBOT_DATABASE_URL"].endswith("/theirs")


def test_an_interrupted_benchmark_stops_what_it_has_started(tmp_path: Path) -> None:
    servers: list[psutil.Process] = []

    def interrupt(_: str) -> None:
        servers.extend(_servers(tmp_path))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.measure(["stores"], say=interrupt)
    assert len(servers) == 1
    assert not alive(servers[0])
    assert list(tmp_path.iterdir()) == []


def _servers(folder: Path) -> list[psutil.Process]:
    """Find the PostgreSQL servers whose data lie under a folder."""
    notes = folder.glob("*/postgres/postmaster.pid")
    return [psutil.Process(int(note.read_text().split()[0])) for note in notes]

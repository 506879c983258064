"""The quality report of a file of bars, and of a recorded run with its stored rows."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from expectations.quality_gate import check
from feature_repo.applying import apply
from mikrobot.domain.errors import UsageError
from mikrobot.domain.market import Timeframe
from mikrobot.domain.trading import Prediction, Side
from mikrobot.features.catalog import CATALOG
from mikrobot.models.scope import Scope
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.runs import Run, Runs, Segment
from mikrobot.workflows import feature_quality
from mikrobot.workflows.materialize import Stores, materialize


def run_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mikrobot.workflows.feature_quality", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=os.environ)


def test_the_command_assesses_files_and_prints_the_path_of_the_report(
    bar_files: dict[str, Path], tmp_path: Path
) -> None:
    process = run_command(*bar_files.values(), "--out", tmp_path / "out", "--rows", 2_000)
    assert (process.returncode, process.stderr) == (0, "")
    assert all(f"## {symbol}" in process.stdout for symbol in bar_files)
    assert (tmp_path / "out" / "quality.html").read_text(encoding="utf-8").count("<h2>") == 2


def test_a_file_that_is_none_is_one_line_and_a_code(tmp_path: Path) -> None:
    process = run_command(tmp_path / "EURUSD_M1.parquet")
    assert (process.returncode, process.stdout, len(process.stderr.splitlines())) == (1, "", 1)
    assert "no such file" in process.stderr


@pytest.fixture
def stored(database, pool, bars) -> Run:
    """Store a run on a simulated market with its bars and feature rows; return the run."""
    apply(database)
    frame = bars(1_500)
    start, end = frame["open_time"].iloc[0].to_pydatetime(), frame["open_time"].iloc[-1].to_pydatetime()
    until = end + timedelta(minutes=1)
    segment = Segment(("EURUSD",), start, start, until + timedelta(hours=1))
    recorded = {
        **database.model_dump(mode="json", exclude={"database_url"}),
        "segments": [segment.to_json()], "data": [],
    }  # fmt: skip
    run = Run("r1", "simulated", True, ("EURUSD",), start, until, start, recorded)
    runs, store = Runs(pool), BarStore(pool)
    runs.begin(run)
    runs.conclude("r1", {})
    store.upsert("simulated", "EURUSD", Timeframe.M1, frame)
    stores = Stores.of(database, pool)
    materialize(
        database, stores, "simulated", "EURUSD", start=start, end=end, check=lambda rows: check(rows, "features")
    )
    return run


def test_the_rows_of_a_run_are_assessed_with_what_answered_in_it_and_before_with_the_champion(
    database, pool, stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = SimpleNamespace(
        holders=lambda name, role: {Scope("simulated", "EURUSD"): "3", Scope("replay", "EURUSD"): "4"},
        load=lambda name, version: SimpleNamespace(spec=SimpleNamespace(importance={"level_atr": 1.0})),
    )
    monkeypatch.setattr(feature_quality, "open_registry", lambda settings: registry)
    report = feature_quality.assess_run(database, None)
    assert report.by_symbol["EURUSD"].rows == 1_499
    assert "bos v3" in report.markdown.read_text(encoding="utf-8")
    assert CATALOG.version in report.report.read_text(encoding="utf-8")
    until = stored.ends_at
    answered = Prediction("EURUSD", Side.BUY, until, 0.6, "bos", "2", CATALOG.version, {})
    Ledger(pool).commit("r1", until, predictions=[answered])
    text = feature_quality.assess_run(database, "r1").markdown.read_text(encoding="utf-8")
    assert "bos v2" in text
    assert "bos v3" not in text


def test_without_a_run_the_remedy_is_named(database) -> None:
    with pytest.raises(UsageError):
        feature_quality.assess_run(database, None)

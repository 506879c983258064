"""Old reports are deleted, those of the newest run and young ones stay."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mikrobot.workflows.retention import delete_reports, delete_snapshots

NOW = datetime(2026, 11, 30, tzinfo=UTC)
BEFORE = NOW - timedelta(days=90)


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Reports of an old run, of one with an old and a young file, and of the latest one, which is old too."""
    ages = {"r1/drift.html": 91, "r1/last-7-days/trading.html": 91, "r2/drift.html": 91, "r2/trading.html": 89}
    for name, days in (ages | {"r3/drift.html": 91, "experiments/e1.md": 91}).items():
        path = tmp_path / "reports" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("report")
        written = (NOW - timedelta(days=days)).timestamp()
        os.utime(path, (written, written))
    return tmp_path / "reports"


def test_old_reports_are_deleted_with_their_folders_and_those_of_the_newest_run_stay(reports: Path) -> None:
    assert delete_reports(reports, BEFORE, {"r3"}) == 4
    assert sorted(path.relative_to(reports).as_posix() for path in reports.rglob("*")) == [
        "r2", "r2/trading.html", "r3", "r3/drift.html",
    ]  # fmt: skip
    assert delete_reports(reports, BEFORE, {"r3"}) == 0


def test_a_state_folder_without_reports_has_none_to_delete(tmp_path: Path) -> None:
    assert delete_reports(tmp_path / "reports", BEFORE, ()) == 0


def test_old_snapshots_are_deleted_and_their_project_stays(tmp_path: Path) -> None:
    project = tmp_path / "project"
    ages = {"metadata.json": 91, "snapshots/1.json": 91, "snapshots/2.json": 89}
    for name, days in ages.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
        written = (NOW - timedelta(days=days)).timestamp()
        os.utime(path, (written, written))
    assert delete_snapshots(tmp_path, BEFORE) == 1
    assert sorted(path.name for path in project.rglob("*.json")) == ["2.json", "metadata.json"]
    assert delete_snapshots(tmp_path / "none", BEFORE) == 0

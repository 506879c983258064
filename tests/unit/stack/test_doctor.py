"""The findings of the doctor on a machine; each fault has a remedy."""

import os
import socket
from datetime import UTC, datetime
from io import StringIO
from types import SimpleNamespace

import pandas as pd
import psutil
import pytest
from rich.console import Console

from mikrobot.cli.tables import findings_table
from mikrobot.live import pid_records
from mikrobot.runtime import ManualClock
from mikrobot.settings import Settings
from mikrobot.stack import doctor, service_table
from mikrobot.stack.doctor import Finding

NOW = ManualClock(datetime(2026, 3, 4, 12, 30, tzinfo=UTC))


@pytest.fixture
def settings(tmp_path, free_port) -> Settings:
    ports = {f"{name}_port": free_port() for name in ("postgres", "prefect", "mlflow", "bento")}
    return Settings(home=tmp_path / "home", **ports)


def examined(settings: Settings, clock: ManualClock = NOW) -> dict[str, Finding]:
    findings = doctor.examine(settings, clock)
    assert all(finding.remedy for finding in findings if not finding.ok)
    return {finding.what: finding for finding in findings}


def test_a_machine_in_order_has_nothing_to_fix(settings, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=4 << 30))
    findings = examined(settings)
    assert [finding for finding in findings.values() if not finding.ok] == []
    assert {
        "Python",
        "memory",
        "state folder",
        "port of postgres",
        "versions",
        "PostgreSQL",
        "clock",
    } <= findings.keys()
    assert "data" not in findings


def test_too_little_memory_is_reported_with_the_required_amount(settings, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=(3 << 30) - 1))
    finding = examined(settings)["memory"]
    assert not finding.ok
    assert "3 GiB" in finding.remedy


def test_a_port_of_another_program_is_named_with_the_setting_that_changes_it(settings):
    with socket.create_server((settings.host, settings.mlflow_port)):
        findings = examined(settings)
    assert not findings["port of mlflow"].ok
    assert f"{settings.mlflow_port}, taken by another program" in findings["port of mlflow"].found
    assert "MIKROBOT_MLFLOW_PORT" in findings["port of mlflow"].remedy
    assert findings["port of bento"].ok


def test_a_port_of_our_own_service_is_in_order(settings):
    pid_records.record("prefect", settings.home, os.getpid())
    with socket.create_server((settings.host, settings.prefect_port)):
        finding = examined(settings)["port of prefect"]
    assert finding.ok
    assert "used by this stack" in finding.found


def test_a_state_folder_that_cannot_be_used_is_reported(settings):
    settings.home.write_text("")
    finding = examined(settings)["state folder"]
    assert not finding.ok
    assert "set MIKROBOT_HOME" in finding.remedy


def test_a_full_disk_is_reported(settings, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=(1 << 30) - 1))
    finding = examined(settings)["state folder"]
    assert not finding.ok
    assert "has 1023 MB free, 1024 MB are needed" in finding.remedy


@pytest.mark.parametrize(
    ("lock", "expected"),
    [("click==0.1 \\\n    --hash=sha256:0", r"click 8"), (None, "0 packages")],
    ids=["another version", "no lock"],
)
def test_packages_other_than_pinned_are_reported(settings, tmp_path, monkeypatch, lock, expected):
    monkeypatch.setattr(service_table, "ROOT", tmp_path)
    if lock is not None:
        (tmp_path / "requirements.lock").write_text(lock)
    versions = examined(settings)["versions"]
    assert not versions.ok
    assert versions.found.startswith(expected)


def test_a_package_of_another_platform_is_not_missed(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(service_table, "ROOT", tmp_path)
    (tmp_path / "requirements.lock").write_text("metatrader5==5.0 ; sys_platform == 'never'\n")
    assert examined(settings)["versions"].ok


def test_an_unknown_clock_of_bar_files_is_reported(settings):
    wrong = examined(settings.model_copy(update={"data_clock": "Mars/Base"}))["reading of bar files"]
    assert not wrong.ok
    assert "Mars/Base" in wrong.remedy
    assert "reading of bar files" not in examined(settings)


def test_data_are_listed_by_symbol_or_reported_with_their_fault(settings, tmp_path):
    opened = pd.date_range("2025-03-03", periods=3, freq="min", tz="UTC", unit="ms")
    whole = pd.DataFrame({"ts": opened, "open": 1.1, "high": 1.1, "low": 1.1, "close": 1.1})
    whole.to_parquet(tmp_path / "EURUSD_M1.parquet")
    good = settings.model_copy(update={"data": (tmp_path / "EURUSD_M1.parquet",)})
    assert examined(good)["data"] == Finding("data", True, "EURUSD")
    bad = settings.model_copy(update={"data": (tmp_path / "GBPUSD_M1.parquet",)})
    assert "no such file or folder" in examined(bad)["data"].remedy


def test_a_clock_before_the_packages_were_made_is_wrong(settings):
    finding = examined(settings, ManualClock(datetime(1970, 1, 1, tzinfo=UTC)))["clock"]
    assert not finding.ok
    assert "1970-01-01" in finding.found


def test_a_server_of_ones_own_needs_no_bundled_one(settings):
    own = Settings(home=settings.home, database_url="postgresql://me:secret@db/postgres")
    finding = examined(own)["PostgreSQL"]
    assert finding.ok
    assert "secret" not in finding.found


def test_the_table_shows_the_remedy_below_the_finding():
    printed = StringIO()
    findings = [Finding("clock", True, "now"), Finding("memory", False, "1 GiB", "close programs")]
    Console(width=100, file=printed).print(findings_table(findings))
    _, clock, memory, remedy = (line.split() for line in printed.getvalue().splitlines())
    assert clock == ["ok", "clock", "now"]
    assert memory == ["fix", "memory", "1", "GiB"]
    assert remedy == ["close", "programs"]

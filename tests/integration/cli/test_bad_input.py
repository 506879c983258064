"""Invalid input ends in one line that explains what to fix, and leaves no process and no partial file behind."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import psutil
import pytest

from mikrobot.domain.market import Timeframe
from mikrobot.live import pid_records
from mikrobot.market.replay import read_bars
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.stack import processes
from mikrobot.store import web_access
from mikrobot.store.bars import BarStore
from mikrobot.store.postgres import bundled, database
from tests.killing import alive, kill_9

CLOCK = SystemClock()
REPLAY = ("run", "--once", "--json", "--source", "replay", "--hours", 1, "--history-days", 2)
TRADE_FROM = datetime(2025, 3, 14, 11, tzinfo=UTC)
HISTORY_FROM = TRADE_FROM - timedelta(days=2)
ROW = -30
"""A bar within the hour that is traded."""

Damage = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture
def program(install: Callable[..., Any], tmp_path: Path) -> Iterator[Any]:
    with install(tmp_path) as installation:
        yield installation


@pytest.fixture(scope="module")
def kept(install: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An installation that several tests share, so that its database is made once."""
    with install(tmp_path_factory.mktemp("bad")) as installation:
        yield installation


def complaint(process: Any) -> str:
    """Return the error of a command that failed, and make sure that it is one line after the steps."""
    *steps, last = process.stderr.splitlines()
    assert last.startswith("error: "), process.stderr
    assert all(step.startswith("  ") or not step for step in steps), process.stderr
    assert process.stdout == ""
    return last


def changed(row: int, **values: float) -> Damage:
    def damage(bars: pd.DataFrame) -> pd.DataFrame:
        bars.loc[bars.index[row], list(values)] = list(values.values())
        return bars

    return damage


def twice(bars: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([bars.iloc[:ROW], bars.iloc[ROW - 1 :]])


def swapped(bars: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([bars.iloc[: ROW - 1], bars.iloc[[ROW]], bars.iloc[[ROW - 1]], bars.iloc[ROW + 1 :]])


def local(zone: str | None) -> Damage:
    return lambda bars: bars.assign(
        ts=bars["ts"].dt.tz_convert("Europe/Berlin").dt.tz_localize(None).dt.tz_localize(zone)
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda bars: bars.drop(columns=["high", "low"]), r"EURUSD_M1.parquet: missing columns high, low; expected ts"),
        (swapped, r"EURUSD_M1.parquet, row {row}: time .* comes after .*; sort the rows by time"),
        (twice, r"EURUSD_M1.parquet, row {row}: time .* appears twice; drop one row"),
        (changed(ROW, high=1.0, low=1.1), r"EURUSD_M1.parquet, row {row}: high < low at .*; correct or remove the row"),
        (changed(ROW, low=-1.0), r"EURUSD_M1.parquet, row {row}: a price is not positive at .*; correct or remove"),
        (changed(ROW, close=float("nan")), r"EURUSD_M1.parquet, row {row}: a price is missing or not finite at"),
        (lambda bars: bars.head(0), r"EURUSD_M1.parquet: the file is empty; expected at least one bar"),
        (
            local("Europe/Berlin"),
            r"EURUSD_M1.parquet: column ts is in local time, Europe/Berlin; expected UTC; convert",
        ),
        (local(None), r"EURUSD_M1.parquet: column ts has no timezone.*expected UTC"),
        (lambda bars: bars.tail(600), r"EURUSD has bars from .* only.*give more data or fewer --hours"),
    ],
    ids=["columns", "unsorted", "twice", "high<low", "negative", "missing", "empty", "local", "naive", "short"],
)
def test_a_bad_file_is_reported_with_its_row_before_anything_is_started(program, bar_files, tmp_path, damage, message):
    whole = pd.read_parquet(bar_files["EURUSD"])
    path = tmp_path / "EURUSD_M1.parquet"
    damage(whole.copy()).to_parquet(path, index=False)
    process = program.run(*REPLAY, "--data", path)
    assert re.search(message.format(row=len(whole) + ROW), complaint(process)), process.stderr
    assert process.returncode in (1, 2)
    assert not program.home.exists()


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["--data", "nowhere/EURUSD_M1.parquet"], r"nowhere/EURUSD_M1.parquet: no such file or folder; give", 2),
        (["--data", "{folder}"], r"{folder}: no bar file in this folder", 2),
        (["--data", "{folder}/../FOOBAR_M1.csv"], r"no symbol in the file name; name it like", 2),
        (["--data", "{folder}/../EURUSD_M1.parquet"], r"not a readable Parquet file .*; export it again", 1),
        (["--data", "{file}", "--symbols", "GBPUSD"], r"the source has no GBPUSD; it has EURUSD", 2),
        (["--data", "{file}", "--symbols", ""], r"no symbol is named; leave the option out", 2),
        (["--data", "{file}", "--symbols", " ,"], r"no symbol is named; leave the option out", 2),
        ([], r"a replay needs bars: give --data", 2),
        (["--data", "{file}", "--hours", "0"], r"'--hours': 0 is not in the range x>=1; see `mikrobot run --help`", 2),
    ],
    ids=["missing", "folder", "symbol", "format", "symbols", "empty", "comma", "no data", "hours"],
)
def test_a_wrong_call_is_reported_before_anything_is_started(program, bar_files, tmp_path, arguments, message, code):
    folder = tmp_path / "empty"
    folder.mkdir()
    (tmp_path / "EURUSD_M1.parquet").write_text("ts,open,high,low,close\n")
    (tmp_path / "FOOBAR_M1.csv").write_text("ts,open,high,low,close\n2025-01-06T00:00:00+00:00,1,1,1,1\n")
    named = {"folder": folder, "file": bar_files["EURUSD"]}
    process = program.run(*REPLAY, *(argument.format(**named) for argument in arguments))
    assert re.search(message.format(folder=re.escape(str(folder))), complaint(process)), process.stderr
    assert process.returncode == code
    assert not program.home.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"the calendar of news .*news\.csv cannot be read"),
        ("date\n", r"news\.csv: expected the columns time_utc"),
    ],
)
def test_a_calendar_of_news_that_cannot_be_read_stops_a_run_and_a_backtest(program, bar_files, tmp_path, text, message):
    path = tmp_path / "news.csv"
    if text is not None:
        path.write_text(text)
    for command in (
        (*REPLAY, "--data", bar_files["EURUSD"]),
        ("backtest", "--rules-only", "--data", bar_files["EURUSD"]),
    ):
        process = program.run(*command, news=path)
        assert re.search(message, complaint(process)), process.stderr
        assert process.returncode == 2
    assert not program.home.exists()


@pytest.mark.parametrize("service", ["prefect", "mlflow", "bento", "postgres"])
def test_a_port_in_use_is_named_with_the_setting_that_changes_it(kept, bar_files, service):
    port = kept.ports[service]
    with socket.create_server(("127.0.0.1", port)):
        process = kept.run(*REPLAY, "--data", bar_files["EURUSD"])
    assert re.search(
        rf"port {port} is in use .* set MIKROBOT_{service.upper()}_PORT to a free port", complaint(process)
    )
    assert process.returncode == 1
    assert kept.left() == []


def test_a_state_folder_that_is_a_file_is_named(program, bar_files):
    program.home.write_text("")
    process = program.run(*REPLAY, "--data", bar_files["EURUSD"])
    assert f"the state folder {program.home} cannot be written (File exists)" in complaint(process)
    assert process.returncode == 1


def test_a_state_folder_that_cannot_be_made_is_named(program, bar_files):
    process = program.run(*REPLAY, "--data", bar_files["EURUSD"], home="/proc/mikrobot")
    assert re.search(r"the state folder /proc/mikrobot cannot be written .*set MIKROBOT_HOME", complaint(process))
    assert process.returncode == 1


def test_a_full_disk_is_reported_before_anything_is_started(program, bar_files):
    mounted = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    small = f"mkdir '{program.home}' && mount -t tmpfs -o size=16m tmpfs '{program.home}'"
    if subprocess.run([*mounted, small], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    program.home.rmdir()
    command = " ".join(map(str, (Path(sys.executable).with_name("mikrobot"), *REPLAY, "--data", bar_files["EURUSD"])))
    command_line = [*mounted, f"{small} && {command}; code=$?; ls -A '{program.home}'; exit $code"]
    process = subprocess.run(command_line, env=program.variables, capture_output=True, text=True)
    assert re.search(
        r"the disk of .* has \d+ MB free, 1024 MB are needed; free some space or set MIKROBOT_HOME", complaint(process)
    )
    assert process.returncode == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_state_folder_is_named(program, bar_files):
    program.home.mkdir(mode=0o500)
    process = program.run(*REPLAY, "--data", bar_files["EURUSD"])
    assert f"the state folder {program.home} cannot be written (Permission denied)" in complaint(process)
    assert process.returncode == 1


@pytest.fixture
def under_way(kept: Any, bar_files: dict[str, Path]) -> Callable[[str], subprocess.Popen[str]]:
    """Return a function that starts a run and returns it once one of its processes runs."""

    def start(stage: str) -> subprocess.Popen[str]:
        run = kept.start(*REPLAY, "--data", bar_files["EURUSD"])

        def reached() -> bool:
            assert run.poll() is None, run.communicate()
            return pid_records.find(stage, kept.home) is not None

        wait_until(reached, f"the run did not reach the stage {stage}", CLOCK, timeout_s=600, every_s=0.02)
        return run

    return start


def ended(run: subprocess.Popen[str], timeout_s: float = 600) -> Any:
    out, err = run.communicate(timeout=timeout_s)
    return subprocess.CompletedProcess(run.args, run.returncode, out, err)


@pytest.mark.parametrize("stage", ["loop", pytest.param("worker", marks=pytest.mark.soak)])
def test_a_second_run_is_refused_and_an_impatient_ctrl_c_leaves_nothing_of_the_first(kept, under_way, bar_files, stage):
    run = under_way(stage)
    refused = kept.run(*REPLAY, "--data", bar_files["EURUSD"])
    assert f"another run uses {kept.home} (pid {run.pid})" in complaint(refused)
    assert refused.returncode == 1
    assert run.poll() is None
    assert pid_records.find(stage, kept.home) is not None

    loop = pid_records.find("loop", kept.home)
    assert loop is not None
    os.killpg(run.pid, signal.SIGINT)
    wait_until(lambda: not alive(loop), "the loop goes on", CLOCK, timeout_s=300, every_s=0.02)
    os.killpg(run.pid, signal.SIGINT)
    process = ended(run)
    assert "interrupted; what was started has been stopped" in complaint(process)
    assert "is interrupted: `mikrobot run --resume` continues it" in process.stderr
    assert process.returncode == 1
    assert kept.left() == []


def test_ctrl_c_while_postgres_starts_leaves_nothing_behind(kept, bar_files):
    run = kept.start(*REPLAY, "--data", bar_files["EURUSD"])
    note = kept.home / "postgres" / "postmaster.pid"
    wait_until(note.exists, "PostgreSQL did not start", CLOCK, timeout_s=300, every_s=0.01)
    os.killpg(run.pid, signal.SIGINT)
    process = ended(run)
    assert "interrupted; what was started has been stopped" in complaint(process)
    assert kept.left() == []


def test_a_postgres_killed_in_the_middle_comes_back_or_ends_the_run_in_one_line(kept, under_way, bar_files):
    run = under_way("loop")
    wait_until(lambda: materializing(kept.settings), "no features were made", CLOCK, timeout_s=300, every_s=0.05)
    kill_postgres(kept.home)
    process = ended(run)
    log = kept.home / "logs" / "postgres.log"
    if process.returncode:
        assert f"postgres ended in the middle of the run (log: {log}); the stored data is intact" in complaint(process)
    assert kept.left() == []

    bundled.start(kept.home, kept.settings.host, kept.settings.postgres_port)
    with database.open_pool(kept.settings) as pool:
        stored = BarStore(pool).range("replay", "EURUSD", Timeframe.M1, HISTORY_FROM, end=TRADE_FROM)
    bars = read_bars(bar_files["EURUSD"])[1]
    expected = bars[bars["open_time"].between(HISTORY_FROM, TRADE_FROM, inclusive="left")]
    pd.testing.assert_frame_equal(stored, expected.reset_index(drop=True))


def materializing(settings: Any) -> bool:
    if not processes.answers(f"{settings.prefect_url}/api/health"):
        return False
    wanted = {"flows": {"name": {"any_": ["materialize"]}}, "flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
    runs, login = f"{settings.prefect_url}/api/flow_runs/filter", web_access.login(settings, "prefect")
    return bool(httpx.post(runs, json=wanted, auth=login, timeout=30).json())


def kill_postgres(home: Path) -> None:
    number = bundled.pid(home)
    assert number is not None
    kill_9(psutil.Process(number))

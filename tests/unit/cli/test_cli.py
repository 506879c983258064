"""The command line: fast help, and wrong use reported in one line."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from mikrobot.cli.main import main
from mikrobot.cli.parameters import OutFolder, OutPath
from mikrobot.live import pid_records
from tests.commands import commands

HEAVY = (
    "pandas",
    "numpy",
    "prefect",
    "feast",
    "mlflow",
    "xgboost",
    "sklearn",
    "onnxruntime",
    "evidently",
    "great_expectations",
    "bentoml",
    "rpyc",
)


OPTIMIZE = ("optimize", "--data", __file__, "--strategy", "m5_bos", "--rules-only")


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    return stopped.value.code or 0, *capsys.readouterr()


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_explains_itself_with_an_example(command, capsys):
    code, out, err = run(capsys, command, "--help")
    assert (code, err) == (0, "")
    assert f"Example: mikrobot {command}" in out


def test_the_help_of_a_backtest_lists_the_columns_of_its_trade_list(capsys):
    from mikrobot.workflows.backtest_files import COLUMNS

    _, out, _ = run(capsys, "backtest", "--help")
    assert ", ".join(COLUMNS) in " ".join(out.split())


@pytest.mark.parametrize(
    "given",
    [("--profile", "ftmo"), ("--model", "bos"), ("--rules-only",), ("--from", "2025-03-01"), ("--to", "2025-03-01")],
)
def test_a_recorded_run_is_not_traded_again_by_other_rules(capsys, given):
    code, out, err = run(capsys, "backtest", "--run", "last", *given)
    assert (code, out) == (2, "")
    assert f"leave out {given[0]}" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("why-not", "BOGUS!", "2025-03-14T09:30"), "BOGUS!"),
        (("why-not", "EURUSD", "noon"), "expected a time as 2025-03-01 or 2025-03-01T08:00, found 'noon'"),
        (("decisions", "--from", "2025-03-02", "--to", "2025-03-01"), "--from 2025-03-02T00:00 is after --to"),
        (("decisions", "--last", "0"), "0 is not in the range"),
        (("replay", "last", "--with", "entry_probability"), "--with expects KEY=VALUE, as entry_probability=0.6"),
        (("replay", "last", "--with", "swing=15"), "--with cannot change 'swing'; it can change profile"),
        (("replay", "last", "--with", "m5_bos.least_atr=low"), "'low' is no number"),
        (("replay", "last", "--with", "entry_probability=7"), "entry_probability"),
    ],
    ids=["symbol", "time", "span", "rows", "no value", "setting", "number", "range"],
)
def test_a_wrong_question_about_decisions_is_refused_in_one_line_and_starts_nothing(
    capsys, monkeypatch, tmp_path, arguments, message
):
    monkeypatch.setenv("MIKROBOT_HOME", str(tmp_path / "home"))
    code, out, err = run(capsys, *arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert message in err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("process", ["run", "loop"])
def test_up_is_refused_while_a_run_is_on_its_way_and_starts_nothing(capsys, monkeypatch, tmp_path, process):
    monkeypatch.setenv("MIKROBOT_HOME", str(tmp_path))
    monkeypatch.setattr("mikrobot.cli.main.stop_on_sigterm", lambda: None)
    pid_records.record(process, tmp_path, os.getpid())
    code, out, err = run(capsys, "up")
    assert (code, out) == (1, "")
    assert f"a run uses {tmp_path} (pid {os.getpid()})" in " ".join(err.split())
    assert pid_records.recorded(tmp_path) == [process]


@pytest.mark.parametrize(
    ("variable", "value", "arguments", "message"),
    [
        ("LANG", "C", ("run", "--once", "--source", "simulated", "--hours", "9" * 20), "setting hours: .* 87660"),
        ("MIKROBOT_HOST", "999.1.1.1", ("up",), "MIKROBOT_HOST: expected an IPv4 address"),
        ("MIKROBOT_DATABASE_URL", "postgresql://me@[::1/db", ("status",), "MIKROBOT_DATABASE_URL: expected postgresql"),
        ("MIKROBOT_BOGUS", "1", ("doctor",), "MIKROBOT_BOGUS is not a setting; the nearest known one is MIKROBOT_"),
        ("MIKROBOT_PREFECT_PORT", "5500", ("down",), "MIKROBOT_PREFECT_PORT and the default of mlflow_port are the"),
    ],
)
def test_a_wrong_setting_ends_in_one_line(capsys, monkeypatch, tmp_path, variable, value, arguments, message):
    monkeypatch.setenv("MIKROBOT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(variable, value)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"error: .*{message}.*\n", err), err
    assert not (tmp_path / "home").exists()


def test_a_terminal_that_is_not_there_is_one_line_and_nothing_is_started(capsys, tmp_path, monkeypatch, free_port):
    monkeypatch.setenv("MIKROBOT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MIKROBOT_MT5_PORT", str(free_port()))
    code, out, err = run(capsys, "run", "--source", "mt5")
    assert (code, out) == (1, "")
    assert re.fullmatch(
        r"error: the RPyC bridge at 127\.0\.0\.1:\d+ cannot be reached .*; start it next to .*\n", err
    ), err
    assert not (tmp_path / "home").exists()


def test_help_imports_nothing_heavy():
    assert heavy_after("from mikrobot.cli.main import main") == set()


def heavy_after(script: str) -> set[str]:
    """Return the heavy packages that a new interpreter has imported after a script."""
    loaded = f"\nimport sys; print(*(name for name in {HEAVY} if name in sys.modules))"
    process = subprocess.run([sys.executable, "-c", script + loaded], capture_output=True, text=True, check=True)
    return set(process.stdout.split())


def wrong_paths(folder: str) -> Iterator[list[str]]:
    """Yield, for every parameter that takes a path, a call with an unusable path."""
    for words, command in commands():
        for position, parameter in enumerate(command.params):
            if isinstance(parameter.type, click.Path):
                wrong = {OutPath: folder, OutFolder: __file__}.get(type(parameter.type), "nowhere/EURUSD_M1.parquet")
                before = ["bos"] * position if isinstance(parameter, click.Argument) else [parameter.opts[0]]
                yield [*words, *before, wrong]


def test_every_path_is_checked_before_anything_is_started(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MIKROBOT_HOME", str(tmp_path / "home"))
    calls = list(wrong_paths(str(tmp_path)))
    assert len(calls) > 10
    for arguments in calls:
        code, out, err = run(capsys, *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), arguments
        assert err.startswith("error: Invalid value for")
        assert arguments[-1] in err
    assert not (tmp_path / "home").exists()


def test_a_wrong_path_model_or_symbol_imports_no_framework(tmp_path):
    calls = [*wrong_paths(str(tmp_path)), ["backtest", "--model", "boss"], ["evaluate", "--model", "bos@"]]
    calls.append(["run", "--symbols", "FOO"])
    script = f"""
from mikrobot.cli.main import main
for arguments in {calls}:
    try:
        main(arguments)
    except SystemExit as end:
        assert end.code == 2, arguments
"""
    assert heavy_after(script) <= {"numpy", "pandas"}


def test_looking_at_versions_imports_no_framework():
    script = """
from mikrobot.domain.errors import ServiceError
from mikrobot.settings import Settings
from mikrobot.store.model_registry import open_registry
try:
    open_registry(Settings(mlflow_port=9)).versions("bos")
except ServiceError:
    pass
else:
    raise SystemExit("something answers on port 9")
"""
    assert heavy_after(script) == set()


def test_the_mlflow_library_imports_no_model_library_and_no_plugin_of_another_package():
    assert heavy_after("import mikrobot.models.tracking") <= {"mlflow", "numpy", "pandas"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--hours", "0"], "'--hours': 0 is not in the range x>=1; see `mikrobot run --help`"),
        (["account", "reset", "--balance", "1e400"], "expected an amount above 0 and below 1,000,000,000,000,000"),
        (["account", "reset", "--balance", "0.001"], "in whole cents, found '0.001'"),
        (["account", "reset", "--balance", "1_000"], "'--balance': expected a number, found '1_000'"),
        (["account", "reset", "--balance", "NaN"], "in whole cents, found 'NaN'"),
        (["report", "--days", "99999999999"], "'--days': 99999999999 is not in the range 1<=x<=36525"),
        (["run", "--nope"], "No such option '--nope'"),
        (["nope"], "No such command 'nope'; see `mikrobot --help`"),
        (["predict"], "give --example"),
        (["backtest", "--model", "boss"], "there is no model 'boss'; the models are bos, nowcast, retest, false_break"),
        (["evaluate", "--model", "bos@"], "nothing follows the @ of 'bos@'"),
        (["models", "show", "bos", "--symbol", "foo"], "unknown symbol 'FOO'; `mikrobot instruments list` shows all"),
        (["predict", "--example", "--symbol", "foo"], "unknown symbol 'FOO'; `mikrobot instruments list` shows all"),
        (
            ["account", "reset", "--source", "kraken"],
            "'kraken' is not one of 'simulated', 'replay', 'binance', 'binance-local'",
        ),
        (
            ["backtest", "--data", __file__, "--symbol", "NOPE"],
            "'--symbol': unknown symbol 'NOPE'",
        ),
        (
            [*OPTIMIZE, "--parameter", "m5_bos.least_atr=1-8"],
            "'m5_bos.least_atr=1-8' is no range; expected STRATEGY.PARAMETER=LOW..HIGH, as m5_bos.least_atr=1..8",
        ),
        ([*OPTIMIZE, "--parameter", "m5_bos.least_atr=1..nan"], "'m5_bos.least_atr=1..nan' is no range"),
        (
            [*OPTIMIZE, "--parameter", "m5_bos.speed=1..8"],
            "m5_bos has no parameter m5_bos.speed; it has m5_bos.least_atr",
        ),
        (
            [*OPTIMIZE, "--parameter", "m5_bos.minutes=0..60"],
            "the range of m5_bos.minutes is 0 to 60, expected one within 1 to 1440",
        ),
        ([*OPTIMIZE, "--trials", "0"], "'--trials': 0 is not in the range"),
        ([*OPTIMIZE, "--metric", "profit"], "'profit' is not one of 'sharpe', 'return_pct', 'expectancy_r'"),
        ([*OPTIMIZE, "--out", __file__], "holds the bars to read; give another file"),
        (
            [*OPTIMIZE, "--from", "2025-03-02", "--to", "2025-03-01"],
            "--from 2025-03-02T00:00 is not before --to 2025-03-01T00:00",
        ),
        (["venue", "--fault", "fire=1"], "there is no fault 'fire'; the faults are drop, stall"),
        (["venue", "--fault", "drop"], "'drop' gives no rate; expected NAME=RATE"),
        (["venue", "--fault", "drop=nan"], "'drop=nan' gives no rate; expected NAME=RATE"),
        (["venue", "--symbols", "EURUSD"], "EURUSD is not traded on Binance; give symbols of coins"),
        (["venue", "--symbols", "SOLUSDT"], "SOLUSDT is not simulated"),
        (["venue", "--start", "2024-01-01"], "the market time begins at 2024-01-01 00:00; give one from 2025-01-01"),
        (["terminal", "--fault", "fire=1"], "there is no fault 'fire'; the faults are code_1, code_2"),
        (["terminal", "--fault", "drop=2"], "'drop=2' gives no rate; expected NAME=RATE"),
        (["terminal", "--server-clock", "Mars"], "unknown clock 'Mars' of a server; give EET, NY+7, UTC"),
        (["terminal", "--symbols", "SOLUSDT"], "SOLUSDT is not simulated"),
        (
            ["terminal", "--start", "2024-01-01"],
            "the market time begins at 2024-01-01 00:00; give one after 2025-01-02",
        ),
        (["run", "--source", "binance+kraken"], "there is no source 'kraken' in binance+kraken; the sources are"),
        (["run", "--source", "mt5+mt5"], "the source mt5+mt5 has mt5 twice; name each member once"),
        (
            ["run", "--source", "replay+mt5"],
            "replay cannot be joined with other sources, since its bars are of the past",
        ),
        (["run", "--symbols", "EURUSD@oanda"], "there is no source 'oanda'; the sources are"),
        (
            ["run", "--symbols", "EURUSD@mt5,EURUSD@simulated"],
            "EURUSD is given on mt5 and on simulated; a run trades it",
        ),
        (["run", "--source", "replay"], "a replay needs bars: give --data FILE_OR_FOLDER"),
        (
            ["run", "--source", "simulated", "--symbols", "FOO"],
            "unknown symbol 'FOO'; `mikrobot instruments list` shows all",
        ),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MIKROBOT_HOME", str(tmp_path / "home"))
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert not (tmp_path / "home").exists()


def test_no_command_prints_the_help(capsys):
    code, _, err = run(capsys)
    assert code == 2
    assert "Commands:" in err

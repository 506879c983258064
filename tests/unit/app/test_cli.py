"""The command line: help at once, wrong use in one line."""

import subprocess
import sys

import pytest

from mikrobot.app.cli import main

HEAVY = (
    "pandas",
    "numpy",
    "prefect",
    "feast",
    "mlflow",
    "xgboost",
    "sklearn",
    "evidently",
    "great_expectations",
    "bentoml",
)


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
    from mikrobot.app.backtest_files import COLUMNS

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


def test_help_imports_nothing_heavy():
    script = f"import sys; from mikrobot.app.cli import main; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--hours", "0"], "'--hours': 0 is not in the range x>=1; see `mikrobot run --help`"),
        (["run", "--nope"], "No such option '--nope'"),
        (["nope"], "No such command 'nope'; see `mikrobot --help`"),
        (["predict"], "give --example"),
        (["run", "--source", "mt5"], "not built yet"),
        (["run", "--source", "replay"], "a replay needs bars: give --data FILE_OR_FOLDER"),
        (["run", "--source", "simulated", "--symbols", "FOO"], "unknown symbol 'FOO'; known are EURUSD"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MIKROBOT_HOME", str(tmp_path / "home"))
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert not (tmp_path / "home").exists()


def test_no_command_prints_the_help(capsys):
    code, _, err = run(capsys)
    assert code == 2
    assert "Commands:" in err

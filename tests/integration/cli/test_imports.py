"""A command imports only the frameworks that it uses, since each one delays every call by seconds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FRAMEWORKS = {"feast", "mlflow", "evidently", "great_expectations", "bentoml", "prefect"}

PROBE = """
import sys
from click.testing import CliRunner
from mikrobot.cli.main import main
result = CliRunner().invoke(main, sys.argv[1:])
print(result.exit_code, *sorted({name.partition(".")[0] for name in sys.modules}))
"""

COMMANDS = [
    ("backtest", "--rules-only", "--data", "{bars}", "--from", "2025-03-14T10:00"),
    (
        *("optimize", "--rules-only", "--data", "{bars}", "--strategy", "simple_break", "--from", "2025-03-13"),
        *("--metric", "return_pct", "--trials", "2", "--folds", "1"),
    ),
    ("features", "{bars}", "--out", "{folder}/rows.parquet"),
    ("simulate", "{folder}/missing.json"),
    ("status",),
    ("doctor",),
    ("down",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_command_that_needs_no_framework_imports_none(
    command: tuple[str, ...], bar_files: dict[str, Path], tmp_path: Path
) -> None:
    arguments = [part.format(bars=bar_files["EURUSD"], folder=tmp_path) for part in command]
    process = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        env={**os.environ, "MIKROBOT_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert FRAMEWORKS & set(process.stdout.split()) == set(), process.stdout.split()[0]

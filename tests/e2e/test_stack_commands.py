"""Every command with --json, called as a user does: one JSON document on standard output, and nothing else."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.commands import commands

PLAN = ("--arm", "a:profile=session1", "--arm", "b:profile=ftmo", "--effect", 1, "--deviation", 1)

CALLS: dict[str, tuple[object, ...]] = {
    "models list": (),
    "models show": ("bos", 1),
    "models explain": ("bos", "{row}", "--version", 1),
    "status": (),
    "doctor": (),
    "account show": (),
    "history gaps": (),
    "history repair": (),
    "history revisions": (),
    "history bars": ("--symbol", "EURUSD", "--from", "2025-03-14T10:00", "--to", "2025-03-14T11:00"),
    "drift": (),
    "performance": (),
    "report": (),
    "decisions": (),
    "explain": ("{decision}",),
    "why-not": ("{symbol}", "{close}"),
    "replay": ("last", "--with", "entry_probability=0.9"),
    "predict": ("--example",),
    "backtest": ("--data", "{bars}", "--rules-only", "--from", "2025-03-14T10:00"),
    "optimize": (
        *("--data", "{bars}", "--strategy", "simple_break", "--rules-only", "--from", "2025-03-13"),
        *("--metric", "return_pct", "--trials", 2, "--folds", 2),
    ),
    "strategy list": (),
    "strategy check": ("simple_break",),
    "inspect": ("{bars}",),
    "import": ("{bars}", "--out", "{folder}"),
    "instruments list": (),
    "instruments show": ("XAUUSD",),
    "instruments infer": ("{bars}",),
    "experiment new": ("fresh", *PLAN),
    "experiment status": ("planned",),
    "experiment report": ("planned",),
    "experiment stop": ("planned",),
    "bench": ("paper", "--scale", 0.01),
    "account reset": ("--source", "binance"),
    "trading halt": ("--symbol", "XAUUSD", "--side", "buy", "--flatten"),
    "trading reduce": ("--symbol", "XAUUSD", "--side", "buy"),
    "trading status": (),
    "trading resume": ("--symbol", "XAUUSD", "--side", "buy"),
}
"""Arguments by command, in the order in which they are called."""

ELSEWHERE = {
    "book": "its document is checked in contract/market/test_recorded_streams",
    "symbols add": "its document is checked in test_local_market",
    "run": "its document is checked in test_replay",
    "evaluate": "its document is checked in test_stop",
    "train": "its document is checked in test_stop",
}
"""Commands that are not called by themselves, with the reason."""

HEAVY = {"mlflow", "pandas", "scipy", "sklearn", "xgboost", "onnxruntime", "alembic", "prefect", "feast"}
"""Packages that take long to import, and that no command needs to read the registry."""

FOUND_FAULTS = {"doctor": 1}
"""Exit codes other than 0 of commands that worked: `doctor` may find a fault of the machine under test."""


@dataclass(frozen=True)
class Stack:
    """The stack that is up after two runs, and the paths and the decision that calls name."""

    program: Any
    paths: dict[str, Path | str]


@pytest.fixture(scope="module")
def stack(running: Any, second: Any, bar_files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = tmp_path_factory.mktemp("json")
    paths = {"bars": bar_files["EURUSD"], "row": folder / "row.json", "folder": folder / "imported"}
    planned = running.run("experiment", "new", "planned", *PLAN)
    assert planned.returncode == 0, planned.stderr
    example = running.run("predict", "--example", "--json")
    paths["row"].write_text(json.dumps(json.loads(example.stdout)["body"]))
    listed = json.loads(running.run("decisions", "--json").stdout)
    last = listed["decisions"][-1]
    named = {"decision": last["id"], "symbol": last["symbol"], "close": last["close_time"]}
    return Stack(running, paths | named)


def test_every_command_with_json_is_called() -> None:
    offering = {" ".join(words) for words, command in commands() if any(p.name == "json_" for p in command.params)}
    assert offering == CALLS.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize("command", CALLS)
def test_a_command_prints_one_document(stack: Stack, command: str) -> None:
    arguments = (str(part).format(**stack.paths) for part in CALLS[command])
    process = stack.program.run(*command.split(), *arguments, "--json")
    assert process.returncode in (0, FOUND_FAULTS.get(command, 0)), process.stderr
    assert isinstance(json.loads(process.stdout), dict | list)


def test_what_runs_already_is_not_reported_as_started(stack: Stack) -> None:
    process = stack.program.run("models", "list")
    assert process.returncode == 0
    assert "bos 1" in process.stdout
    assert process.stderr == ""


@pytest.mark.parametrize(
    ("command", "unneeded"),
    [
        ("list", HEAVY),
        ("card bos 1", HEAVY),
        ("show bos 1", HEAVY),
        ("explain bos {row} --version 1", {"mlflow", "alembic", "prefect", "feast"}),
    ],
)
def test_a_reading_command_imports_no_framework_while_the_stack_is_up(
    stack: Stack, command: str, unneeded: set[str]
) -> None:
    arguments = ["models", *command.format(**stack.paths).split()]
    script = f"""
import sys
from mikrobot.cli.main import main
try:
    main({arguments})
except SystemExit as end:
    assert not end.code, end.code
print(*sorted({unneeded} & sys.modules.keys()), file=sys.stderr)
"""
    process = subprocess.run(
        [sys.executable, "-c", script], env=stack.program.variables, capture_output=True, text=True, check=True
    )
    assert process.stdout.strip()
    assert process.stderr.split() == []

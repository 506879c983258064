"""Benchmark of the start of commands, compared with the same command where Feast and MLflow are imported too."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.features import simulated_bars
from benchmarks.timing import Measurement, Timed, compared, scaled

BARS = 3_000
ROUNDS = 5

_COMMAND = "from mikrobot.cli.main import main; main()"
_FRAMEWORKS = "import feast, mlflow; "


def measure(scale: float = 1.0) -> Iterator[Measurement]:
    """Time commands that need no framework, each as a process of its own, without a stack.

    On a smaller scale there are fewer commands.
    """
    with TemporaryDirectory() as folder:
        bars = Path(folder) / "EURUSD_M1.parquet"
        stored = {"open_time": "ts", "taker_volume": "taker_buy_volume"}
        simulated_bars("EURUSD", BARS).rename(columns=stored).to_parquet(bars, index=False)
        rows = Path(folder) / "rows.parquet"
        commands = {
            "help": ("--help",),
            "status, nothing runs": ("status",),
            f"features of {BARS:,} bars": ("features", str(bars), "--out", str(rows)),
            f"backtest of the rules on {BARS:,} bars": ("backtest", "--rules-only", "--data", str(bars)),
        }
        for name, arguments in islice(commands.items(), scaled(len(commands), scale)):
            yield compared(
                f"command, {name}", "s",
                partial(_python, _COMMAND, arguments, Path(folder)),
                Timed(
                    "the same after importing Feast and MLflow",
                    partial(_python, _FRAMEWORKS + _COMMAND, arguments, Path(folder)),
                ),
                limit=Timed("importing numpy and pandas", partial(_python, "import numpy, pandas", (), Path(folder))),
                rounds=scaled(ROUNDS, scale), uncounted=scaled(1, scale, least=0),
            )  # fmt: skip


def _python(program: str, arguments: tuple[str, ...], home: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | {"MIKROBOT_HOME": str(home / "home")},
        check=True,
        capture_output=True,
    )

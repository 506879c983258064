"""A small run of the real command on recorded bars."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HISTORY_DAYS = 5
ENTRY_PROBABILITY = 0.3
"""Breaks within 5 minutes have a base rate of about 0.13, so the default of 0.55 would trade few in two hours."""


@dataclass(frozen=True)
class Outcome:
    """The output of a run of the command, and the processes that it left."""

    code: int
    out: str
    err: str
    left: list[str]

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads(self.out)


def run(program: Any, bar_files: dict[str, Path]) -> Outcome:
    """Trade two hours of both symbols."""
    data = [part for path in bar_files.values() for part in ("--data", path)]
    process = program.run(
        "run", "--once", "--source", "replay", *data, "--history-days", HISTORY_DAYS, "--hours", 2, "--json",
        entry_probability=ENTRY_PROBABILITY,
    )  # fmt: skip
    return Outcome(process.returncode, process.stdout, process.stderr, program.left())

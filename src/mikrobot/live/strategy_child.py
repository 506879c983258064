"""The process in which a user's strategy runs: ``python -m mikrobot.live.strategy_child FILE:CLASS``.

Answers a line of JSON on standard input with one on standard output. After the file was imported, the process opens no
file, starts no process and connects to nothing, and the clock is not read: what a strategy answers depends on its
inputs alone. This keeps mistakes out of a ledger; it is no protection from a hostile program.
"""

import datetime as datetimes
import json
import os
import sys
import time
from dataclasses import asdict
from decimal import Decimal
from typing import Any, NoReturn, TextIO

from mikrobot.decision.checks import Check, Comparison
from mikrobot.decision.outlook import Outlook
from mikrobot.decision.signals import MOST_TEXT, NoSignal, Signal
from mikrobot.decision.strategies.catalog import Reference, identity, parsed
from mikrobot.decision.strategies.strategy import Strategy
from mikrobot.domain.errors import StrategyError
from mikrobot.live.strategy_file import line_of, load

FORBIDDEN = ("open", "os.", "socket.", "subprocess.", "shutil.", "ctypes.", "import", "sqlite3.", "urllib.", "ftplib.")
"""Beginnings of the names of audit events of a strategy that reads or writes anything."""

CLOCKS = (
    "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep", "localtime", "gmtime",
    "process_time", "thread_time",
)  # fmt: skip


READS_CLOCK = "it reads the clock; use outlook.close_time"


class Forbidden(Exception):
    """A strategy reads something other than its inputs."""


class UtcTime(datetimes.datetime):
    """A datetime without the methods that read the clock."""

    @classmethod
    def now(cls, tz: Any = None) -> NoReturn:
        """Refuse to read the clock."""
        raise Forbidden(READS_CLOCK)

    @classmethod
    def utcnow(cls) -> NoReturn:
        """Refuse to read the clock."""
        raise Forbidden(READS_CLOCK)

    @classmethod
    def today(cls) -> NoReturn:
        """Refuse to read the clock."""
        raise Forbidden(READS_CLOCK)


def main(reference: str) -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    sys.stdout = sys.stderr  # what a strategy prints is no answer
    questions = sys.stdin
    parts = parsed(reference)
    assert parts is not None
    without_clock()
    try:
        strategy = load(parts)
    except StrategyError as error:
        _answer(answers, {"error": str(error)})
        return
    _answer(answers, described(strategy))
    values = json.loads(questions.readline() or "null")
    if values is None:
        return
    try:
        instance = strategy(**values)
    except StrategyError as error:
        _answer(answers, {"error": str(error)})
        return
    _answer(answers, {"made": True})
    sys.addaudithook(_refuse)
    for question in questions:
        _answer(answers, _answered(instance, json.loads(question), parts))


def described(strategy: type[Strategy]) -> dict[str, Any]:
    """Return what the platform must know of a strategy, as plain JSON values."""
    return {
        "identity": identity(strategy),
        "columns": list(strategy.columns),
        "parameters": {
            name: [parameter.default, parameter.low, parameter.high, parameter.description]
            for name, parameter in strategy.parameters.items()
        },
        "mandate": {
            name: str(limit) if isinstance(limit, Decimal) else limit
            for name, limit in asdict(strategy.mandate).items()
        },
        "description": (strategy.__doc__ or "").strip().partition("\n")[0],
    }


def without_clock() -> None:
    """Replace the functions that read the clock, for what is imported later."""

    def refuse(*arguments: Any) -> NoReturn:
        raise Forbidden(READS_CLOCK)

    for name in CLOCKS:
        setattr(time, name, refuse)
    datetimes.datetime = UtcTime  # type: ignore[misc]


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(FORBIDDEN) and not (event == "import" and arguments[0] in sys.modules):
        raise Forbidden(f"it does {event}; a strategy reads nothing but its inputs")


def _answered(strategy: Strategy, question: dict[str, Any], reference: Reference) -> dict[str, Any]:
    """Return the answer to one close; `memory` only if the strategy has changed it."""
    closed, memory = question["outlook"], question["memory"]
    before = json.dumps(memory)
    closed["close_time"] = UtcTime.fromisoformat(closed["close_time"])
    try:
        answer = strategy.signal(Outlook(**closed), memory)
        text = json.dumps(memory, allow_nan=False)  # PostgreSQL stores no NaN as JSON
        return {**_json(answer), **({"memory": json.loads(text)} if text != before else {})}
    except (Exception, SystemExit) as error:
        return {"failed": line_of(error, reference.module)[:MOST_TEXT]}


def _json(answer: object) -> dict[str, Any]:
    if isinstance(answer, NoSignal):
        numbers = _numbers(answer.compared)
        return {"none": [str(answer.text)[:MOST_TEXT], str(answer.name), _checks(answer.checks), numbers]}
    if isinstance(answer, Signal):
        target, entry = (None if price is None else float(price) for price in (answer.target, answer.entry))
        terms = [answer.side.value, float(answer.stop), target, int(answer.minutes), _checks(answer.checks), entry]
        return {"signal": terms}
    raise TypeError(f"signal() returned {type(answer).__name__}, expected Signal or NoSignal")


def _checks(checks: tuple[Check, ...]) -> list[list[Any]]:
    return [
        [str(check.name), bool(check.passed), str(check.text)[:MOST_TEXT], _numbers(check.compared)] for check in checks
    ]


def _numbers(numbers: Comparison | None) -> list[Any] | None:
    return None if numbers is None else numbers.to_json()


def _answer(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(f"{json.dumps(answer)}\n")
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])

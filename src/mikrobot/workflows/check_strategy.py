"""Check a strategy against its contract, on a simulated market, before it trades.

Every strategy is called as in trading: a user's in a child process, with the same time limit.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from mikrobot import telemetry
from mikrobot.decision.outlook import Outlook
from mikrobot.decision.signals import NoSignal, Signal
from mikrobot.decision.strategies.strategy import Memory
from mikrobot.domain.errors import StrategyError
from mikrobot.live.strategies import CALL_S, RunningStrategy, Strategies, start
from mikrobot.market.simulated import SimulatedSource
from mikrobot.models.catalog import TRADED
from mikrobot.models.task import Task
from mikrobot.runtime import ManualClock
from mikrobot.settings import Settings
from mikrobot.workflows.backtest_outlooks import by_rules, columns_read, feature_rows, market_of

SYMBOLS = ("BTCUSDT", "EURUSD")
UNTIL = datetime(2025, 3, 14, 12, tzinfo=UTC)
"""A Friday noon of the simulated market."""

WARM_UP, CALLED = timedelta(days=5), timedelta(days=1)
"""History of the feature rows, and the time at whose closes the strategy is called."""

AT_BOUNDS = 400
"""Closes at which it is called with each parameter at its bounds."""

Answers = list[Signal | NoSignal]


@dataclass(frozen=True, slots=True)
class Finding:
    """One requirement of the contract.

    Attributes
    ----------
    what : str
    ok : bool
    text : str
        What was seen.
    """

    what: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class StrategyCheck:
    """The result of every requirement.

    Attributes
    ----------
    strategy : str
        Name and hash of its source; the reference if it cannot be loaded.
    findings : tuple of Finding
    """

    strategy: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """True if every requirement is met."""
        return all(finding.ok for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        checks = [{"what": finding.what, "ok": finding.ok, "text": finding.text} for finding in self.findings]
        return {"strategy": self.strategy, "ok": self.ok, "checks": checks}


def check(reference: str, settings: Settings) -> StrategyCheck:
    """Check a strategy of ours or a user's."""
    try:
        with _started(reference, settings) as strategy:
            outlooks = market(strategy.described.columns, settings)
            timers, memory = telemetry.Timers(), dict[str, Memory]()
            first = _called(strategy, outlooks, memory, timers)
            bounds = {
                f"{strategy.described.title}.{name}": (parameter.low, parameter.high)
                for name, parameter in strategy.described.parameters.items()
            }
            identity = strategy.described.identity
        half = len(outlooks) // 2
        with _started(reference, settings) as strategy:
            memory = {}
            before = _called(strategy, outlooks[:half], memory)
        with _started(reference, settings) as strategy:
            after = _called(strategy, outlooks[half:], memory)
        at_bounds = [
            _at_bound(reference, settings, name, value, outlooks=outlooks[:AT_BOUNDS])
            for name, both in bounds.items()
            for value in both
        ]
    except StrategyError as error:
        return StrategyCheck(reference, (Finding("is loaded", False, str(error)),))
    return StrategyCheck(
        identity,
        (
            Finding("is loaded", True, f"reads {', '.join(strategy.described.columns) or 'no feature column'}"),
            _answers(first, outlooks),
            _possible([first, *(answers for _, answers in at_bounds)], outlooks),
            _equal(
                "answers the same again, whatever comes later", first[:half], before,
                "it reads more than its inputs, as a random number",
            ),
            _equal(
                "remembers in its memory alone", first[half:], after,
                "it keeps something in itself, which a restart would lose",
            ),
            _in_time(timers),
            _parameters(at_bounds),
        ),
    )  # fmt: skip


def market(columns: Sequence[str], settings: Settings) -> list[Outlook]:
    """Return the outlooks of two symbols on a simulated market, with probabilities drawn from the seed."""
    source = SimulatedSource(SYMBOLS, settings.seed, ManualClock(UNTIL))
    bars = {symbol: source.history(symbol, UNTIL - WARM_UP, UNTIL) for symbol in SYMBOLS}
    levels = dict.fromkeys(SYMBOLS, Task(TRADED, settings.swing).columns)
    rows = dict(feature_rows(bars, columns_read({}, levels, columns)))
    outlooks = {symbol: by_rules(bars[symbol], rows[symbol], levels[symbol], columns) for symbol in SYMBOLS}
    rng = np.random.default_rng(settings.seed)
    for frame in outlooks.values():
        for side in ("up", "down"):
            frame[side] = rng.beta(2, 4, len(frame))
    since = pd.Timestamp(UNTIL - CALLED)
    late = {symbol: frame[frame.index > since] for symbol, frame in outlooks.items()}
    return [outlook for _, outlook in market_of(bars, late) if outlook is not None]


@contextmanager
def _started(reference: str, settings: Settings) -> Iterator[RunningStrategy]:
    strategy = start(reference, settings)
    with Strategies([strategy]):
        yield strategy


def _called(
    strategy: RunningStrategy, outlooks: Sequence[Outlook], memory: dict[str, Memory],
    timers: telemetry.Timers | None = None,
) -> Answers:  # fmt: skip
    strategy.memories, clocks, answers = memory, timers or telemetry.Timers(), Answers()
    for outlook in outlooks:
        with clocks.stage("call"):
            answers.append(strategy.answer(outlook))
    return answers


def _at_bound(
    reference: str, settings: Settings, name: str, value: float, *, outlooks: Sequence[Outlook]
) -> tuple[str, Answers]:
    """Return a parameter at a bound, and the answers of the strategy with it."""
    chosen = settings.model_copy(update={"strategy_parameters": {**settings.strategy_parameters, name: value}})
    with _started(reference, chosen) as strategy:
        return f"{name.partition('.')[2]} = {value:g}", _called(strategy, outlooks, {})


def _failure(answers: Answers) -> str:
    failures = [answer.text for answer in answers if isinstance(answer, NoSignal) and answer.name == "strategy"]
    return f"{len(failures)} of {len(answers)} calls failed, the first with: {failures[0]}" if failures else ""


def _answers(answers: Answers, outlooks: Sequence[Outlook]) -> Finding:
    signals = sum(isinstance(answer, Signal) for answer in answers)
    return Finding(
        "answers every close",
        not _failure(answers),
        _failure(answers) or f"{len(outlooks):,} closes of {' and '.join(SYMBOLS)}, {signals:,} signals",
    )


def _possible(called: Sequence[Answers], outlooks: Sequence[Outlook]) -> Finding:
    """Judge the answers of each call of the market, which may end early."""
    signals = [
        answer.fault(outlook.close)
        for answers in called
        for answer, outlook in zip(answers, outlooks, strict=False)
        if isinstance(answer, Signal)
    ]
    faults = list(filter(None, signals))
    text = (
        f"{len(faults)} are not, the first: {faults[0]}" if faults else f"{len(signals):,} signals, at bounds as well"
    )
    return Finding("proposes possible trades", not faults, text)


def _equal(what: str, first: Answers, again: Answers, cause: str) -> Finding:
    differing = [number for number, pair in enumerate(zip(first, again, strict=True)) if pair[0] != pair[1]]
    text = f"{len(differing)} of {len(first)} answers differ: {cause}" if differing else f"{len(first):,} answers"
    return Finding(what, not differing, text)


def _in_time(timers: telemetry.Timers) -> Finding:
    times = timers.summary()["call"]
    text = f"p50 {times['p50'] * 1000:.0f} us, p99 {times['p99'] * 1000:.0f} us; the limit is {CALL_S:g} s"
    return Finding("answers in time", times["p99"] < CALL_S * 1000 / 2, text)


def _parameters(at_bounds: Sequence[tuple[str, Answers]]) -> Finding:
    failures = [f"{name}: {failure}" for name, answers in at_bounds if (failure := _failure(answers))]
    count = len(at_bounds) // 2
    return Finding(
        "works at the bounds of its parameters", not failures, failures[0] if failures else f"{count} parameters"
    )

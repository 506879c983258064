"""The strategies of a run: ours in this process, a user's in a child process with a time limit for each call.

Every strategy has a memory of each symbol, which belongs to the run and is committed with its minutes.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import IO, Any

from mikrobot.decision.checks import Check, Comparison
from mikrobot.decision.outlook import Outlook
from mikrobot.decision.signals import NoSignal, Signal
from mikrobot.decision.strategies.catalog import Reference, identity, ours, parsed, values_of
from mikrobot.decision.strategies.strategy import Mandate, Memory, Parameter, Strategy
from mikrobot.domain.errors import StrategyError
from mikrobot.domain.trading import Side
from mikrobot.settings import Settings

CALL_S = 2.0
"""Seconds within which a user's strategy must answer a close."""

MOST_SILENCES = 5
"""Calls in a row that a user's strategy may leave without an answer; then it is not called again."""

START_S = 60.0
"""Seconds within which a user's file must be imported."""

Call = Callable[[Outlook, Memory], Signal | NoSignal]


@dataclass(frozen=True, slots=True)
class Described:
    """What is known of a strategy without calling it.

    Attributes
    ----------
    identity : str
        Name and hash of its source, as ``simple_break@8c1f3a52``.
    columns : tuple of str
        The feature columns that it reads.
    parameters : mapping of str to Parameter
    description : str
        First line of its docstring.
    mandate : Mandate
    """

    identity: str
    columns: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    description: str
    mandate: Mandate

    @property
    def title(self) -> str:
        """Its name."""
        return self.identity.partition("@")[0]


@dataclass(slots=True)
class RunningStrategy:
    """A strategy of a run.

    Attributes
    ----------
    described : Described
    call : callable
        Answers an outlook, and changes the memory of its symbol.
    memories : dict of str to dict
        What it remembers of each symbol.
    changed : set of str
        Symbols whose memory has changed since it was committed last.
    own : Strategy or None
        The strategy itself; None if it runs in a child process.
    """

    described: Described
    call: Call
    memories: dict[str, Memory] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    own: Strategy | None = None

    def answer(self, outlook: Outlook) -> Signal | NoSignal:
        """Return its answer at a close."""
        memory = self.memories.setdefault(outlook.symbol, {})
        before = json.dumps(memory) if memory else ""
        columns = self.described.columns
        if len(outlook.features) != len(columns):
            outlook = replace(outlook, features={name: outlook.features[name] for name in columns})
        answer = self.call(outlook, memory)
        if (json.dumps(memory) if memory else "") != before:
            self.changed.add(outlook.symbol)
        return answer


class ChildStrategy:
    """A user's strategy in a child process; a call that fails or takes too long costs that call alone.

    After `MOST_SILENCES` calls without an answer it is not called again.

    Parameters
    ----------
    reference : Reference
    values : function of Described to mapping of str to float
        Chooses its parameters.

    Attributes
    ----------
    described : Described

    Raises
    ------
    StrategyError
        If the file cannot be loaded, or a parameter is wrong.
    """

    def __init__(self, reference: Reference, values: Callable[[Described], Mapping[str, float]]) -> None:
        self._reference, self._silences = reference, 0
        self._start()
        try:
            answer = self._receive(START_S, "importing it")
            parameters = {name: Parameter(*parts) for name, parts in answer["parameters"].items()}
            self.described = Described(
                answer["identity"], tuple(answer["columns"]), parameters, answer["description"],
                _mandate(**answer["mandate"]),
            )  # fmt: skip
            self._values = dict(values(self.described))
            self._make()
        except BaseException:
            self.close()
            raise

    def __call__(self, outlook: Outlook, memory: Memory) -> Signal | NoSignal:
        """Answer an outlook, and change the memory in place."""
        if self._silences == MOST_SILENCES:
            return NoSignal(f"it did not answer {MOST_SILENCES} times in a row, and is not called again", "strategy")
        closed = asdict(outlook) | {"close_time": outlook.close_time.isoformat(), "features": dict(outlook.features)}
        try:
            if self._process.poll() is not None:
                self._restart()
            self._send({"outlook": closed, "memory": memory})
            answer = self._receive(CALL_S, "a close")
        except (StrategyError, OSError, ValueError) as error:
            self._silences += 1
            self.close()
            return NoSignal(str(error), "strategy")
        self._silences = 0
        if "failed" in answer:
            return NoSignal(answer["failed"], "strategy")
        if "memory" in answer:
            memory.clear()
            memory.update(answer["memory"])
        return _answered(answer)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _start(self) -> None:
        reference = f"{self._reference.module}:{self._reference.name}"
        folder = Path(self._reference.module).parent if self._reference.is_file else Path.cwd()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mikrobot.live.strategy_child", reference],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder if folder.is_dir() else None, text=True,
        )  # fmt: skip
        self._lines: Queue[str] = Queue()
        assert self._process.stdout is not None
        Thread(target=_read, args=(self._process.stdout, self._lines), daemon=True).start()

    def _make(self) -> None:
        self._send(self._values)
        self._receive(START_S, "making it")

    def _restart(self) -> None:
        self._start()
        identity = self._receive(START_S, "importing it")["identity"]
        if identity != self.described.identity:
            raise StrategyError(f"its file has changed from {self.described.identity} to {identity} since the start")
        self._make()

    def _send(self, question: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(question)}\n")
        self._process.stdin.flush()

    def _receive(self, seconds: float, what: str) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=seconds)
        except Empty:
            raise StrategyError(f"{self._reference.name} did not answer within {seconds:g} s: {what}") from None
        if not line:
            raise StrategyError(f"the process of {self._reference.name} ended with code {self._process.wait()}: {what}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise StrategyError(answer["error"])
        return answer


@dataclass(slots=True)
class Strategies:
    """The strategies of a run in the order in which they decide; a context manager that ends their processes."""

    running: Sequence[RunningStrategy]

    @property
    def columns(self) -> tuple[str, ...]:
        """The feature columns that any of them reads."""
        return tuple(dict.fromkeys(name for strategy in self.running for name in strategy.described.columns))

    def __enter__(self) -> "Strategies":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def fresh(self) -> "Strategies":
        """Return the same strategies without their memories; their processes are shared."""
        return Strategies([RunningStrategy(one.described, one.call, own=one.own) for one in self.running])

    def close(self) -> None:
        """End their processes."""
        for strategy in self.running:
            if isinstance(strategy.call, ChildStrategy):
                strategy.call.close()

    def changed(self) -> Iterator[tuple[str, str, Memory]]:
        """Yield name, symbol and memory of each that has changed since the last call."""
        for strategy in self.running:
            for symbol in sorted(strategy.changed):
                yield strategy.described.title, symbol, strategy.memories[symbol]
            strategy.changed.clear()

    def recall(self, memories: Mapping[tuple[str, str], Memory]) -> None:
        """Replace what they remember by what is stored, by name and symbol."""
        for strategy in self.running:
            title = strategy.described.title
            strategy.changed.clear()
            strategy.memories = {symbol: memory for (name, symbol), memory in memories.items() if name == title}


def opened(settings: Settings) -> Strategies:
    """Start the strategies of the settings.

    Raises
    ------
    StrategyError
        If one cannot be loaded, has no such parameter, or has the name of another.
    """
    running: list[RunningStrategy] = []
    with contextlib.ExitStack() as failed:
        for reference in settings.strategies:
            strategy = start(reference, settings)
            running.append(strategy)
            if isinstance(strategy.call, ChildStrategy):
                failed.callback(strategy.call.close)
        titles = [strategy.described.title for strategy in running]
        if twice := {title for title in titles if titles.count(title) > 1}:
            raise StrategyError(f"two strategies are named {min(twice)}; give one of the classes another `name`")
        failed.pop_all()
    return Strategies(running)


def start(reference: str, settings: Settings) -> RunningStrategy:
    """Start one strategy.

    Raises
    ------
    StrategyError
        If it cannot be loaded, or has no such parameter.
    """
    parts = parsed(reference)
    if parts is not None:
        child = ChildStrategy(parts, lambda described: _values(described.title, described.parameters, settings))
        return RunningStrategy(child.described, child)
    strategy = ours(reference)
    instance = strategy(**_values(strategy.title(), strategy.parameters, settings))
    return RunningStrategy(described(strategy), instance.signal, own=instance)


def described(strategy: type[Strategy]) -> Described:
    """Describe a strategy of ours."""
    text = (strategy.__doc__ or "").strip().partition("\n")[0]
    return Described(identity(strategy), strategy.columns, strategy.parameters, text, strategy.mandate)


def parameter_values(strategy: Described, settings: Settings) -> dict[str, float]:
    """Return the value of every parameter that a strategy trades with under the settings.

    Raises
    ------
    StrategyError
        If the settings name a parameter that it does not have.
    """
    defaults = {name: parameter.default for name, parameter in strategy.parameters.items()}
    return defaults | _values(strategy.title, strategy.parameters, settings)


def _values(title: str, parameters: Mapping[str, Parameter], settings: Settings) -> dict[str, float]:
    profile = settings.trading
    defaults = {
        "entry_probability": settings.entry_probability,
        "trigger_units": float(profile.trigger_units),
        "retest_units": float(profile.retest_units),
    }
    return values_of(title, parameters, settings.strategy_parameters, defaults)


def _mandate(risk_pct: Any, daily_loss_pct: Any, max_open_trades: int | None, sessions: list[str]) -> Mandate:
    risk, daily = (None if pct is None else Decimal(str(pct)) for pct in (risk_pct, daily_loss_pct))
    return Mandate(risk, daily, max_open_trades, tuple(sessions))


def _answered(answer: dict[str, Any]) -> Signal | NoSignal:
    if "none" in answer:
        text, name, checks, numbers = answer["none"]
        return NoSignal(text, name, _checks(checks), _numbers(numbers))
    side, stop, target, minutes, checks, entry = answer["signal"]
    return Signal(Side(side), stop, target, minutes, _checks(checks), entry)


def _checks(checks: list[list[Any]]) -> tuple[Check, ...]:
    return tuple(Check(name, passed, text, _numbers(numbers)) for name, passed, text, numbers in checks)


def _numbers(numbers: list[Any] | None) -> Comparison | None:
    return None if numbers is None else Comparison(*numbers)


def _read(lines: IO[str], queue: "Queue[str]") -> None:
    for line in lines:
        queue.put(line)
    queue.put("")

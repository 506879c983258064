"""What a feature is: a one-bar step, the state it remembers, its outputs and its warm-up.

A feature is a function ``step([state,] *inputs, *parameters) -> value(s)`` that sees one
closed bar and its own named state, nothing else. An input named like a bar field is wired to
the bar, one named like a market field to what is fixed of the symbol, one named ``lead_<column>`` to
the newest row of its lead (`mikrobot.features.library.lead`); any other names an earlier column of the catalog.

One rule covers warm-up and missing data: a step runs only when all its inputs are known (not
NaN); otherwise its outputs are NaN and its state stands still. Inputs declared optional are
passed as they are.

A second rule says what the past does: from the warm-up on, nothing older than the warm-up
changes a value, but for the `Tail` that a feature declares.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil, inf, log
from typing import Any

from mikrobot.domain.market import Timeframe
from mikrobot.features.kernel.bars import BAR_FIELDS, MARKET_FIELDS
from mikrobot.features.kernel.parts import Layout, inlined, record

LEAD = "lead_"
"""Prefix of an input that is a column of the lead's newest row."""

ELAPSED = "elapsed"
"""Input of a forming feature: seconds from the open of its bar to the close of the newest minute."""

Step = Callable[..., Any]
Fields = Mapping[str, Layout]


@dataclass(frozen=True, slots=True)
class Quantity:
    """The unit of a value and the closed range it stays in."""

    unit: str
    low: float = -inf
    high: float = inf


PRICE = Quantity("price", low=0)
DIFFERENCE = Quantity("price difference")
PERCENT = Quantity("percent", 0, 100)
SIGN = Quantity("sign", -1, 1)
FLAG = Quantity("flag", 0, 1)
ATRS = Quantity("ATR")
BARS = Quantity("bars", low=0)
RATIO = Quantity("ratio")
LOG_RETURN = Quantity("log return")


@dataclass(frozen=True, slots=True)
class Output:
    """One value that a feature returns.

    Attributes
    ----------
    quantity : Quantity
    summary : str
        What it is, in one phrase; the name of a parameter in backticks gives way to its value.
    missing : str
        Why it may be NaN after its warm-up; empty when it never is on known inputs.
    """

    quantity: Quantity
    summary: str
    missing: str = ""


FORGOTTEN = 1e-12
"""Share of a value, or of its column's mean size, below which a change by an older past counts as none."""


@dataclass(frozen=True, slots=True)
class Tail:
    """How long a value goes on showing what was before its warm-up, and why.

    Attributes
    ----------
    bars : float
        Bars after the first output until an older past changes it by no more than `FORGOTTEN`;
        infinite where only the market decides when.
    reason : str
        What keeps the older past; empty when there is no tail.
    """

    bars: float = 0
    reason: str = ""


HELD = Tail(inf, "a level or a state stands until the market replaces it")
"""The tail of a level or a state that stands however long ago the market made it."""


def fading(*shares: float) -> Tail:
    """Return the tail of averages in a row, of each of which a bar replaces a share.

    Long enough for a seed that is a hundred times the value.

    >>> fading(2 / 10).bars
    145
    """
    bars = sum(ceil(log(FORGOTTEN / 100) / log(1 - share)) for share in shares)
    return Tail(bars, "an average fades and never quite forgets")


@dataclass(frozen=True)
class Feature:
    """The definition of a feature. Calling it with parameters makes a catalog entry.

    Attributes
    ----------
    template : str
        Column name without timeframe, filled with the parameters.
    function, step : callable
        The definition in Python, and compiled.
    outputs : mapping of str to Output
        By suffix of the column name, in the order returned; the suffix of a single one is "".
    state, warmup, tail, lag : callable
        Of the parameters; see `feature`.
    inputs : mapping of str to str
        Default wires, filled with the parameters.
    optional : tuple of str
    forming : bool
        Whether it is of the bar that is forming; see `feature`.
    """

    template: str
    function: Step
    step: Step
    outputs: Mapping[str, Output]
    state: Callable[..., Fields]
    warmup: Callable[..., int]
    tail: Callable[..., Tail]
    lag: Callable[..., int]
    inputs: Mapping[str, str]
    optional: tuple[str, ...]
    forming: bool

    def __call__(self, **given: float | str) -> "Entry":
        """Fix the parameters (numbers) and inputs (names): one line of the catalog, on M1."""
        return Entry(self, given)

    def each(self, **given: Any) -> list["Entry"]:
        """Make one entry for every value of the first argument."""
        (first, values), *rest = given.items()
        return [self(**{first: value}, **dict(rest)) for value in values]

    @property
    def name(self) -> str:
        """Name of the step function."""
        return self.function.__name__

    @property
    def module(self) -> str:
        """Module in which the step function is defined."""
        return self.function.__module__

    @property
    def reference(self) -> str:
        """Where it is defined, from the section References of its docstring; empty without one."""
        _, _, section = (inspect.getdoc(self.function) or "").partition("References\n----------\n")
        return " ".join(section.partition("\n\n")[0].split())

    @cached_property
    def arguments(self) -> tuple[str, ...]:
        """Arguments of the step, without its state."""
        return tuple(name for name in inspect.signature(self.function).parameters if name != "state")

    @cached_property
    def remembers(self) -> bool:
        """Whether the step takes a state."""
        return "state" in inspect.signature(self.function).parameters


def _no_state(**parameters: float) -> Fields:
    return {}


def _no_tail(**parameters: float) -> Tail:
    return Tail()


def _no_lag(**parameters: float) -> int:
    return 0


def feature(
    template: str,
    outputs: Quantity | Mapping[str, Output],
    *,
    state: Callable[..., Fields] = _no_state,
    warmup: Callable[..., int],
    tail: Callable[..., Tail] = _no_tail,
    lag: Callable[..., int] = _no_lag,
    inputs: Mapping[str, str] | None = None,
    optional: tuple[str, ...] = (),
    forming: bool = False,
) -> Callable[[Step], Feature]:
    """Declare the decorated one-bar step to be a feature.

    Parameters
    ----------
    template : str
        Column name without timeframe, filled with the parameters: ``"rsi_{length}"``.
    outputs : Quantity or mapping of str to Output
        What the step returns: one value, described by the docstring's first line, or one for
        each suffix of the column name.
    state : callable(**parameters) -> mapping of str to layout
        Named fields of the state; all-zero is the initial state. A step without memory has
        none, and no ``state`` argument.
    warmup : callable(**parameters) -> int
        Bars of known inputs before the first known output.
    tail : callable(**parameters) -> Tail, optional
        How long after it an older past still shows; not at all by default, as of a window. The
        tails of its inputs are added by the catalog.
    lag : callable(**parameters) -> int, optional
        Bars between the close of the bar that a value tells of and the close at which it is known;
        0 by default.
    inputs : mapping of str to str, optional
        Argument -> column (or bar or market field) it is wired to unless the catalog says otherwise;
        a column without timeframe is that of the entry's own.
    optional : tuple of str
        Inputs that the step accepts as NaN.
    forming : bool
        The step runs at every M1 close and sees the higher bar that is forming, its newest
        minute included, in place of a closed one, and ``elapsed``: the seconds from its open
        to that close. Missing while the stream has not seen the start of a bar.
    """

    def declare(function: Step) -> Feature:
        summary = (inspect.getdoc(function) or "").partition("\n")[0].rstrip(".")
        described = {"": Output(outputs, summary)} if isinstance(outputs, Quantity) else outputs
        return Feature(
            template, function, inlined(function), described, state, warmup, tail, lag, inputs or {}, optional, forming
        )

    return declare


@dataclass(frozen=True)
class Entry:
    """A feature with its parameters and inputs fixed, on one timeframe."""

    feature: Feature
    given: Mapping[str, float | str] = field(default_factory=dict)
    timeframe: Timeframe = Timeframe.M1

    @property
    def name(self) -> str:
        """Common part of its column names, as ``m1_rsi_14``."""
        return _prefix(self.timeframe) + self._fill(self.feature.template)

    @cached_property
    def outputs(self) -> dict[str, Output]:
        """Column name -> output with its summary filled in, in column order."""
        return {
            f"{self.name}_{suffix}" if suffix else self.name: replace(output, summary=self._explain(output.summary))
            for suffix, output in self.feature.outputs.items()
        }

    @cached_property
    def inputs(self) -> dict[str, str]:
        """Argument -> bar field, market field or full column name it is wired to."""
        return {name: self._source(name) for name in self.feature.arguments if name not in self.parameters}

    @property
    def awaited(self) -> list[str]:
        """Inputs without which it is not computed."""
        return [source for name, source in self.inputs.items() if name not in self.feature.optional]

    @cached_property
    def parameters(self) -> dict[str, float]:
        """Argument -> number."""
        return {name: value for name, value in self.given.items() if not isinstance(value, str)}

    @property
    def runs_on(self) -> Timeframe:
        """Timeframe at whose closes its step runs."""
        return Timeframe.M1 if self.feature.forming else self.timeframe

    @property
    def state(self) -> Layout:
        """Layout of what it remembers; without fields when it remembers nothing."""
        return record(**self.feature.state(**self.parameters))

    @property
    def warmup(self) -> int:
        """Known values of its inputs that pass before its first output."""
        return self.feature.warmup(**self.parameters)

    @property
    def tail(self) -> Tail:
        """What an older past does after the warm-up, without that of its inputs."""
        return self.feature.tail(**self.parameters)

    @property
    def lag(self) -> int:
        """M1 bars, on a market without gaps, from the close of the bar it tells of to its being known."""
        return self.feature.lag(**self.parameters) * (self.timeframe.seconds // Timeframe.M1.seconds)

    def _source(self, argument: str) -> str:
        wire = self._fill(str(self.given.get(argument, self.feature.inputs.get(argument, argument))))
        fixed = (*BAR_FIELDS, *MARKET_FIELDS, ELAPSED)
        named = wire in fixed or wire.startswith((LEAD, *map(_prefix, Timeframe)))
        return wire if named else _prefix(self.timeframe) + wire

    def _fill(self, template: str) -> str:
        return template.format(**self.parameters)

    def _explain(self, summary: str) -> str:
        for name, value in self.parameters.items():
            summary = summary.replace(f"`{name}`", f"{value:g}")
        return summary


def _prefix(timeframe: Timeframe) -> str:
    return f"{timeframe.value.lower()}_"


def on(timeframe: Timeframe, entries: Iterable[Entry]) -> list[Entry]:
    """Compute the same features on closed bars of a higher timeframe."""
    return [replace(entry, timeframe=timeframe) for entry in entries]

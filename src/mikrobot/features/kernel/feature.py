"""The definition of a feature: a one-bar step, its state, its outputs and its warm-up.

A feature is a function ``step([state,] *inputs, *parameters) -> value(s)`` that sees one
closed bar and its own named state, nothing else. The name of an input selects its source: a bar
field, a market field (a constant of the symbol), ``lead_<column>`` for the newest row of the lead
(`mikrobot.features.library.lead`), ``book_<value>`` for the order book at the close of the bar
(`mikrobot.features.library.order_book`), or an earlier column of the catalog.

One rule covers warm-up and missing data: a step runs only when all its inputs are known (not
NaN). Otherwise its outputs are NaN and its state does not change. Optional inputs may be NaN.

A second rule covers the past: after the warm-up, bars older than the warm-up do not change a
value, except for the `Tail` that a feature declares.
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

BOOK = "book_"
"""Prefix of an input that is a value of the order book at the close of the bar, as ``book_bid``."""

ELAPSED = "elapsed"
"""Input of a forming feature: seconds from the open of the forming bar to the close of the newest M1 bar."""

Step = Callable[..., Any]
Fields = Mapping[str, Layout]


@dataclass(frozen=True, slots=True)
class Quantity:
    """The unit of a value and its closed range."""

    unit: str
    low: float = -inf
    high: float = inf


PRICE_UNITS = ("price", "price difference")
"""Units of values that scale with the price."""

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
        Description in one phrase; the name of a parameter in backticks is replaced by its value.
    missing : str
        Reason why it may be NaN after its warm-up; empty if it never is on known inputs.
    """

    quantity: Quantity
    summary: str
    missing: str = ""


FORGOTTEN = 1e-12
"""Share of a value, or of the mean size of its column, below which a change counts as none."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The influence of bars older than the warm-up on a value: its duration and its reason.

    Attributes
    ----------
    bars : float
        Bars after the first output until older bars change it by no more than `FORGOTTEN`;
        infinite where it depends on the market.
    reason : str
        Reason why older bars matter; empty without a tail.
    """

    bars: float = 0
    reason: str = ""


HELD = Tail(inf, "a level or a state remains until the market replaces it")
"""The tail of a level or a state that remains valid without a time limit."""


def fading(*shares: float) -> Tail:
    """Return the tail of one exponential average, or of several in a row.

    Each bar replaces the given share of an average. The tail is long enough for a seed of a hundred
    times the value.

    >>> fading(2 / 10).bars
    145
    """
    bars = sum(ceil(log(FORGOTTEN / 100) / log(1 - share)) for share in shares)
    return Tail(bars, "an exponential average keeps a decaying weight of all older bars")


@dataclass(frozen=True)
class Feature:
    """The definition of a feature. Calling it with parameters creates a catalog entry.

    Attributes
    ----------
    template : str
        Column name without timeframe, filled with the parameters.
    function, step : callable
        The step in Python, and compiled.
    outputs : mapping of str to Output
        By suffix of the column name, in the order returned; the suffix of a single output is "".
    state, warmup, tail, lag : callable
        Functions of the parameters; see `feature`.
    inputs : mapping of str to str
        Default sources, filled with the parameters.
    optional : tuple of str
    forming : bool
        True if it uses the forming bar; see `feature`.
    moves_with : str
        What its values follow whatever the market does; see `feature`.
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
    moves_with: str

    def __call__(self, **given: float | str) -> "Entry":
        """Create a catalog entry on M1 from parameters (numbers) and inputs (names)."""
        return Entry(self, given)

    def each(self, **given: Any) -> list["Entry"]:
        """Create one entry for each value of the first argument."""
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
        """Literature reference, from the section References of the docstring; empty without one."""
        _, _, section = (inspect.getdoc(self.function) or "").partition("References\n----------\n")
        return " ".join(section.partition("\n\n")[0].split())

    @cached_property
    def arguments(self) -> tuple[str, ...]:
        """Names of the step's arguments, without its state."""
        return tuple(name for name in inspect.signature(self.function).parameters if name != "state")

    @cached_property
    def remembers(self) -> bool:
        """True if the step has a state."""
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
    moves_with: str = "",
) -> Callable[[Step], Feature]:
    """Turn the decorated one-bar step into a feature.

    Parameters
    ----------
    template : str
        Column name without timeframe, filled with the parameters: ``"rsi_{length}"``.
    outputs : Quantity or mapping of str to Output
        Return values of the step: one value, described by the docstring's first line, or one for
        each suffix of the column name.
    state : callable(**parameters) -> mapping of str to layout
        Named fields of the state; the initial state is all zero. A step without state has no
        fields, and no ``state`` argument.
    warmup : callable(**parameters) -> int
        Bars of known inputs before the first known output.
    tail : callable(**parameters) -> Tail, optional
        Influence of older bars after the warm-up; none by default, as for a window. The catalog
        adds the tails of the inputs.
    lag : callable(**parameters) -> int, optional
        Bars between the close of the bar that a value describes and the close at which it is known;
        0 by default.
    inputs : mapping of str to str, optional
        Argument -> column, bar field or market field that it reads unless the catalog overrides it.
        A column without timeframe is on the timeframe of the entry.
    optional : tuple of str
        Inputs that may be NaN.
    forming : bool
        The step runs at every M1 close. Its bar is the forming bar of the higher timeframe, including
        the newest minute, and ``elapsed`` is the seconds from its open to that close. Outputs are
        NaN in a bar whose start the stream has not seen.
    moves_with : str
        What its values follow whatever the market does, as the calendar: a change of their distribution is then no
        drift. The price level is known by the unit of an output.
    """

    def declare(function: Step) -> Feature:
        summary = (inspect.getdoc(function) or "").partition("\n")[0].rstrip(".")
        described = {"": Output(outputs, summary)} if isinstance(outputs, Quantity) else outputs
        return Feature(
            template,
            function,
            inlined(function),
            described,
            state,
            warmup,
            tail,
            lag,
            inputs or {},
            optional,
            forming,
            moves_with,
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
        """Common prefix of its column names, as ``m1_rsi_14``."""
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
        """Argument -> bar field, market field or full column name that it reads."""
        return {name: self._source(name) for name in self.feature.arguments if name not in self.parameters}

    @property
    def awaited(self) -> list[str]:
        """Inputs that must be known for the step to run."""
        return [source for name, source in self.inputs.items() if name not in self.feature.optional]

    @cached_property
    def parameters(self) -> dict[str, float]:
        """Argument -> number."""
        return {name: value for name, value in self.given.items() if not isinstance(value, str)}

    @property
    def runs_on(self) -> Timeframe:
        """Timeframe at whose bar closes the step runs."""
        return Timeframe.M1 if self.feature.forming else self.timeframe

    @property
    def state(self) -> Layout:
        """Layout of its state; without fields if it has no state."""
        return record(**self.feature.state(**self.parameters))

    @property
    def warmup(self) -> int:
        """Number of known inputs before its first output."""
        return self.feature.warmup(**self.parameters)

    @property
    def tail(self) -> Tail:
        """Tail of the feature itself, without the tails of its inputs."""
        return self.feature.tail(**self.parameters)

    @property
    def lag(self) -> int:
        """M1 bars, on a market without gaps, from the close of the described bar until the value is known."""
        return self.feature.lag(**self.parameters) * (self.timeframe.seconds // Timeframe.M1.seconds)

    def _source(self, argument: str) -> str:
        wire = self._fill(str(self.given.get(argument, self.feature.inputs.get(argument, argument))))
        fixed = (*BAR_FIELDS, *MARKET_FIELDS, ELAPSED)
        named = wire in fixed or wire.startswith((LEAD, BOOK, *map(_prefix, Timeframe)))
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
    """Return the same entries on a higher timeframe."""
    return [replace(entry, timeframe=timeframe) for entry in entries]

"""From a catalog of features to one step: columns, state layout, source and version.

The catalog writes the composed step as Python source, one line for each entry, which
`compilation` turns into machine code. Nothing here computes a value.
"""

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from math import ceil, isinf
from types import CodeType, FunctionType
from typing import Any

from mikrobot.domain.market import Timeframe
from mikrobot.features import bars, timeframe
from mikrobot.features.bars import BAR, BAR_FIELDS, MARKET, MARKET_FIELDS, MAY_BE_UNKNOWN, MINUTE, SEEN
from mikrobot.features.feature import Entry, Feature, Output
from mikrobot.features.parts import F8, Layout, record


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """What is promised of one column of the feature matrix.

    Attributes
    ----------
    name : str
        ``<timeframe>_<feature>_<parameters>``.
    timeframe : Timeframe
        Whose closed bars it is made from; it is known at the close of such a bar and holds
        until the next one closes.
    unit : str
    low, high : float
        Closed range of its values.
    warmup : int
        M1 bars without a value, at most, before its first one on known inputs; exact on M1.
    settled : float
        M1 bars after which an older past changes it by no more than `feature.FORGOTTEN`: the
        warm-up of a window, more of an average, infinite where only the market decides when.
    tail : str
        What keeps the older past from the warm-up to `settled`; empty when nothing does.
    summary : str
        What it is, in one phrase.
    may_be_missing : str
        Why it may be NaN after its warm-up; empty when it never is.
    """

    name: str
    timeframe: Timeframe
    unit: str
    low: float
    high: float
    warmup: int
    settled: float
    tail: str
    summary: str
    may_be_missing: str


class Catalog:
    """An ordered list of entries: the columns, the state and the step they imply.

    Parameters
    ----------
    *entries : Entry
        In the order of the columns. Higher timeframes are computed first, so that M1 features
        may read them.

    Raises
    ------
    ValueError
        If an entry needs a column which none before it makes, or makes one a second time.
    """

    def __init__(self, *entries: Entry) -> None:
        self.entries = entries
        self._check()

    @cached_property
    def outputs(self) -> dict[str, Output]:
        """Column name -> output, in column order."""
        return {name: output for entry in self.entries for name, output in entry.outputs.items()}

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Column names of a feature row, in order."""
        return tuple(self.outputs)

    @cached_property
    def specs(self) -> tuple[ColumnSpec, ...]:
        """What is promised of each column, in column order."""
        known, settled, tails = self._known_after(), self._settled_after(), self._tails()
        return tuple(
            ColumnSpec(
                name=name,
                timeframe=entry.timeframe,
                unit=output.quantity.unit,
                low=output.quantity.low,
                high=output.quantity.high,
                warmup=int(known[name]),
                settled=settled[name],
                tail=tails[name],
                summary=output.summary,
                may_be_missing=output.missing,
            )
            for entry in self.entries
            for name, output in entry.outputs.items()
        )

    @cached_property
    def version(self) -> str:
        """Twelve hex digits that change when anything that decides a value does.

        Hashed are the composed source, the layout of the state, and every function the step
        reaches, without comments, docstrings and declarations.
        """
        roots: list[Any] = [entry.feature.function for entry in self.entries]
        roots += [bars.fault, bars.count, timeframe.overdue, timeframe.merge]
        found: dict[str, str] = {}
        for root in roots:
            _gather(root, found)
        parts = [self.source, str(self.state), *(f"{name}={text}" for name, text in sorted(found.items()))]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    @cached_property
    def row(self) -> Layout:
        """Layout of a feature row: one float64 for each column."""
        return record(**dict.fromkeys(self.columns, F8))

    @cached_property
    def state(self) -> Layout:
        """Layout of all that one symbol remembers: market, bar, row, counts, forming bars, each feature's state."""
        forming = {_lower(t): timeframe.FORMING for t in self._higher}
        remembered = {entry.name: entry.state for entry in self.entries if entry.feature.remembers}
        return record(market=MARKET, bar=BAR, row=self.row, seen=SEEN, **forming, **remembered)

    @cached_property
    def source(self) -> str:
        """The composed step as Python source."""
        used = {_alias(entry.feature): entry.feature for entry in self.entries}
        imports = [f"from {used[alias].module} import {used[alias].name} as {alias}" for alias in used]
        lines = [_HEADER, *imports, "", *(f"{alias} = {alias}.step" for alias in used), ""]
        lines += [self._pass(t) for t in (*self._higher, Timeframe.M1)]
        merges = "".join(_MERGE.format(name=_lower(t), seconds=t.seconds) for t in self._higher)
        return "\n".join([*lines, _ENTRY_POINTS.format(merges=merges)])

    @cached_property
    def _higher(self) -> tuple[Timeframe, ...]:
        used = {entry.timeframe for entry in self.entries} - {Timeframe.M1}
        return tuple(sorted(used, key=lambda t: -t.seconds))

    def _check(self) -> None:
        known = {*BAR_FIELDS, *MARKET_FIELDS}
        for entry in _as_computed(self.entries):
            if missing := set(entry.inputs.values()) - known:
                raise ValueError(f"{entry.name} needs {', '.join(sorted(missing))}, which no earlier entry makes")
            if twice := known & entry.outputs.keys():
                raise ValueError(f"{entry.name} makes {', '.join(sorted(twice))} a second time")
            known |= entry.outputs.keys()

    def _known_after(self) -> dict[str, float]:
        """Column -> M1 bars before its first value, through all that it depends on."""
        return self._through_inputs(lambda entry: entry.warmup, lambda entry: entry.awaited)

    def _settled_after(self) -> dict[str, float]:
        """Column -> M1 bars until it has forgotten what was before them, through all that it depends on."""
        return self._through_inputs(lambda entry: entry.warmup + entry.tail.bars, lambda entry: entry.inputs.values())

    def _through_inputs(
        self, own_bars: Callable[[Entry], float], inputs: Callable[[Entry], Iterable[str]]
    ) -> dict[str, float]:
        """Add the bars that an entry needs to the most that one of its inputs needs; in M1 bars.

        A stream that joins a higher bar just after its start loses that whole bar.
        """
        own: dict[tuple[Timeframe, str], float] = {}
        passed: dict[str, float] = {}
        for entry in _as_computed(self.entries):
            minutes = entry.timeframe.seconds // MINUTE
            before = [own.get((entry.timeframe, name), _whole(passed.get(name, 0) / minutes)) for name in inputs(entry)]
            bars_needed = max(before, default=0) + own_bars(entry)
            for name in entry.outputs:
                own[entry.timeframe, name] = bars_needed
                passed[name] = bars_needed if minutes == 1 else (bars_needed + 2) * minutes - 2
        return passed

    def _tails(self) -> dict[str, str]:
        """Column -> why an older past shows in it: its own reason, then those of its inputs."""
        found: dict[str, str] = {}
        for entry in _as_computed(self.entries):
            reasons = [entry.tail.reason, *(found.get(column, "") for column in entry.inputs.values())]
            said = "; ".join(dict.fromkeys(part for reason in reasons for part in reason.split("; ") if part))
            found |= dict.fromkeys(entry.outputs, said)
        return found

    def _pass(self, of: Timeframe) -> str:
        calls = [_call(entry) for entry in self.entries if entry.timeframe is of]
        return "\n".join([f"\n@compiled\ndef {_lower(of)}(state, bar, row):", *(calls or ["    pass"]), ""])


_HEADER = '''"""Composed by mikrobot.features.composition: do not edit."""
from math import nan
from numba import njit
from mikrobot.features.bars import GOOD, NO_SYMBOL, count, fault
from mikrobot.features.parts import compiled
from mikrobot.features.timeframe import merge, overdue'''

_MERGE = """    if overdue(state.{name}, bar.time, {seconds}):
        {name}(state, state.{name}.bar, row)
    if merge(state.{name}, bar, {seconds}):
        {name}(state, state.{name}.bar, row)
"""

_ENTRY_POINTS = '''
@compiled
def step(state):
    bar, row = state.bar, state.row
    count(state.seen, bar)
{merges}    m1(state, bar, row)


@njit(cache=True)
def update(states, symbol, time, open, high, low, close, volume, spread, trades, taker_volume):
    """Fold one bar in and answer GOOD, or leave the state alone and answer its fault."""
    if not 0 <= symbol < len(states):
        return NO_SYMBOL
    state = states[symbol]
    bar = state.bar
    found = fault(bar.time, time, open, high, low, close, volume, spread, trades, taker_volume)
    if found == GOOD:
        bar.time, bar.open, bar.high, bar.low, bar.close = time, open, high, low, close
        bar.volume, bar.spread, bar.trades, bar.taker_volume = volume, spread, trades, taker_volume
        step(state)
    return found


@njit(cache=True)
def fold(states, symbol, bars, rows):
    """Fold all bars in and answer (len(bars), GOOD), or none and answer (index, fault) of the first bad one."""
    state = states[symbol]
    previous = state.bar.time
    for i in range(len(bars)):
        bar = bars[i]
        found = fault(
            previous, bar.time, bar.open, bar.high, bar.low, bar.close,
            bar.volume, bar.spread, bar.trades, bar.taker_volume,
        )
        if found != GOOD:
            return i, found
        previous = bar.time
    for i in range(len(bars)):
        state.bar = bars[i]
        step(state)
        rows[i] = state.row
    return len(bars), GOOD
'''


def _as_computed(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: -entry.timeframe.seconds)


def _whole(bars: float) -> float:
    return bars if isinf(bars) else ceil(bars)


def _lower(of: Timeframe) -> str:
    return of.value.lower()


def _alias(feature: Feature) -> str:
    """Name a step so that neither another module's step nor the composed source's own names meet it."""
    return f"{feature.module.rpartition('.')[2]}_{feature.name}"


def _call(entry: Entry) -> str:
    """Write an entry's call, guarded against unknown inputs."""
    wires = {argument: _wire(source) for argument, source in entry.inputs.items()}
    arguments = [wires.get(name) or repr(entry.parameters[name]) for name in entry.feature.arguments]
    if entry.feature.remembers:
        arguments.insert(0, f"state.{entry.name}")
    targets = [f"row.{name}" for name in entry.outputs]
    call = f"{', '.join(targets)} = {_alias(entry.feature)}({', '.join(arguments)})"
    guarded = {
        wires[argument]: None
        for argument, source in entry.inputs.items()
        if _may_be_unknown(source) and argument not in entry.feature.optional
    }
    if not guarded:
        return f"    {call}"
    known = " and ".join(f"{wire} == {wire}" for wire in guarded)
    return f"    if {known}:\n        {call}\n    else:\n        {' = '.join(targets)} = nan"


def _wire(source: str) -> str:
    if source in MARKET_FIELDS:
        return f"state.market.{source}"
    return f"bar.{source}" if source in BAR_FIELDS else f"row.{source}"


def _may_be_unknown(source: str) -> bool:
    return source in MAY_BE_UNKNOWN or source not in BAR_FIELDS + MARKET_FIELDS


def _gather(value: Any, found: dict[str, str]) -> None:
    """Add the source of a function, and of all functions and numbers it reaches by name."""
    function = getattr(value, "py_func", value)
    if not isinstance(function, FunctionType):
        return
    name = f"{function.__module__}.{function.__qualname__}"
    if name in found:
        return
    found[name] = _definition(function)
    for reached in sorted(_names(function.__code__)):
        target = function.__globals__.get(reached)
        if isinstance(target, int | float | str):
            found[f"{function.__module__}.{reached}"] = repr(target)
        else:
            _gather(target, found)


def _names(code: CodeType) -> set[str]:
    nested = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*map(_names, nested))


def _definition(function: FunctionType) -> str:
    """Source of a function without comments, decorators and docstring."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.decorator_list = []
    if ast.get_docstring(definition) is not None:
        definition.body = definition.body[1:]
    return ast.unparse(definition)

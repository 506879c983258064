"""Python source of the composed step: one call for each entry of a catalog, and the entry points.

`mikrobot.features.kernel.compilation` compiles it. The entries and their states come from
`mikrobot.features.kernel.composition`.
"""

import re
from collections.abc import Sequence, Set

from mikrobot.domain.market import Timeframe
from mikrobot.domain.order_books import BOOK_FIELDS
from mikrobot.features.kernel.bars import BAR_FIELDS, LEAD_HOLDS, MARKET_FIELDS, MAY_BE_UNKNOWN
from mikrobot.features.kernel.feature import BOOK, ELAPSED, LEAD, Entry, Feature


def lower(of: Timeframe) -> str:
    """Return the name of a timeframe in the source and of its forming bar in the state."""
    return of.value.lower()


def compose(entries: Sequence[Entry], higher: Sequence[Timeframe], lead_columns: Sequence[str]) -> str:
    """Return the source of the composed step.

    Parameters
    ----------
    entries : sequence of Entry
        In column order.
    higher : sequence of Timeframe
        Timeframes in use above M1, the highest first.
    lead_columns : sequence of str
        Columns of the lead that entries read.
    """
    used = {_alias(entry.feature): entry.feature for entry in entries}
    imports = [f"from {used[alias].module} import {used[alias].name} as {alias}" for alias in used]
    lines = [_HEADER, *imports, "", *(f"{alias} = {alias}.step" for alias in used), ""]
    lines += [_pass(entries, t) for t in (*higher, Timeframe.M1)]
    names = [{"name": lower(t), "seconds": t.seconds} for t in higher]
    points = _ENTRY_POINTS.format(
        merges="".join(_MERGE.format(**name) for name in names),
        settles="".join(_SETTLE.format(**name) for name in names),
        follows="".join(f"    lead.{name} = of.row.{name}\n" for name in lead_columns),
        forgets="".join(f"    lead.{name} = nan\n" for name in lead_columns),
        closes="".join(f"    book.{name} = nan\n" for name in BOOK_FIELDS),
        lead_holds=LEAD_HOLDS,
    )
    return "\n".join([*lines, points])


def without_places(source: str, entries: Sequence[Entry]) -> str:
    """Return composed source without module names, so that it does not change if a step moves."""
    text = "\n".join(line for line in source.splitlines() if not line.startswith(("from ", '"""')))
    for number, alias in enumerate(dict.fromkeys(_alias(entry.feature) for entry in entries)):
        text = re.sub(rf"\b{alias}\b", f"step_{number}", text)
    return text


def _pass(entries: Sequence[Entry], of: Timeframe) -> str:
    """Return the function that computes all entries of one timeframe.

    Its own results are local variables, so that the compiler can reuse a value for all its readers.
    Values of other timeframes are read from the row.
    """
    here = [entry for entry in entries if entry.runs_on is of]
    bar = "state.bar" if of is Timeframe.M1 else f"state.{lower(of)}.bar"
    lines = [f"\n@compiled\ndef {lower(of)}(state):", f"    bar, row = {bar}, state.row"]
    lines += [f"    {name} = bar.{name}" for name in BAR_FIELDS]
    computed: set[str] = set()
    for entry in here:
        lines += [_call(entry, computed), *(f"    row.{name} = {name}" for name in entry.outputs)]
        computed |= entry.outputs.keys()
    return "\n".join([*lines, ""])


_HEADER = '''"""Composed by mikrobot.features.kernel.composition: do not edit."""
from math import nan
from numba import njit
from mikrobot.features.kernel.bars import GOOD, NO_SYMBOL, count, fault
from mikrobot.features.kernel.parts import compiled
from mikrobot.features.kernel.timeframe import merge, overdue'''

_MERGE = """    if merge(state.{name}, bar, {seconds}):
        {name}(state)
"""

_SETTLE = """    if overdue(state.{name}, time, {seconds}):
        {name}(state)
"""

_ENTRY_POINTS = '''
@compiled
def follow(lead, of):
    lead.time = of.bar.time
{follows}

@compiled
def forget(lead):
    lead.time = 0
{forgets}

@compiled
def unknown(book):
    book.time = 0
{closes}

@compiled
def settle(state, time):
    pass
{settles}

@compiled
def step(state):
    bar = state.bar
    count(state.seen, bar)
    if bar.time - state.lead.time > {lead_holds}:
        forget(state.lead)
    if state.book.time != bar.time:
        unknown(state.book)
    settle(state, bar.time)
{merges}    m1(state)


@compiled
def check(state, bars):
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
    return len(bars), GOOD


@compiled
def take(state, bars, leads, books, i):
    state.bar = bars[i]
    if i < len(leads) and leads[i].time > 0:
        state.lead = leads[i]
    if i < len(books):
        state.book = books[i]
    step(state)


@njit(cache=True, error_model="numpy")
def update(memory, symbol, lead, time, open, high, low, close, volume, spread, trades, taker_volume):
    """Fold one bar in and answer GOOD, or leave the state alone and answer its fault.

    The states come as bytes: of an array of numbers numba knows the type at once, at every call.
    """
    states = memory.view(STATE)
    if not 0 <= symbol < len(states):
        return NO_SYMBOL
    state = states[symbol]
    bar = state.bar
    found = fault(bar.time, time, open, high, low, close, volume, spread, trades, taker_volume)
    if found == GOOD:
        bar.time, bar.open, bar.high, bar.low, bar.close = time, open, high, low, close
        bar.volume, bar.spread, bar.trades, bar.taker_volume = volume, spread, trades, taker_volume
        if lead >= 0 and 0 < states[lead].bar.time <= time:
            follow(state.lead, states[lead])
        step(state)
    return found


@njit(cache=True, error_model="numpy")
def fold(states, symbol, bars, leads, books, seconds, times, rows):
    """Fold all bars in, and give the row and time of every close of a bar of so many seconds.

    Answer (the number of rows, GOOD); or fold none and answer (index, fault) of the first bad bar.
    """
    state = states[symbol]
    checked, found = check(state, bars)
    if found != GOOD:
        return checked, found
    n = 0
    for i in range(len(bars)):
        last, time = state.bar.time, bars[i].time
        close = last - last % seconds + seconds
        if last > 0 and last + 60 < close <= time:
            settle(state, close)
            times[n], rows[n] = close, state.row
            n += 1
        take(state, bars, leads, books, i)
        if (time + 60) % seconds == 0:
            times[n], rows[n] = time + 60, state.row
            n += 1
    return n, GOOD
'''


def _alias(feature: Feature) -> str:
    """Return a name for a step that is unique among all steps and the names of the composed source."""
    return f"{feature.module.rpartition('.')[2]}_{feature.name}"


def _call(entry: Entry, computed: Set[str]) -> str:
    """Return the call of an entry, guarded against unknown inputs."""
    wires = {argument: _wire(entry, source, computed) for argument, source in entry.inputs.items()}
    arguments = [wires.get(name) or repr(entry.parameters[name]) for name in entry.feature.arguments]
    if entry.feature.remembers:
        arguments.insert(0, f"state.{entry.name}")
    targets = list(entry.outputs)
    call = f"{', '.join(targets)} = {_alias(entry.feature)}({', '.join(arguments)})"
    guarded = {
        wires[argument]: None
        for argument, source in entry.inputs.items()
        if _may_be_unknown(source) and argument not in entry.feature.optional
    }
    conditions = [f"{wire} == {wire}" for wire in guarded]
    if entry.feature.forming:
        conditions.insert(0, f"state.{lower(entry.timeframe)}.whole == 1")
    if not conditions:
        return f"    {call}"
    return f"    if {' and '.join(conditions)}:\n        {call}\n    else:\n        {' = '.join(targets)} = nan"


def _wire(entry: Entry, source: str, computed: Set[str]) -> str:
    """Return the expression for an input of an entry; `computed` columns are local variables."""
    forming = f"state.{lower(entry.timeframe)}"
    if source == ELAPSED:
        return f"{forming}.{ELAPSED}"
    if source in MARKET_FIELDS:
        return f"state.market.{source}"
    if source in BAR_FIELDS:
        return f"{forming}.bar.{source}" if entry.feature.forming else source
    if source.startswith(LEAD):
        return f"state.lead.{source.removeprefix(LEAD)}"
    if source.startswith(BOOK):
        return f"state.book.{source.removeprefix(BOOK)}"
    return source if source in computed else f"row.{source}"


def _may_be_unknown(source: str) -> bool:
    return source in MAY_BE_UNKNOWN or source not in (*BAR_FIELDS, *MARKET_FIELDS, ELAPSED)

"""The catalog: columns, their specifications, the state layout and the version of a list of features.

The source of the composed step is written by `source` and compiled by `compilation`. Computes no
feature value.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from math import ceil, isinf
from typing import Any

from mikrobot.domain.market import Timeframe
from mikrobot.domain.order_books import BOOK_FIELDS
from mikrobot.features.kernel import bars, timeframe
from mikrobot.features.kernel.bars import BAR, BAR_FIELDS, MARKET, MARKET_FIELDS, MINUTE, SEEN
from mikrobot.features.kernel.feature import BOOK, ELAPSED, LEAD, PRICE_UNITS, Entry, Output
from mikrobot.features.kernel.fingerprints import fingerprint
from mikrobot.features.kernel.parts import F8, I8, Layout, record
from mikrobot.features.kernel.source import compose, lower, without_places


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """Specification of one column of the feature matrix.

    Attributes
    ----------
    name : str
        ``<timeframe>_<feature>_<parameters>``.
    timeframe : Timeframe
        Timeframe of the bars that the column is computed from. A value from closed bars changes at
        the close of such a bar; a value from the forming bar changes every minute.
    unit : str
    low, high : float
        Closed range of its values.
    warmup : int
        Maximum number of M1 bars before the first value on known inputs; exact on M1.
    settled : float
        M1 bars after which older bars change the value by no more than `feature.FORGOTTEN`: the
        warm-up for a window, more for an average, infinite where it depends on the market.
    tail : str
        Reason why older bars matter after the warm-up; empty if they do not.
    lag : int
        Minutes from the close of the bar that the value describes until it is known: 0 for the
        closing bar, more for a swing, which later bars confirm. A row never waits for it.
    summary : str
        Description in one phrase.
    may_be_missing : str
        Reason why it may be NaN after its warm-up; empty if it never is.
    reference : str
        Paper, book or page that defines it; empty if the docstring of the step does.
    moves_with : str
        What its values follow whatever the market does: the price level, the calendar, a sum that starts again each
        day; empty if a change of their distribution is drift.
    """

    name: str
    timeframe: Timeframe
    unit: str
    low: float
    high: float
    warmup: int
    settled: float
    tail: str
    lag: int
    summary: str
    may_be_missing: str
    reference: str
    moves_with: str


class Catalog:
    """An ordered list of entries, with the columns, the state and the step that follow from it.

    Parameters
    ----------
    *entries : Entry
        In column order. Higher timeframes are computed first, so that M1 features can read them.

    Raises
    ------
    ValueError
        If an entry needs a column that no earlier entry computes, or computes one a second time; if
        an entry on a higher timeframe reads the lead or the order book, or an entry on M1 uses a forming bar.
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
        """Specification of each column, in column order."""
        warmups, settled, tails = self._warmups(), self._settled_after(), self._tails()
        return tuple(
            ColumnSpec(
                name=name,
                timeframe=entry.timeframe,
                unit=output.quantity.unit,
                low=output.quantity.low,
                high=output.quantity.high,
                warmup=int(warmups[name]),
                settled=settled[name],
                tail=tails[name],
                lag=entry.lag,
                summary=output.summary,
                may_be_missing=output.missing,
                reference=entry.feature.reference,
                moves_with="the price level" if output.quantity.unit in PRICE_UNITS else entry.feature.moves_with,
            )
            for entry in self.entries
            for name, output in entry.outputs.items()
        )

    @cached_property
    def version(self) -> str:
        """Twelve hex digits that change with every change that can change a value.

        A hash of the composed source, the layout of the state, and the source of every function that
        the step calls, without comments, docstrings, declarations and module names.
        """
        roots: list[Any] = [entry.feature.function for entry in self.entries]
        roots += [bars.fault, bars.count, timeframe.overdue, timeframe.merge]
        parts = [without_places(self.source, self.entries), str(self.state), *map(fingerprint, roots)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    @cached_property
    def row(self) -> Layout:
        """Layout of a feature row: one float64 for each column."""
        return record(**dict.fromkeys(self.columns, F8))

    @cached_property
    def lead_columns(self) -> tuple[str, ...]:
        """Columns of the lead that features read, each once."""
        wires = (wire for entry in self.entries for wire in entry.inputs.values() if wire.startswith(LEAD))
        return tuple(dict.fromkeys(wire.removeprefix(LEAD) for wire in wires))

    @cached_property
    def lead(self) -> Layout:
        """Layout of the values of the lead: the open of its newest bar, and the columns that features read."""
        return record(time=I8, **dict.fromkeys(self.lead_columns, F8))

    @cached_property
    def state(self) -> Layout:
        """Layout of the state of a symbol: constants, newest bar, row, lead and book, forming bars, feature states."""
        forming = {lower(t): timeframe.FORMING for t in self._higher}
        remembered = {entry.name: entry.state for entry in self.entries if entry.feature.remembers}
        return record(
            market=MARKET, bar=BAR, row=self.row, seen=SEEN, lead=self.lead, book=bars.BOOK, **forming, **remembered
        )

    @cached_property
    def source(self) -> str:
        """The composed step as Python source."""
        return compose(self.entries, self._higher, self.lead_columns)

    @cached_property
    def _higher(self) -> tuple[Timeframe, ...]:
        used = {entry.timeframe for entry in self.entries} - {Timeframe.M1}
        return tuple(sorted(used, key=lambda t: -t.seconds))

    def _check(self) -> None:
        available = {*BAR_FIELDS, *MARKET_FIELDS, *(LEAD + name for name in self.outputs)}
        available |= {BOOK + name for name in BOOK_FIELDS}
        for entry in _as_computed(self.entries):
            _check_place(entry)
            if missing := set(entry.inputs.values()) - available - {ELAPSED}:
                raise ValueError(f"{entry.name} needs {', '.join(sorted(missing))}, which no earlier entry computes")
            if twice := available & entry.outputs.keys():
                raise ValueError(f"{entry.name} computes {', '.join(sorted(twice))} a second time")
            available |= entry.outputs.keys()

    def _warmups(self) -> dict[str, float]:
        """Column -> M1 bars before its first value, including the warm-up of its inputs."""
        return self._through_inputs(lambda entry: entry.warmup, lambda entry: entry.awaited)

    def _settled_after(self) -> dict[str, float]:
        """Column -> M1 bars after which older bars no longer matter, including its inputs."""
        return self._through_inputs(lambda entry: entry.warmup + entry.tail.bars, lambda entry: entry.inputs.values())

    def _through_inputs(
        self, own_bars: Callable[[Entry], float], inputs: Callable[[Entry], Iterable[str]]
    ) -> dict[str, float]:
        """Add the bars that an entry needs to the maximum over its inputs; in M1 bars.

        A stream that starts just after the open of a higher bar loses that whole bar.
        """
        own: dict[tuple[Timeframe, str], float] = {}
        passed: dict[str, float] = {}
        for entry in _as_computed(self.entries):
            minutes = entry.runs_on.seconds // MINUTE
            before = [own.get((entry.runs_on, name), _whole(passed.get(name, 0) / minutes)) for name in inputs(entry)]
            bars_needed = max(before, default=0) + own_bars(entry)
            for name in entry.outputs:
                own[entry.runs_on, name] = bars_needed
                passed[name] = bars_needed if minutes == 1 else (bars_needed + 2) * minutes - 2
        return passed

    def _tails(self) -> dict[str, str]:
        """Column -> why older bars matter: its own reason, then those of its inputs."""
        tails: dict[str, str] = {}
        for entry in _as_computed(self.entries):
            reasons = [entry.tail.reason, *(tails.get(column, "") for column in entry.inputs.values())]
            joined = "; ".join(dict.fromkeys(part for reason in reasons for part in reason.split("; ") if part))
            tails |= dict.fromkeys(entry.outputs, joined)
        return tails


def _check_place(entry: Entry) -> None:
    """Refuse an entry whose inputs do not exist on its timeframe."""
    on_m1 = entry.timeframe is Timeframe.M1
    for prefix, source in ((LEAD, "lead"), (BOOK, "order book")):
        if not on_m1 and any(wire.startswith(prefix) for wire in entry.inputs.values()):
            raise ValueError(f"{entry.name} reads the {source}, which is available on M1 only")
    if on_m1 and entry.feature.forming:
        raise ValueError(f"{entry.name} uses a forming bar, but M1 bars are always closed")
    if ELAPSED in entry.inputs.values() and not entry.feature.forming:
        raise ValueError(f"{entry.name} needs {ELAPSED}, which only a forming bar has")


def _as_computed(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: -entry.runs_on.seconds)


def _whole(bars: float) -> float:
    return bars if isinf(bars) else ceil(bars)

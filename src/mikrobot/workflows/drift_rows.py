"""The feature rows and probabilities that the drift verdict of a symbol compares, and its stored references."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from mikrobot.domain.errors import DataError
from mikrobot.domain.market import Timeframe, close_times
from mikrobot.features.catalog import CATALOG
from mikrobot.models.model import Model
from mikrobot.monitoring import stored_reference
from mikrobot.monitoring.drift_reference import (
    LEAST_WINDOWS,
    VOLATILITY,
    DriftReference,
    make_reference,
    windows,
)
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.drift_history import DriftHistory, Judged
from mikrobot.store.feast import offline

SAMPLED_MINUTES = 5
"""Minutes between the compared closes: rows of adjacent minutes are nearly equal."""

LONGEST_REFERENCE = timedelta(days=365)
"""The newest part of the training span that is compared with."""

WINDOWS = (timedelta(days=7), timedelta(days=1))
"""Lengths of the windows. The first is used from `OF_LAST` whole windows after the reference on; until then, days."""

COMPARED = tuple(spec.name for spec in CATALOG.specs if not spec.moves_with)
"""Columns that do not move by construction."""

PROBABILITIES = ("probability_up", "probability_down")
"""Columns of the served probabilities of a row."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a symbol from the beginning of its reference to the present.

    Attributes
    ----------
    since, until : datetime
        Span of the reference, UTC.
    frame : DataFrame
        ``close_time``, the columns `COMPARED` and `PROBABILITIES`; in order of time.
    end : datetime
        Close of the newest row.
    """

    since: datetime
    until: datetime
    frame: pd.DataFrame
    end: datetime


def read(settings: Settings, bars: BarStore, judged: Judged, model: Model, *, end: datetime) -> Rows:
    """Read the rows of the training span of a model and of all that came after it.

    Parameters
    ----------
    model : Model
        What answers for the symbol: a registered version, or its baseline.
    end : datetime
        Close of the last row at the latest, UTC; that of the training span, if it is later: the reference of a version
        does not depend on the run for which it is compared first.

    Raises
    ------
    DataError
        If no bar is stored in that span.
    StoreError
        If the symbol has no stored rows.
    """
    spec, scope = model.spec, judged.scope
    until, end = spec.trained_until, max(end, spec.trained_until)
    since = max(spec.trained_from, until - LONGEST_REFERENCE)
    closes = close_times(bars.range(scope.source, scope.symbol, Timeframe.M1, since, end=end))
    chosen = closes[(closes.dt.minute % SAMPLED_MINUTES == 0) & (closes <= pd.Timestamp(end))]
    if not len(chosen):
        raise DataError(f"no bar of {scope} is stored from {since:%Y-%m-%d} to {end:%Y-%m-%d}")
    events = pd.DataFrame({"source": scope.source, "symbol": scope.symbol, "event_timestamp": chosen})
    wanted = list(dict.fromkeys([*COMPARED, *spec.columns]))
    rows = offline.training_rows(settings, events.reset_index(drop=True), wanted)
    frame = rows[list(COMPARED)].astype("float32")
    frame.insert(0, "close_time", rows["event_timestamp"])
    frame[list(PROBABILITIES)] = model.predict(rows[list(spec.columns)].to_numpy("float64"))
    stored = frame[VOLATILITY].notna()  # the newest closes of a live market have no offline row yet
    frame = frame[stored].reset_index(drop=True)
    return Rows(since, until, frame, frame["close_time"].iloc[-1].to_pydatetime() if len(frame) else since)


def references(history: DriftHistory, judged: Judged, rows: Rows) -> tuple[DriftReference, DriftReference]:
    """Return the references of the features and of the probabilities; made once, then stored with the version.

    Their windows are weeks if the reference has enough of them and as many have passed since as a verdict needs,
    otherwise days.

    Raises
    ------
    DataError
        If the reference has too few windows of either length.
    """
    window = window_of(rows)
    days = window / timedelta(days=1)
    stored = history.reference(judged, days)
    if stored is None:
        stored = {
            "features": stored_reference.to_json(_made(rows, COMPARED, window)),
            "predictions": stored_reference.to_json(_made(rows, PROBABILITIES, window)),
        }
        history.keep_reference(judged, days, stored)
    return stored_reference.from_json(stored["features"]), stored_reference.from_json(stored["predictions"])


def window_of(rows: Rows) -> timedelta:
    """Return the length of the windows.

    Raises
    ------
    DataError
        If the reference is too short for either.
    """
    from mikrobot.monitoring.drift_verdict import OF_LAST

    *longer, shortest = WINDOWS
    for window in longer:
        passed = (rows.end - rows.until) // window
        if passed >= OF_LAST and _count(rows, window) >= LEAST_WINDOWS:
            return window
    if (count := _count(rows, shortest)) < LEAST_WINDOWS:
        raise DataError(
            f"the training span from {rows.since:%Y-%m-%d} to {rows.until:%Y-%m-%d} has {count} whole days of rows, "
            f"{LEAST_WINDOWS} are needed"
        )
    return shortest


def _count(rows: Rows, window: timedelta) -> int:
    return sum(1 for _ in windows(rows.frame, rows.since, rows.until, window))


def _made(rows: Rows, columns: tuple[str, ...], window: timedelta) -> DriftReference:
    return make_reference(rows.frame, columns, rows.since, rows.until, window=window)

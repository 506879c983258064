"""Compute feature rows from stored bars: the batch path of the features.

Runs the same compiled step as the streamer, checks the rows with the given gate, appends them to the
offline store, and saves the feature state as a snapshot, from which the streamer continues. Writes the
newest row to the online store, unless the streamer of the source runs: the online rows belong to it, and it
may be at an earlier minute. Does not fetch bars and does not choose the suites.
"""

from dataclasses import dataclass
from datetime import datetime

from mikrobot.domain.errors import GateError, StoreError
from mikrobot.domain.market import Timeframe
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.live.session import streams
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.books import BookSamples
from mikrobot.store.feast import offline
from mikrobot.store.feast.online import FeatureRows
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Runs
from mikrobot.store.states import FeatureStates
from mikrobot.workflows.gate_counts import Check


@dataclass(frozen=True, slots=True)
class Materialized:
    """Result of a materialisation for one symbol.

    Attributes
    ----------
    symbol : str
    rows, quarantined : int
        Number of feature rows written to the offline store, and of rows kept out of it.
    newest : datetime or None
        Close of the newest row, UTC; None if no row closes after `since`.
    """

    symbol: str
    rows: int
    quarantined: int
    newest: datetime | None


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores that a materialisation reads and writes, besides the offline store.

    Attributes
    ----------
    bars : BarStore
    states : FeatureStates
    rows : FeatureRows
    runs : Runs
    books : BookSamples
    """

    bars: BarStore
    states: FeatureStates
    rows: FeatureRows
    runs: Runs
    books: BookSamples

    @classmethod
    def of(cls, settings: Settings, pool: Pool) -> "Stores":
        """Return the stores of one state folder."""
        return cls(BarStore(pool), FeatureStates(pool), FeatureRows(settings), Runs(pool), BookSamples(pool))


def materialize(
    settings: Settings,
    stores: Stores,
    source: str,
    symbol: str,
    *,
    start: datetime,
    end: datetime,
    check: Check,
    since: datetime | None = None,
    lead: str | None = None,
) -> Materialized:
    """Compute and store the feature rows of bars that open in [start, end).

    Parameters
    ----------
    check : callable
        The gate; it takes the frame (symbol, close_time, every catalog column).
    since : datetime or None
        Write only rows that close later; the features warm up on the bars before.
    lead : str or None
        Symbol whose stored bars lead this one; must be the lead that the streamer uses, else batch and
        stream differ.

    Raises
    ------
    StoreError
        If no bars are stored for this span.
    GateError
        If the gate fails; then neither the offline nor the online store has changed.
    """
    frame = stores.bars.range(source, symbol, Timeframe.M1, start, end=end)
    if frame.empty:
        raise StoreError(
            f"no {symbol} bars of source {source} are stored from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}: "
            "ingest them first"
        )
    led_by = None
    if lead is not None:
        led_by = FeaturePipeline([lead]).lead_rows(lead, stores.bars.range(source, lead, Timeframe.M1, start, end=end))
    pipeline = FeaturePipeline([symbol])
    features = pipeline.frame(symbol, frame, led_by, books=stores.books.range(source, symbol, start, end=end))
    if since is not None:
        features = features[features["close_time"] > since]
    if features.empty:
        return Materialized(symbol, 0, 0, None)
    checked = check(features)
    quarantined = stores.bars.quarantine(source, symbol, "features", checked.bad, reasons=checked.reasons.tolist())
    if not checked.passed:
        raise GateError(
            f"{symbol}: {len(checked.bad)} of {len(features)} feature rows break the suite "
            f"({', '.join(checked.failed)}); see the quarantine table, nothing was materialised"
        )
    offline.append(settings, source, checked.good)
    last = checked.good.tail(1)
    newest = last["close_time"].iloc[0].to_pydatetime()
    if not streams(stores.runs, source):
        stores.rows.write(source, symbol, newest, last[list(CATALOG.columns)].to_numpy()[0])
    last_close = features["close_time"].iloc[-1].to_pydatetime()
    stores.states.save(source, symbol, CATALOG.version, last_close, snapshot=pipeline.snapshot(symbol))
    return Materialized(symbol, len(checked.good), quarantined, newest)

"""Benchmark of one signal, end to end: from a closed bar to the durable ledger.

The streamer's part runs here, the worker is the real process, and the prediction service the real
one; they meet in PostgreSQL as they do in a run.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pandas as pd

from benchmarks.champion import BARS, FEWEST, SOURCE, SYMBOL, serve_champion
from benchmarks.features import WINDOW, simulated_bars, talib_on
from benchmarks.serving import pyfunc
from benchmarks.stores import durable_insert
from benchmarks.temporary_stack import serving, temporary_database
from benchmarks.timing import Measurement, Timed, compared, scaled
from mikrobot.domain.market import Bar, bars_of
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.live import pid_records, wiring
from mikrobot.live.session import record_of
from mikrobot.live.streamer import Streamer
from mikrobot.models.model import Model
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.stack import processes, service_table
from mikrobot.store.bars import BarStore
from mikrobot.store.feast.config import SERVICE, TIMESTAMP, VIEW, open_feature_store
from mikrobot.store.feast.online import FeatureRows
from mikrobot.store.postgres import database
from mikrobot.store.postgres.database import Pool
from mikrobot.store.postgres.roles import OWNER
from mikrobot.store.runs import Runs, Segment
from mikrobot.store.states import FeatureStates
from mikrobot.telemetry import Timers

ROUNDS = 300
"""Minutes that are traded and count."""


def measure(scale: float = 1.0) -> Iterator[Measurement]:
    """Time one minute of one symbol through both live processes."""
    learned, rounds = scaled(BARS, scale, least=FEWEST), scaled(ROUNDS, scale)
    bars = simulated_bars(SYMBOL, learned + rounds + 1)
    with (
        temporary_database() as settings,
        serving(settings),
        database.open_pool(settings) as pool,
        database.open_pool(settings, OWNER) as owner,
    ):
        pipeline = FeaturePipeline([SYMBOL])
        rows = pipeline.frame(SYMBOL, bars.head(learned))
        model = serve_champion(settings, bars.head(learned), rows)
        traded = iter(bars_of(SYMBOL, bars.iloc[learned:]))
        peer = Timed("the frameworks' own calls, in process", _front_doors(settings, model, bars, rows, owner=owner))
        with _trading(settings, pool, pipeline, _segment(bars, learned)) as streamer:
            yield compared(
                "signal, from a closed bar to the ledger", "ms",
                lambda: _publish(streamer, next(traded)),
                peer, limit=_bare(model, rows, owner), rounds=rounds,
            )  # fmt: skip


def _segment(bars: pd.DataFrame, learned: int) -> Segment:
    first, start, last = (time.to_pydatetime() for time in bars["open_time"].iloc[[0, learned, -1]])
    return Segment((SYMBOL,), first, start, last + timedelta(minutes=1))


@contextmanager
def _trading(settings: Settings, pool: Pool, pipeline: FeaturePipeline, segment: Segment) -> Iterator[Streamer]:
    """Run a worker process on a segment, and give its streamer: that is this process, and nobody supervises the two."""
    clock = SystemClock()
    source = wiring.open_source(settings, clock)
    run = record_of("bench", settings, source, (segment,), started_at=clock.now())
    Runs(pool).begin(run)
    worker, streamer = service_table.live_processes(settings, run.id, 0)
    pid_records.record(streamer.name, settings.home, os.getpid())
    processes.start(worker, settings.home, settings.host)
    stores = BarStore(pool), FeatureRows(settings), FeatureStates(pool), Runs(pool)
    try:
        yield Streamer(run, segment, source, pipeline, *stores, clock, Timers(), settings.home)
    finally:
        processes.stop(worker.name, settings.home)
        pid_records.forget(streamer.name, settings.home)


def _publish(streamer: Streamer, bar: Bar) -> None:
    """Publish a bar; returns once the worker has committed what it made of it."""
    streamer.publish(bar.close_time, [bar])


def _front_doors(
    settings: Settings, model: Model, bars: pd.DataFrame, rows: pd.DataFrame, *, owner: Pool
) -> Callable[[], None]:
    """Do the same by TA-Lib, by the calls that Feast and MLflow put first, and by one INSERT."""
    feast = open_feature_store(settings)
    service, entity = feast.get_feature_service(SERVICE), [{"source": SOURCE, "symbol": "GBPUSD"}]
    row = rows.tail(1).assign(source=SOURCE, symbol="GBPUSD")[["source", "symbol", TIMESTAMP, *CATALOG.columns]]
    indicators = talib_on(bars.head(WINDOW))
    predict = pyfunc(settings, model, rows[list(model.spec.columns)].to_numpy()[-1:])
    insert = durable_insert(owner)

    def call() -> None:
        indicators()
        feast.write_to_online_store(VIEW, row)
        feast.get_online_features(service, entity).to_dict()
        predict.call()
        insert.call()

    return call


def _bare(model: Model, rows: pd.DataFrame, owner: Pool) -> Timed:
    values, insert = rows[list(model.spec.columns)].to_numpy()[-1:], durable_insert(owner)
    return Timed("the bare model and one durable INSERT", lambda: (model.predict(values), insert.call()))

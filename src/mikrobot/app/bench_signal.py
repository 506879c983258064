"""Benchmark of one signal, end to end: from a closed bar to the durable ledger.

The streamer's part runs here, the worker is the real process, and the prediction service the real
one; they meet in PostgreSQL as they do in a run.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pandas as pd

from mikrobot.app import processes, stack, wiring
from mikrobot.app.bench_features import WINDOW, simulated_bars, talib_on
from mikrobot.app.bench_serving import pyfunc, train_champion
from mikrobot.app.bench_stack import await_champion, serving, temporary_database
from mikrobot.app.bench_stores import durable_insert
from mikrobot.app.session import Segment
from mikrobot.app.streamer import Streamer
from mikrobot.app.timing import Measurement, Timed, compared
from mikrobot.domain.market import Bar, bars_of
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.models.model import Model
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.store import database
from mikrobot.store.bars import BarStore
from mikrobot.store.database import Pool
from mikrobot.store.feature_store import SERVICE, TIMESTAMP, VIEW, open_feature_store
from mikrobot.store.online import FeatureRows
from mikrobot.store.runs import Run, Runs
from mikrobot.store.states import FeatureStates
from mikrobot.telemetry import Timers

LEARNED = 20_000
"""Bars that the model has learned from, before those that are traded."""

ROUNDS = 300

_SOURCE, _SYMBOL = "simulated", "EURUSD"


def measure() -> Iterator[Measurement]:
    """Time one minute of one symbol through both live processes."""
    bars = simulated_bars(_SYMBOL, LEARNED + ROUNDS + 1)
    with temporary_database() as settings, serving(settings), database.open_pool(settings) as pool:
        pipeline = FeaturePipeline([_SYMBOL])
        rows = pipeline.frame(_SYMBOL, bars.head(LEARNED))
        model = train_champion(settings, bars.head(LEARNED), rows)
        await_champion(settings)
        traded = iter(bars_of(_SYMBOL, bars.iloc[LEARNED:]))
        peer = Timed("the frameworks' own calls, in process", _front_doors(settings, model, bars, rows, pool))
        with _trading(settings, pool, pipeline, bars) as streamer:
            yield compared(
                "signal, from a closed bar to the ledger", "ms",
                lambda: _publish(streamer, next(traded)),
                peer, _bare(model, rows, pool), rounds=ROUNDS,
            )  # fmt: skip


@contextmanager
def _trading(settings: Settings, pool: Pool, pipeline: FeaturePipeline, bars: pd.DataFrame) -> Iterator[Streamer]:
    """Run a worker process on the bars that are not learned from, and give its streamer."""
    first, start, last = (time.to_pydatetime() for time in bars["open_time"].iloc[[0, LEARNED, -1]])
    segment = Segment((_SYMBOL,), first, start, last + timedelta(minutes=1))
    run = Run("bench", _SOURCE, True, (_SYMBOL,), start, last, start, {"segments": [segment.to_json()]})
    Runs(pool).begin(run)
    worker, _ = stack.live_processes(settings, run.id, 0)
    processes.start(worker, settings.home, settings.host)
    clock = SystemClock()
    stores = BarStore(pool), FeatureRows(settings), FeatureStates(pool), Runs(pool)
    try:
        yield Streamer(run, segment, wiring.open_source(settings, clock), pipeline, *stores, clock, Timers())
    finally:
        processes.stop(worker.name, settings.home)


def _publish(streamer: Streamer, bar: Bar) -> None:
    """Publish a bar; returns once the worker has committed what it made of it."""
    streamer.publish(bar.close_time, [bar])


def _front_doors(
    settings: Settings, model: Model, bars: pd.DataFrame, rows: pd.DataFrame, pool: Pool
) -> Callable[[], None]:
    """Do the same by TA-Lib, by the calls that Feast and MLflow put first, and by one INSERT."""
    feast = open_feature_store(settings)
    service, entity = feast.get_feature_service(SERVICE), [{"source": _SOURCE, "symbol": "GBPUSD"}]
    row = rows.tail(1).assign(source=_SOURCE, symbol="GBPUSD")[["source", "symbol", TIMESTAMP, *CATALOG.columns]]
    indicators = talib_on(bars.head(WINDOW))
    predict = pyfunc(settings, model, rows[list(model.contract.columns)].to_numpy()[-1:])
    insert = durable_insert(pool)

    def call() -> None:
        indicators()
        feast.write_to_online_store(VIEW, row)
        feast.get_online_features(service, entity).to_dict()
        predict.call()
        insert.call()

    return call


def _bare(model: Model, rows: pd.DataFrame, pool: Pool) -> Timed:
    values, insert = rows[list(model.contract.columns)].to_numpy()[-1:], durable_insert(pool)
    return Timed("the bare model and one durable INSERT", lambda: (model.predict(values), insert.call()))

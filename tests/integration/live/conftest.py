"""A streamer and a worker on real stores, which a test hands the bars of a symbol."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from feature_repo.applying import apply
from mikrobot import telemetry
from mikrobot.domain.market import Bar, Timeframe
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.live import pid_records
from mikrobot.live.accounts import venue_of
from mikrobot.live.forecasts import Forecasts
from mikrobot.live.halt_watch import HaltWatch
from mikrobot.live.opening_books import OpeningBooks
from mikrobot.live.streamer import Streamer
from mikrobot.live.worker import AccountRun, Worker, trader_of
from mikrobot.runtime import ManualClock
from mikrobot.serving.answers import Answer
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.books import BookSamples
from mikrobot.store.feast.online import FeatureRows
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run, Runs, Segment
from mikrobot.store.states import FeatureStates

SOURCE, SYMBOL = "replay", "EURUSD"
HISTORY = 600


@dataclass
class SureService:
    """A prediction service that gives every break a high probability, with a model for given features."""

    feature_hash: str = CATALOG.version

    def columns(self, symbol: str, refresh: bool = False) -> Sequence[str]:
        return ("m1_rsi_14", "m1_atr_14")

    def predict(self, symbol: str, inputs: dict[str, float]) -> Answer:
        learned = (SOURCE, symbol, (symbol,), self.feature_hash, datetime(2020, 1, 1, tzinfo=UTC))
        return Answer("bos", "1", "1", *learned, 5, 0.99, 0.01)

    def shadow(self, symbol: str, row: dict[str, float]) -> None:
        return None

    def ready(self) -> bool:
        return True


@dataclass
class Pair:
    """A streamer and a worker on real stores."""

    streamer: Streamer
    worker: Worker

    def trade(self, bars: Sequence[Bar]) -> None:
        """Process the bars minute by minute, as the two processes do."""
        runs, run = self.streamer.runs, self.streamer.run
        with ThreadPoolExecutor(1) as executor:
            for bar in bars:
                published = executor.submit(self.streamer.publish, bar.close_time, [bar])
                assert runs.wait(run.id, "streamer", bar.open_time, timeout_s=30) == bar.close_time
                self.worker.handle(bar.open_time, bar.close_time)
                published.result(timeout=30)


@pytest.fixture
def history(bars: Any) -> pd.DataFrame:
    return bars(HISTORY + 60).assign(spread=1e-6)  # cheap enough that every break is traded


@pytest.fixture
def pair(database: Settings, pool: Pool, history: pd.DataFrame) -> Iterator[Any]:
    """Return a function that creates a streamer on a pipeline, and its worker."""
    apply(database)
    first, last = history["open_time"].iloc[[HISTORY, -1]].dt.to_pydatetime()
    segment = Segment((SYMBOL,), history["open_time"].iloc[0].to_pydatetime(), first, last)
    run = Run("r1", SOURCE, False, (SYMBOL,), first, last, first, {"segments": [segment.to_json()]})
    runs, ledger, bars, rows, clock = Runs(pool), Ledger(pool), BarStore(pool), FeatureRows(database), ManualClock(last)
    runs.begin(run)

    def make(pipeline: FeaturePipeline, reached: datetime = first, **used: Any) -> Pair:
        settings = database.model_copy(update={"entry_probability": 0.5, **used})
        pipeline.compute(SYMBOL, history.head(HISTORY))
        timers = telemetry.Timers()
        source: Any = SimpleNamespace(live=False)  # the bars are handed to the streamer
        stores = (bars, rows, FeatureStates(pool), runs)
        streamer = Streamer(run, segment, source, pipeline, *stores, clock, timers, settings.home)
        bars.upsert(SOURCE, SYMBOL, Timeframe.M1, history.head(HISTORY))
        streamer.quality.restore(SYMBOL, segment, reached, states=streamer.states, bars=bars)
        service: Any = SureService()
        trader = trader_of(run, venue_of(run, settings, ledger, bars, at=reached), settings, ledger)
        accounts = (AccountRun(run, settings, trader, reached),)
        halts = HaltWatch.begun(pool, run, segment, clock, reached=reached)
        books = OpeningBooks(run.source, segment.symbols, BookSamples(pool))
        forecasts = Forecasts(run, settings, bars, rows, service, timers, clock)
        worker = Worker(segment, settings, bars, forecasts, ledger, runs, timers, accounts, clock, halts, books)
        return Pair(streamer, worker)

    pid_records.record("worker", database.home, os.getpid())  # a minute that takes long is waited for
    yield make
    pid_records.forget("worker", database.home)

"""A feature row that fails the catalog's checks is kept out of inference, and its reason is in the ledger."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from feature_repo.applying import apply
from mikrobot import telemetry
from mikrobot.domain.market import Bar, Timeframe, bars_of
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.features.row_check import STILL
from mikrobot.live.accounts import venue_of
from mikrobot.live.published_bars import DIFFERS
from mikrobot.live.streamer import Streamer
from mikrobot.live.worker import AccountRun, Worker, trader_of
from mikrobot.runtime import ManualClock
from mikrobot.serving.answers import Answer
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
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


class DefectivePipeline(FeaturePipeline):
    """A pipeline that returns one wrong value at one close."""

    def __init__(self, at: datetime, column: str, value: float) -> None:
        super().__init__([SYMBOL])
        self.at, self.number, self.value = at, self.columns.index(column), value

    def update(self, bar: Bar) -> NDArray[np.float64]:
        values = super().update(bar)
        if bar.close_time == self.at:
            values[self.number] = self.value
        return values


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
    settings = database.model_copy(update={"entry_probability": 0.5})
    runs, ledger, bars, rows, clock = Runs(pool), Ledger(pool), BarStore(pool), FeatureRows(database), ManualClock(last)
    runs.begin(run)

    def make(pipeline: FeaturePipeline) -> Pair:
        pipeline.compute(SYMBOL, history.head(HISTORY))
        timers = telemetry.Timers()
        source: Any = None  # the bars are handed to the streamer
        stores = (bars, rows, FeatureStates(pool), runs)
        streamer = Streamer(run, segment, source, pipeline, *stores, clock, timers, settings.home)
        service: Any = SureService()
        trader = trader_of(run, venue_of(run, settings, ledger, bars, at=first), settings)
        accounts = (AccountRun(run, settings, trader, first),)
        worker = Worker(segment, settings, bars, rows, service, ledger, runs, timers, accounts, clock)
        return Pair(streamer, worker)

    return make


def test_a_bar_that_differs_from_the_stored_one_is_a_revision_and_its_row_is_not_traded(pair, history):
    minutes = bars_of(SYMBOL, history.iloc[HISTORY : HISTORY + 3])
    stored = replace(minutes[1], close=minutes[1].open)
    both = pair(FeaturePipeline([SYMBOL]))
    bars = both.streamer.bars
    bars.append(SOURCE, stored)
    both.trade(minutes)
    start, end = minutes[0].open_time, minutes[2].close_time
    assert bars_of(SYMBOL, bars.range(SOURCE, SYMBOL, Timeframe.M1, start, end=end)) == [minutes[0], stored, minutes[2]]
    assert [(skip.close_time, skip.reason) for skip in both.worker.ledger.skips("r1")] == [
        (stored.close_time, f"the feature row was flagged: {DIFFERS}")
    ]
    (revision,) = bars.versions.revisions(SOURCE, [SYMBOL], start, end=end)
    assert (revision.bar, revision.reason) == (minutes[1], DIFFERS)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("m1_rsi_14", 140.0, "m1_rsi_14 is 140, expected it finite and within [0, 100]"),
        ("m1_return_1", float("-inf"), "m1_return_1 is -inf, expected it finite and within [-inf, inf]"),
        ("m1_ema_9", float("nan"), f"m1_ema_9 is missing after {HISTORY + 2} bars, expected it known after 8"),
    ],
)
def test_a_flagged_row_is_skipped_with_its_reason_and_nothing_is_opened(pair, history, column, value, reason):
    minutes = bars_of(SYMBOL, history.iloc[HISTORY : HISTORY + 3])
    defective = minutes[1].close_time
    both = pair(DefectivePipeline(defective, column, value))
    both.trade(minutes)
    streamer, ledger = both.streamer, both.worker.ledger
    assert [(skip.close_time, skip.reason) for skip in ledger.skips("r1")] == [
        (defective, f"the feature row was flagged: {reason}")
    ]
    assert [record.close_time for record in ledger.decisions("r1")] == [minutes[0].close_time, minutes[2].close_time]
    assert all(record.close_time != defective for record in ledger.predictions("r1"))
    assert all(order.submitted_at != defective for order in ledger.orders("r1"))
    kept = streamer.bars.quarantined(SOURCE, SYMBOL, "live rows")
    assert kept["reason"].tolist() == [reason]
    assert kept["at"].tolist() == [defective]
    assert set(CATALOG.columns) < set(kept["row"].iloc[0])
    assert streamer.rows.latest(SOURCE, SYMBOL) == minutes[2].close_time


def test_a_feed_that_repeats_its_last_price_is_skipped_until_it_moves(pair, history):
    minutes = bars_of(SYMBOL, history.iloc[HISTORY : HISTORY + STILL + 3])
    price = minutes[0].close
    stuck = [replace(bar, open=price, high=price, low=price, close=price) for bar in minutes[1:-1]]
    both = pair(FeaturePipeline([SYMBOL]))
    both.trade([minutes[0], *stuck, minutes[-1]])
    skips = both.worker.ledger.skips("r1")
    assert [skip.close_time for skip in skips] == [bar.close_time for bar in stuck[STILL - 1 :]]
    assert f"not moved for {STILL} bars" in skips[0].reason
    assert len(both.worker.ledger.decisions("r1")) == 1 + STILL - 1 + 1


def test_an_answer_of_a_model_made_for_other_features_is_no_reason_to_trade(pair, history):
    both = pair(FeaturePipeline([SYMBOL]))
    both.worker.predictions = SureService("000000000000")
    both.trade(bars_of(SYMBOL, history.iloc[HISTORY : HISTORY + 1]))
    (skip,) = both.worker.ledger.skips("r1")
    assert skip.reason == f"model bos v1 was made for features 000000000000, these are {CATALOG.version}; train again"
    assert both.worker.ledger.counts("r1")["decisions"] == 0


def test_a_sound_market_is_never_flagged_and_is_traded(pair, history):
    both = pair(FeaturePipeline([SYMBOL]))
    both.trade(bars_of(SYMBOL, history.iloc[HISTORY:]))
    counts = both.worker.ledger.counts("r1")
    assert (counts["decisions"], counts["skips"]) == (60, 0)
    assert counts["orders"] > 0

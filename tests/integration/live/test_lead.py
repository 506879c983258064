"""A follower streamed with its lead, materialised with it, and resumed: the same rows bit for bit."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from mikrobot import telemetry
from mikrobot.domain.market import Timeframe
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.live.streamer import Streamer
from mikrobot.market.replay import ReplaySource
from mikrobot.market.simulated import SimulatedSource
from mikrobot.runtime import ManualClock
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.books import BookSamples
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run, Runs, Segment
from mikrobot.store.states import FeatureStates
from mikrobot.workflows.materialize import Stores, materialize

FOLLOWER, LEAD = "ETHUSDT", "BTCUSDT"
HISTORY_FROM = datetime(2025, 3, 10, tzinfo=UTC)
FROM, UNTIL = HISTORY_FROM + timedelta(hours=30), HISTORY_FROM + timedelta(hours=33)


class Killed(Exception):
    """Raised to end a streamer in the middle of a minute."""


@dataclass
class Published:
    """A fake online store that keeps every row, and can kill the streamer at a chosen row."""

    rows: dict[str, dict[datetime, NDArray[np.float64]]] = field(default_factory=lambda: {FOLLOWER: {}, LEAD: {}})
    killed_at: datetime | None = None

    def write(self, source: str, symbol: str, close_time: datetime, values: NDArray[np.float64]) -> None:
        if close_time == self.killed_at:
            self.killed_at = None
            raise Killed
        self.rows[symbol][close_time] = values.copy()

    def rewind(self, source: str, symbols: Any) -> None:
        pass


@pytest.fixture
def market(tmp_path) -> dict[str, pd.DataFrame]:
    """Write files of a follower, which is first by file name, and of its lead, with gaps in both."""
    source = SimulatedSource((FOLLOWER, LEAD), 7, ManualClock(UNTIL))
    bars = {}
    for seed, symbol in enumerate(source.symbols()):
        frame = source.history(symbol, HISTORY_FROM, UNTIL)
        frame = frame[np.random.default_rng(seed).random(len(frame)) > 0.1].reset_index(drop=True)
        names = {"open_time": "ts", "taker_volume": "taker_buy_volume"}
        frame.rename(columns=names).to_parquet(tmp_path / f"{seed}_{symbol}_M1.parquet", index=False)
        bars[symbol] = frame
    return bars


@pytest.fixture
def expected(market) -> pd.DataFrame:
    """Return the rows of the follower over all bars, computed in batch."""
    lead = FeaturePipeline([LEAD]).lead_rows(LEAD, market[LEAD])
    return FeaturePipeline([FOLLOWER]).frame(FOLLOWER, market[FOLLOWER], lead)


@pytest.fixture
def start(database: Settings, pool: Pool, market, tmp_path):
    """Return a function that creates a streamer of one run as a new process would; its history is materialised."""
    segment = Segment((FOLLOWER, LEAD), HISTORY_FROM, FROM, UNTIL)
    run = Run("r1", "replay", False, segment.symbols, FROM, UNTIL, UNTIL, {"segments": [segment.to_json()]})
    bars, states, runs, clock = BarStore(pool), FeatureStates(pool), Runs(pool), ManualClock(UNTIL)
    published: Any = Published()
    for symbol, frame in market.items():
        bars.upsert("replay", symbol, Timeframe.M1, frame[frame["open_time"] < FROM])
    for symbol, lead in ((FOLLOWER, LEAD), (LEAD, None)):
        stores = Stores(bars, states, published, runs, BookSamples(pool))
        materialize(database, stores, "replay", symbol, start=HISTORY_FROM, end=FROM, check=passing, lead=lead)
    runs.begin(run)
    runs.advance(run.id, "worker", UNTIL)

    def make() -> Streamer:
        source = ReplaySource([tmp_path])
        timers = telemetry.Timers()
        pipeline = FeaturePipeline(segment.symbols)
        stores = (bars, published, states, runs)
        return Streamer(run, segment, source, pipeline, *stores, clock, timers, database.home)

    return make


def passing(frame: pd.DataFrame) -> Any:
    """Accept every row."""
    return SimpleNamespace(good=frame, bad=frame.iloc[:0], reasons=pd.Series(dtype=str), passed=True, failed=())


def assert_rows(published: Any, expected: pd.DataFrame) -> None:
    live = expected[expected["close_time"] > FROM].set_index("close_time")
    rows = {time: values for time, values in published.rows[FOLLOWER].items() if time > FROM}
    assert list(rows) == list(live.index)
    streamed, whole = np.array(list(rows.values())), live[list(CATALOG.columns)].to_numpy()
    same = streamed.view(np.int64) == whole.view(np.int64)
    assert [CATALOG.columns[i] for i in np.flatnonzero(~same.all(axis=0))] == []
    assert live["m1_lead_return_1"].notna().mean() > 0.9


def test_rows_streamed_with_the_lead_equal_those_of_batch(start, expected):
    streamer = start()
    streamer.stream()
    assert_rows(streamer.rows, expected)


@pytest.mark.parametrize("minutes", [2, 61, 100])
def test_a_streamer_killed_between_a_lead_and_its_follower_resumes_with_the_same_rows(start, expected, minutes):
    closes = expected["close_time"][expected["close_time"] > FROM].reset_index(drop=True)
    streamer = start()
    streamer.rows.killed_at = closes[minutes].to_pydatetime()
    with pytest.raises(Killed):
        streamer.stream()
    start().stream()
    assert_rows(streamer.rows, expected)

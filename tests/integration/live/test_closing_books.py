"""Order books published with the bars: the same feature rows in stream and batch bit for bit, also after a crash."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mikrobot import telemetry
from mikrobot.domain.market import Timeframe
from mikrobot.domain.order_books import ClosingBook
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.live.closing_books import ClosingBooks
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
from mikrobot.workflows import materialize as materializing
from mikrobot.workflows.materialize import Stores, materialize

SOURCE, SYMBOL = "binance-local", "BTCUSDT"
FROM = datetime(2025, 3, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MINUTES = 30
BOOK_COLUMNS = [name for name in CATALOG.columns if name.startswith("m1_book_")]


class Killed(Exception):
    """Raised to end a streamer in the middle of a minute."""


@dataclass
class Published:
    """A fake online store that keeps every row, and can kill the streamer at a chosen row."""

    rows: dict[datetime, np.ndarray] = field(default_factory=dict)
    killed_at: datetime | None = None

    def write(self, source: str, symbol: str, close_time: datetime, values: np.ndarray) -> None:
        if close_time == self.killed_at:
            raise Killed
        self.rows[close_time] = values.copy()

    def rewind(self, source: str, symbols: Any) -> None:
        pass


class Books:
    """A fake venue whose books differ each time they are asked for; every third is lost."""

    def __init__(self) -> None:
        self.asked = 0

    def at_close(self, close_time: datetime, symbols: Any) -> dict[str, ClosingBook]:
        self.asked += 1
        if self.asked % 3 == 0:
            return {symbol: ClosingBook(symbol, close_time, "lost", "no snapshot") for symbol in symbols}
        bids = tuple((100 - number / 7, self.asked + number / 3) for number in range(12))
        asks = tuple((101 + number / 7, self.asked + number / 9) for number in range(7))
        return {symbol: ClosingBook(symbol, close_time, "live", "", bids, asks) for symbol in symbols}

    def status(self) -> list[Any]:
        return []

    def close(self) -> None:
        pass


@pytest.fixture
def start(database: Settings, pool: Pool, tmp_path):
    """Return a function that creates a streamer of one run as a new process would, on bars of a file."""
    until = FROM + MINUTES * MINUTE
    frame = SimulatedSource((SYMBOL,), 7, ManualClock(until)).history(SYMBOL, FROM, until)
    names = {"open_time": "ts", "taker_volume": "taker_buy_volume"}
    frame.rename(columns=names).to_parquet(tmp_path / f"{SYMBOL}_M1.parquet", index=False)
    segment = Segment((SYMBOL,), FROM, FROM, until)
    run = Run("r1", SOURCE, True, (SYMBOL,), FROM, until, FROM, {"segments": [segment.to_json()]})
    bars, runs, venue = BarStore(pool), Runs(pool), Books()
    published: Any = Published()
    runs.begin(run)
    runs.advance(run.id, "worker", until)

    def make() -> Streamer:
        pipeline, books = FeaturePipeline((SYMBOL,)), ClosingBooks(run, BookSamples(pool), ManualClock(FROM), venue)
        stores = (bars, published, FeatureStates(pool), runs)
        clock, timers = ManualClock(until), telemetry.Timers()
        source = ReplaySource([tmp_path])
        return Streamer(run, segment, source, pipeline, *stores, clock, timers, database.home, None, books)

    return make


def offline(database, pool, monkeypatch):
    """Return the rows that a materialisation computes from the stored bars and books."""
    kept: list[pd.DataFrame] = []

    def check(frame: pd.DataFrame) -> Any:
        kept.append(frame)
        return SimpleNamespace(good=frame, bad=frame.iloc[:0], reasons=pd.Series(dtype=str), passed=True, failed=())

    monkeypatch.setattr(materializing.offline, "append", lambda *given: None)
    stores = Stores(BarStore(pool), FeatureStates(pool), Published(), Runs(pool), BookSamples(pool))
    materialize(database, stores, SOURCE, SYMBOL, start=FROM, end=FROM + MINUTES * MINUTE, check=check)
    return kept[0].set_index("close_time")[list(CATALOG.columns)]


@pytest.mark.parametrize("killed", [None, 7, 20])
def test_rows_with_books_are_the_same_in_stream_and_batch_also_after_a_crash(
    killed, start, database, pool, monkeypatch
):
    streamer = start()
    if killed is not None:
        streamer.rows.killed_at = FROM + killed * MINUTE
        with pytest.raises(Killed):
            streamer.stream()
        streamer = start()
        streamer.rows.killed_at = None
    streamer.stream()
    rows = offline(database, pool, monkeypatch)
    online = np.array(list(streamer.rows.rows.values()))
    assert list(streamer.rows.rows) == list(rows.index)
    same = online.view(np.int64) == rows.to_numpy().view(np.int64)
    assert [CATALOG.columns[number] for number in np.flatnonzero(~same.all(axis=0))] == []
    assert 0.5 < rows["m1_book_bid"].notna().mean() < 0.8
    assert rows["m1_book_depth_10_ask"].isna().all()
    assert rows["m1_book_depth_10_bid"].notna().any()
    stored = BarStore(pool).range(SOURCE, SYMBOL, Timeframe.M1, FROM, end=FROM + MINUTES * MINUTE)
    assert len(stored) == len(BookSamples(pool).closing(SOURCE, [SYMBOL], FROM, until=FROM + MINUTES * MINUTE))


def test_minutes_of_the_past_have_no_books(start, database, pool, monkeypatch):
    streamer = start()
    streamer.books.clock.time = FROM + 90 * MINUTE
    streamer.stream()
    assert offline(database, pool, monkeypatch)[BOOK_COLUMNS].isna().all(axis=None)


def test_without_books_nothing_is_stored_and_their_columns_are_missing(start, database, pool, monkeypatch):
    streamer = start()
    streamer.books.live = None
    streamer.stream()
    assert offline(database, pool, monkeypatch)[BOOK_COLUMNS].isna().all(axis=None)
    assert BookSamples(pool).closing(SOURCE, [SYMBOL], FROM, until=FROM + MINUTES * MINUTE) == {}

"""The books of the minutes before a replay's hours: those of its recordings, and none of an earlier replay."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mikrobot.domain.market import Bar
from mikrobot.domain.order_books import ClosingBook
from mikrobot.market.recorded_minutes import line_of
from mikrobot.runtime import ManualClock
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.books import BookSamples
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run, Segment
from mikrobot.workflows.recorded_history import keep_books
from tests.recorded_session import write_session

MINUTE = timedelta(minutes=1)
START = datetime(2025, 3, 4, 12, tzinfo=UTC)
HOURS_FROM, UNTIL = START + 10 * MINUTE, START + 20 * MINUTE
CLOCK = ManualClock(UNTIL)


def bar(close: datetime) -> Bar:
    return Bar("BTCUSDT", close - MINUTE, 100.0, 102.0, 98.0, 101.0, volume=3.0)


def book(close: datetime, price: float) -> ClosingBook:
    return ClosingBook("BTCUSDT", close, "live", "", ((price, 1.0),), ((price + 1, 2.0),))


@pytest.fixture
def replay():
    segment = Segment(("BTCUSDT",), START, HOURS_FROM, UNTIL)
    return Run("r1", "replay", False, segment.symbols, HOURS_FROM, UNTIL, UNTIL, {"segments": [segment.to_json()]})


def recording(folder: Path, price: float, minutes: range) -> Settings:
    closes = [START + number * MINUTE for number in minutes]
    write_session(folder, [line_of(at, [bar(at)], {"BTCUSDT": book(at, price)}, []) for at in closes])
    return Settings(source="replay", data=(folder,))


def test_the_books_before_the_hours_are_those_of_the_recording_and_replace_earlier_ones(pool: Pool, replay, tmp_path):
    samples, whole = BookSamples(pool), (START, UNTIL)
    first = recording(tmp_path / "first", 99.0, range(1, 21))
    assert keep_books(first, pool, replay, "BTCUSDT", span=whole, clock=CLOCK) == 10
    later = bar(HOURS_FROM + MINUTE)
    BarStore(pool).append("replay", later, book=book(later.close_time, 77.0))
    second = recording(tmp_path / "second", 88.0, range(5, 21))
    assert keep_books(second, pool, replay, "BTCUSDT", span=whole, clock=CLOCK) == 6
    kept = samples.closing("replay", ["BTCUSDT"], START, until=UNTIL)
    expected = [book(START + number * MINUTE, 88.0) for number in range(5, 11)]
    assert list(kept.values()) == [*expected, book(later.close_time, 77.0)]
    assert keep_books(second.model_copy(update={"books": False}), pool, replay, "BTCUSDT", span=whole, clock=CLOCK) == 0
    assert list(samples.closing("replay", ["BTCUSDT"], START, until=UNTIL)) == [("BTCUSDT", later.close_time)]


def test_the_books_of_a_live_source_stay(pool: Pool, tmp_path, replay):
    live = replace(replay, source="binance-local")
    closed = bar(START + MINUTE)
    BarStore(pool).append("binance-local", closed, book=book(closed.close_time, 77.0))
    settings = recording(tmp_path / "recorded", 99.0, range(1, 5)).model_copy(update={"source": "binance-local"})
    assert keep_books(settings, pool, live, "BTCUSDT", span=(START, UNTIL), clock=CLOCK) == 0
    assert len(BookSamples(pool).closing("binance-local", ["BTCUSDT"], START, until=UNTIL)) == 1

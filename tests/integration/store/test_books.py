"""Order books at closes on the bundled PostgreSQL, in the transaction of their bars."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from mikrobot.domain.errors import StoreError
from mikrobot.domain.market import Bar, Timeframe
from mikrobot.domain.order_books import BOOK_FIELDS, ClosingBook
from mikrobot.store.bars import BarStore
from mikrobot.store.books import BookSamples

OPEN = datetime(2025, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SOURCE = "binance-local"


@pytest.fixture
def bars(pool):
    return BarStore(pool)


@pytest.fixture
def books(pool):
    return BookSamples(pool)


def bar(minute=0, symbol="BTCUSDT", close=100.0):
    return Bar(symbol, OPEN + minute * MINUTE, 100.0, 102.0, 98.0, close, volume=3.0)


def live(minute=0, symbol="BTCUSDT", levels=12):
    bids = tuple((99.7 - number / 7, 0.1 + number / 3) for number in range(levels))
    asks = tuple((100.3 + number / 7, 0.3 + number / 3) for number in range(levels))
    return ClosingBook(symbol, OPEN + (minute + 1) * MINUTE, "live", "", bids, asks)


def lost(minute=0):
    return ClosingBook("BTCUSDT", OPEN + (minute + 1) * MINUTE, "lost", "changes are missing between 7 and 9")


def test_a_book_comes_back_bit_for_bit(bars, books):
    kept = [live(0), lost(1), live(2, levels=3)]
    for number, book in enumerate(kept):
        assert bars.append(SOURCE, bar(number), book=book)
    read = books.closing(SOURCE, ["BTCUSDT"], OPEN, until=OPEN + 3 * MINUTE)
    assert read == {("BTCUSDT", book.close_time): book for book in kept}
    frame = books.range(SOURCE, "BTCUSDT", OPEN, end=OPEN + 3 * MINUTE)
    assert list(frame.columns) == ["open_time", *BOOK_FIELDS]
    assert frame["open_time"].tolist() == [pd.Timestamp(OPEN), pd.Timestamp(OPEN + 2 * MINUTE)]
    assert frame["open_time"].dtype == "datetime64[us, UTC]"
    rows = [tuple(row) for row in frame[list(BOOK_FIELDS)].to_numpy().tolist()]
    assert rows[0] == kept[0].values
    assert [value for value in rows[1] if not math.isnan(value)] == [
        value for value in kept[2].values if not math.isnan(value)
    ]


def test_a_span_without_books_is_an_empty_frame(bars, books):
    bars.append(SOURCE, bar())
    frame = books.range(SOURCE, "BTCUSDT", OPEN, end=OPEN + MINUTE)
    assert frame.empty
    assert frame.dtypes.tolist()[1:] == ["float64"] * len(BOOK_FIELDS)
    assert books.closing(SOURCE, ["BTCUSDT"], OPEN, until=OPEN + MINUTE) == {}


def test_a_stored_book_is_never_changed(bars, books):
    bars.append(SOURCE, bar(), book=live())
    assert bars.append(SOURCE, bar(), book=lost())
    assert books.closing(SOURCE, ["BTCUSDT"], OPEN, until=OPEN + MINUTE)["BTCUSDT", OPEN + MINUTE] == live()


def test_a_bar_that_was_stored_before_gets_its_book(bars, books):
    bars.append(SOURCE, bar())
    assert bars.append(SOURCE, bar(), book=live())
    assert len(books.closing(SOURCE, ["BTCUSDT"], OPEN, until=OPEN + MINUTE)) == 1


def test_a_bar_and_its_book_are_stored_together_or_not_at_all(bars):
    refused = replace(live(), state=None)  # what the table refuses
    with pytest.raises(StoreError):
        bars.append(SOURCE, bar(), book=refused)
    assert bars.range(SOURCE, "BTCUSDT", Timeframe.M1, OPEN, end=OPEN + MINUTE).empty


def test_sources_and_symbols_do_not_mix(bars, books):
    bars.append(SOURCE, bar(), book=live())
    bars.append("binance", bar(symbol="ETHUSDT"), book=live(symbol="ETHUSDT"))
    assert list(books.closing("binance", ["BTCUSDT", "ETHUSDT"], OPEN, until=OPEN + MINUTE)) == [
        ("ETHUSDT", OPEN + MINUTE)
    ]
    assert books.range("binance", "BTCUSDT", OPEN, end=OPEN + MINUTE).empty

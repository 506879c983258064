"""The minutes of a recorded session as it published them: bars, order books at their closes, and quality scores.

One line of the channel `PUBLISHED` has one minute. Reads and writes its text; chooses no bars.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from mikrobot.domain.errors import BarError, FeedError
from mikrobot.domain.market import Bar
from mikrobot.domain.market_events import Level
from mikrobot.domain.order_books import BookState, ClosingBook
from mikrobot.domain.quality import QualityScore
from mikrobot.market.border import epoch_us, instant
from mikrobot.market.recorded_streams import files_of, messages

PUBLISHED = "published"
"""Channel of the minutes as the session traded them."""

Row = list[Any]
"""A bar as JSON: symbol, open time in microseconds since the epoch, and the numbers of a bar; None if unknown."""

Close = tuple[str, datetime]
"""A symbol and the close of one of its bars."""


class RecordedBook(msgspec.Struct, array_like=True):
    """The order book of a symbol at the close of its minute."""

    symbol: str
    state: BookState
    reason: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class RecordedScore(msgspec.Struct, array_like=True):
    """The quality score of a symbol at the close of its minute."""

    symbol: str
    score: float
    parts: dict[str, float]


class Minute(msgspec.Struct):
    """One published minute.

    Attributes
    ----------
    close : datetime
        UTC.
    bars : list of Row
    books : list of RecordedBook, as JSON
        Those that the session had at this close, which are decoded when they are needed.
    scores : list of RecordedScore
    """

    close: datetime
    bars: list[Row]
    books: list[msgspec.Raw] = []
    scores: list[RecordedScore] = []


class _Line(msgspec.Struct):
    data: Minute


_line = msgspec.json.Decoder(_Line).decode
_book = msgspec.json.Decoder(RecordedBook).decode


def row_of(bar: Bar) -> Row:
    """Return a bar as plain JSON values.

    >>> from datetime import UTC
    >>> bar = Bar("BTCUSDT", datetime(2025, 1, 1, tzinfo=UTC), 1.0, 2.0, 0.5, 1.5, volume=3.0)
    >>> row_of(bar)
    ['BTCUSDT', 1735689600000000, 1.0, 2.0, 0.5, 1.5, 3.0, None, None, None]
    >>> row_of(bar_of(row_of(bar))) == row_of(bar)
    True
    """
    numbers = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.spread, bar.trades, bar.taker_volume)
    return [bar.symbol, epoch_us(bar.open_time), *(None if math.isnan(value) else value for value in numbers)]


def bar_of(row: Row) -> Bar:
    """Return the bar of a row."""
    symbol, opened, *numbers = row
    open_, high, low, close, *more = (math.nan if value is None else float(value) for value in numbers)
    volume, spread, trades, taker = more
    return Bar(symbol, instant(opened), open_, high, low, close, volume, spread, trades, taker)


def line_of(
    close_time: datetime, bars: Sequence[Bar], books: Mapping[str, ClosingBook], scores: Sequence[QualityScore]
) -> bytes:
    """Return the line of a minute.

    >>> line_of(datetime(2025, 1, 1), [], {}, [])
    b'{"stream":"published","data":{"close":"2025-01-01T00:00:00","bars":[],"books":[],"scores":[]}}'
    """
    minute = {
        "close": close_time,
        "bars": [row_of(bar) for bar in bars],
        "books": [RecordedBook(book.symbol, book.state, book.reason, book.bids, book.asks) for book in books.values()],
        "scores": [RecordedScore(score.symbol, score.score, dict(score.parts)) for score in scores],
    }
    return msgspec.json.encode({"stream": PUBLISHED, "data": minute})


def minutes(folder: Path) -> Iterator[Minute]:
    """Yield the minutes of a recorded session in the order in which they were published.

    A minute may be there twice, as after a restart of the streamer: the last one counts.

    Raises
    ------
    BarError
        If a line cannot be read.
    """
    try:
        for path in files_of(folder, PUBLISHED):
            for _, message in messages(path, broken_off=True):
                yield _line(message).data
    except (FeedError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BarError(f"{folder}: a minute of the recording cannot be read ({error})") from error


def books_of(folder: Path, symbols: Sequence[str]) -> dict[Close, msgspec.Raw]:
    """Return the order books of a recorded session by symbol and close, each to be read by `book_of`.

    Raises
    ------
    BarError
        As `minutes`.
    """
    wanted = set(symbols)
    try:
        return {
            (symbol, minute.close): book
            for minute in minutes(folder)
            for book in minute.books
            if (symbol := _book(book).symbol) in wanted
        }
    except msgspec.DecodeError as error:
        raise BarError(f"{folder}: an order book of the recording cannot be read ({error})") from error


def book_of(close_time: datetime, recorded: msgspec.Raw) -> ClosingBook:
    """Return a recorded order book."""
    book = _book(recorded)
    return ClosingBook(book.symbol, close_time, book.state, book.reason, book.bids, book.asks)


def scores_of(folder: Path) -> dict[Close, QualityScore]:
    """Return the quality scores of a recorded session by symbol and close.

    Raises
    ------
    BarError
        As `minutes`.
    """
    return {
        (score.symbol, minute.close): QualityScore(score.symbol, minute.close, score.score, score.parts)
        for minute in minutes(folder)
        for score in minute.scores
    }

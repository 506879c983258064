"""The source port, and the feed that merges the closing bars of several symbols in time order.

A source returns past bars only. The feed turns them into a stream, in the same way for every source.
It neither stores nor validates bars.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Protocol

import numpy as np
import pandas as pd

from mikrobot.domain.errors import FeedError, FeedRefused, UnknownSymbol
from mikrobot.domain.instruments.entries import Entry
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import Bar, bars_of, empty_bars
from mikrobot.market.patience import LONGEST_REFUSAL_S, is_temporary, wait_s
from mikrobot.market.sessions import is_open
from mikrobot.market.streams.bar_stream import BarStream
from mikrobot.runtime import Clock, rate_of, retry
from mikrobot.telemetry import logger

log = logger("market")

CHUNK = timedelta(days=7)
"""Period of history per request."""

GRACE_S = 1.0
"""Seconds from a close to the request for its bar, and between two such requests."""

DUE = timedelta(seconds=2)
"""Time after its close at which a bar that has not arrived on a stream is requested."""

PATIENCE = 3
"""Number of further requests for a bar that is due."""

_MINUTE = timedelta(minutes=1)


class Source(Protocol):
    """A source of one-minute bars.

    Attributes
    ----------
    name : str
        Stored with everything computed from its bars: "simulated", "replay", "binance" or "mt5".
    simulated : bool
        The market is simulated.
    live : bool
        New bars arrive as time passes.
    """

    name: str
    simulated: bool
    live: bool

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols of the source."""

    def instruments(self) -> dict[str, Entry]:
        """Return the instruments of the symbols by the metadata of the venue; empty if it has none.

        Raises
        ------
        FeedError
            If the venue does not respond, or does not trade a symbol at present.
        UnknownSymbol
            If the venue does not list a symbol.
        """

    def span(self, symbol: str) -> tuple[datetime, datetime]:
        """Return the open time of the first bar and the close time of the last bar available now.

        Raises
        ------
        FeedError
            If there is no bar, or the venue does not respond.
        UnknownSymbol
            If the source does not have the symbol.
        """

    def time(self) -> datetime:
        """Return the time up to which bars have closed, UTC.

        It is that of the clock or of the venue, whichever is earlier; where the two differ by more than half a second,
        that of the venue.

        Raises
        ------
        FeedError
            If the venue does not respond.
        """

    def first_open(self, symbol: str) -> datetime:
        """Return the open time of the first bar, as `span` does, without a search for the last one.

        Raises
        ------
        FeedError, UnknownSymbol
            As `span`.
        """

    def history(self, symbol: str, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the closed M1 bars that open in [start, end), as a bar frame.

        Raises
        ------
        BarError
            If a bar in that span breaks the schema.
        FeedError
            If the venue does not respond; the same call may be retried.
        UnknownSymbol
            If the source does not have the symbol.
        """


def chunks(start: datetime, end: datetime, length: timedelta = CHUNK) -> Iterator[tuple[datetime, datetime]]:
    """Split [start, end) into periods of at most `length`.

    >>> from datetime import UTC
    >>> day = datetime(2025, 1, 1, tzinfo=UTC)
    >>> [(a.day, b.day) for a, b in chunks(day, day + timedelta(days=9))]
    [(1, 8), (8, 10)]
    """
    while start < end:
        cut = min(start + length, end)
        yield start, cut
        start = cut


@retry(on=is_temporary)
def fetch(source: Source, symbol: str, start: datetime, end: datetime) -> pd.DataFrame:
    """Return history from a source, with retries unless it refuses; see `Source.history`."""
    return source.history(symbol, start, end)


def closes(
    source: Source,
    symbols: Sequence[str],
    start: datetime,
    end: datetime | None,
    *,
    clock: Clock,
    stream: BarStream | None = None,
    passed: Callable[[datetime], None] = lambda until: None,
) -> Iterator[tuple[datetime, list[Bar]]]:
    """Yield the bars that close at each minute, in time order.

    The past is read in periods of `CHUNK`. On a live source the feed then waits for each next minute: with a stream
    for its bars to arrive, otherwise with the clock. What the stream lacks of a minute is requested from the
    source. A minute without bars is not yielded. A bar that is due is requested `PATIENCE` more times, and is left
    out if it is still missing while other symbols have theirs. A symbol that a live venue no longer lists is logged,
    and the others go on. While the source does not answer, a minute whose missing bars are made up by all of its
    trades is yielded too; see `BarStream.built`.

    Parameters
    ----------
    source : Source
    symbols : sequence of str
        In the order of the bars of one minute.
    start, end : datetime
        Bars opening in [start, end), on whole minutes, UTC. Without `end` a live source is
        followed without end, also through failures of the venue; any other source to its last bar.
    clock : Clock
    stream : BarStream or None
        Closed bars of the same venue, as they arrive.
    passed : callable
        Called with a time when every bar that closes up to it has been yielded, or given up for now.

    Yields
    ------
    (datetime, list of Bar)
        Close time and at least one bar.

    Raises
    ------
    FeedError
        If `end` is given and the venue fails for longer than `retry` tries.
    BarError
        As `Source.history`.
    UnknownSymbol
        If a source that is not live does not have a symbol, or a live one has none of them at the start.
    """
    spans = _spans(source, symbols, clock)
    reached = max(start, min(first for first, _ in spans))
    last = end if source.live else _earlier(end, max(close for _, close in spans))
    behind = timedelta(0)
    failures = 0
    while True:
        available = _available(source, last, clock, behind)
        try:
            behind = _behind(source, clock)
            available = _available(source, last, clock, behind)
            for instant, bars in _past(source, symbols, reached, available, clock=clock, behind=behind):
                yield instant, bars
                reached = instant
            read_until = max(reached, available)
            failures = 0
        except FeedError as error:
            failures += 1
            if end is not None:
                raise
            log.warning("feed_down", source=source.name, since=reached.isoformat(), error=str(error))
            for instant, bars in _from_trades(stream, symbols, reached, clock=clock):
                yield instant, bars
                reached = instant
            read_until = reached
        passed(read_until)
        if last is not None and available >= last:
            return
        if stream is None or read_until < available:
            clock.sleep(min(_seconds_to_next_close(clock.now() - behind), wait_s(failures)))
            continue
        for instant, bars in _streamed(source, stream, symbols, opened=read_until, behind=behind, clock=clock):
            yield instant, bars
            reached = instant


def _spans(source: Source, symbols: Sequence[str], clock: Clock) -> list[tuple[datetime, datetime]]:
    """Return the spans of the symbols; of a live source, of those that the venue still trades."""
    spans: list[tuple[datetime, datetime]] = []
    for number, symbol in enumerate(symbols, start=1):
        try:
            spans.append(_span(source, symbol, clock))
        except (FeedError, UnknownSymbol) as error:
            if not source.live or (number == len(symbols) and not spans):
                raise
            log.warning("symbol_gone", symbol=symbol, reason=str(error))
    return spans


def _span(source: Source, symbol: str, clock: Clock) -> tuple[datetime, datetime]:
    """Return the span of a symbol, once a live venue that refuses for a while answers."""
    while True:
        try:
            return retry(on=is_temporary, rate=rate_of(clock))(source.span)(symbol)
        except FeedRefused as error:
            if not source.live or error.seconds > LONGEST_REFUSAL_S:
                raise
            clock.sleep(error.seconds)


def _bars(source: Source, symbol: str, since: datetime, until: datetime, *, rate: float) -> pd.DataFrame:
    """Read the bars of a symbol; a live one that the venue no longer lists has none, and the others go on."""
    try:
        return retry(on=is_temporary, rate=rate)(source.history)(symbol, since, until)
    except UnknownSymbol as error:
        if not source.live:
            raise
        log.warning("symbol_gone", symbol=symbol, reason=str(error))
        return empty_bars()


def _behind(source: Source, clock: Clock) -> timedelta:
    """Return the time by which the clock of a live source is behind ours, negative if it is ahead."""
    if not source.live:
        return timedelta(0)
    reached = retry(on=is_temporary, rate=rate_of(clock))(source.time)()
    return clock.now() - reached


def _available(source: Source, last: datetime | None, clock: Clock, behind: timedelta) -> datetime:
    """Return the time up to which bars can be read: of a live source, whole minutes that have closed there.

    A minute that closes between two requests, or by our clock before it does at the venue, would be read for some of
    the symbols only.
    """
    if source.live:
        return _earlier(last, _minute_of(clock.now() - behind - timedelta(seconds=GRACE_S)))
    assert last is not None
    return last


def _past(
    source: Source, symbols: Sequence[str], start: datetime, end: datetime, *, clock: Clock, behind: timedelta
) -> Iterator[tuple[datetime, list[Bar]]]:
    for since, until in chunks(start, end):
        yield from _merged(symbols, _read(source, symbols, since, until, clock=clock, behind=behind))


def _streamed(
    source: Source, stream: BarStream, symbols: Sequence[str], *, opened: datetime, behind: timedelta, clock: Clock
) -> Iterator[tuple[datetime, list[Bar]]]:
    """Yield the minutes of a stream from the one that opens at `opened` on, until it has none or the source fails.

    A bar that has not arrived is requested from the source. `behind` is the time by which the clock of the venue is
    behind ours, negative if it is ahead.
    """
    while True:
        traded = _traded(symbols, opened)
        if not traded:
            clock.sleep(_seconds_to_next_close(clock.now() - behind))
            return
        arrived = stream.minute(opened, traded, opened + _MINUTE + DUE + behind)
        if not arrived:
            return
        missing = [symbol for symbol in traded if symbol not in arrived]
        try:
            arrived |= _requested(source, missing, opened, behind, clock=clock)
        except FeedError:  # asked again, and logged, by the caller
            return
        yield opened + _MINUTE, [arrived[symbol] for symbol in traded if symbol in arrived]
        opened += _MINUTE


def _requested(
    source: Source, symbols: Sequence[str], opened: datetime, behind: timedelta, *, clock: Clock
) -> dict[str, Bar]:
    """Return the bars of a minute that the source has, by symbol."""
    frames = _read(source, symbols, opened, opened + _MINUTE, clock=clock, behind=behind)
    return {bar.symbol: bar for symbol, frame in zip(symbols, frames, strict=True) for bar in bars_of(symbol, frame)}


def _from_trades(
    stream: BarStream | None, symbols: Sequence[str], opened: datetime, *, clock: Clock
) -> Iterator[tuple[datetime, list[Bar]]]:
    """Yield the minutes from the one that opens at `opened` on while the venue does not answer.

    A bar that has not arrived is the one that all trades of its minute make up, if none of them is missing.
    """
    while stream is not None and (traded := _traded(symbols, opened)):
        arrived = stream.minute(opened, traded, clock.now())
        bars = [arrived.get(symbol) or stream.built(symbol, opened) for symbol in traded]
        whole = [bar for bar in bars if bar is not None]
        if len(whole) < len(traded):
            return
        yield opened + _MINUTE, whole
        opened += _MINUTE


def _traded(symbols: Sequence[str], opened: datetime) -> list[str]:
    return [symbol for symbol in symbols if is_open(instrument(symbol).session, pd.DatetimeIndex([opened]))[0]]


def _minute_of(time: datetime) -> datetime:
    return time.replace(second=0, microsecond=0)


def _read(
    source: Source, symbols: Sequence[str], since: datetime, until: datetime, *, clock: Clock, behind: timedelta
) -> list[pd.DataFrame]:
    """Read one period; on a live source, request bars that are due again for a short time."""
    rate = rate_of(clock)
    frames = [_bars(source, symbol, since, until, rate=rate) for symbol in symbols]
    for _ in range(PATIENCE if source.live else 0):
        late = [i for i, symbol in enumerate(symbols) if _is_due(symbol, frames[i], until, clock.now() - behind)]
        if not late:
            break
        clock.sleep(GRACE_S)
        for i in late:
            frames[i] = _bars(source, symbols[i], since, until, rate=rate)
    return frames


def _is_due(symbol: str, bars: pd.DataFrame, until: datetime, now: datetime) -> bool:
    newest = pd.Timestamp(until).floor("min") - _MINUTE
    if newest < now - 2 * _MINUTE or (len(bars) and bars["open_time"].iloc[-1] >= newest):
        return False
    return bool(is_open(instrument(symbol).session, pd.DatetimeIndex([newest]))[0])


def _merged(symbols: Sequence[str], frames: list[pd.DataFrame]) -> Iterator[tuple[datetime, list[Bar]]]:
    table = pd.concat(frames, ignore_index=True)
    times = table.pop("open_time")
    order = times.argsort(kind="stable").to_numpy()
    opened = pd.DatetimeIndex(times.iloc[order]).to_pydatetime()
    names = np.repeat(np.array(symbols, dtype=object), [len(frame) for frame in frames])[order]
    columns = (column.tolist() for column in table.to_numpy()[order].T)
    rows = zip(names, opened, *columns, strict=True)
    for time, group in groupby(rows, key=itemgetter(1)):
        yield time + _MINUTE, [Bar(*row) for row in group]


def _earlier(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else min(one, other)


def _seconds_to_next_close(now: datetime) -> float:
    due = now.replace(second=0, microsecond=0) + timedelta(seconds=GRACE_S)
    return ((due if due > now else due + _MINUTE) - now).total_seconds()

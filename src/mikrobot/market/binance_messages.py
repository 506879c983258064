"""Messages of Binance's market data streams and its depth snapshots, converted to events.

Spot and USD-M futures differ in a field or two; both are read here. Unknown fields are ignored, since Binance adds
some at times. Opens no connection.
"""

import math
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import partial

import msgspec

from mikrobot.domain.errors import FeedError
from mikrobot.domain.market import Bar
from mikrobot.domain.market_events import BookSnapshot, BookUpdate, Level, Tick, Trade
from mikrobot.market.border import instant

MICROSECONDS_FROM = 1_262_304_000_000_000
"""Stamps from here on, 2010 in microseconds, are microseconds, which Binance sends on request."""

SNAPSHOT = "depthSnapshot"
"""Kind of stream under which a depth snapshot of REST is recorded, as ``btcusdt@depthSnapshot``."""

Event = BookUpdate | BookSnapshot | Tick | Trade


class _Envelope(msgspec.Struct, gc=False):
    """A message of a combined stream; or a depth snapshot of REST, which has no stream."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()


class _Depth(msgspec.Struct, gc=False):
    s: str
    E: int
    U: int
    u: int
    b: list[Level]
    a: list[Level]
    pu: int | None = None


class _BookTicker(msgspec.Struct, gc=False):
    s: str
    u: int
    b: float
    B: float
    a: float
    A: float


class _Trade(msgspec.Struct, gc=False):
    s: str
    T: int
    p: float
    q: float
    m: bool
    t: int | None = None
    a: int | None = None


class AggregateTrade(msgspec.Struct, frozen=True, gc=False):
    """A message `aggTrade`; see `trade_bars.AggregateTrade`."""

    symbol: str = msgspec.field(name="s")
    id: int = msgspec.field(name="a")
    first_id: int = msgspec.field(name="f")
    last_id: int = msgspec.field(name="l")
    time: int = msgspec.field(name="T")
    price: float = msgspec.field(name="p")
    size: Decimal = msgspec.field(name="q")
    sold: bool = msgspec.field(name="m")

    @property
    def time_ms(self) -> int:
        """Time of the trade, milliseconds since the epoch."""
        return self.time // 1000 if self.time >= MICROSECONDS_FROM else self.time


class _Candle(msgspec.Struct, gc=False):
    t: int
    x: bool
    open: float = msgspec.field(name="o")
    high: float = msgspec.field(name="h")
    low: float = msgspec.field(name="l")
    close: float = msgspec.field(name="c")
    volume: float = msgspec.field(name="v")
    trades: float = msgspec.field(name="n")
    bought: float = msgspec.field(name="V")


class _Kline(msgspec.Struct, gc=False):
    s: str
    k: _Candle


class _Stamp(msgspec.Struct, gc=False):
    E: int | None = None


class _Snapshot(msgspec.Struct, gc=False):
    last_id: int = msgspec.field(name="lastUpdateId")
    bids: list[Level]
    asks: list[Level]


_envelope = msgspec.json.Decoder(_Envelope).decode
# Binance sends numbers as text, which is read where `strict` is off.
_depth = msgspec.json.Decoder(_Depth, strict=False).decode
_ticker = msgspec.json.Decoder(_BookTicker, strict=False).decode
_trade = msgspec.json.Decoder(_Trade, strict=False).decode
_aggregate = msgspec.json.Decoder(AggregateTrade, strict=False).decode
_kline = msgspec.json.Decoder(_Kline, strict=False).decode
_stamp = msgspec.json.Decoder(_Stamp).decode
_snapshot = msgspec.json.Decoder(_Snapshot, strict=False).decode


def event(message: bytes) -> Event | None:
    """Return the event of a message of a combined stream, or of a depth snapshot; None for any other message.

    Raises
    ------
    FeedError
        If the message is not JSON, or a field of it is missing or of another kind.
    """
    try:
        envelope = _envelope(message)
        read = _READERS.get(envelope.stream)
        if read is None:
            read = _READERS[envelope.stream] = _reader(envelope.stream)
        return read(envelope.data if envelope.stream else message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FeedError(f"a message of Binance cannot be read ({error}): {message[:80]!r}") from error


def stream_of(message: bytes) -> str:
    """Return the name of the stream of a message; empty for any other.

    >>> stream_of(b'{"stream":"btcusdt@depth@100ms","data":{}}'), stream_of(b"[]")
    ('btcusdt@depth@100ms', '')
    """
    try:
        return _envelope(message).stream
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def is_depth(kind: str) -> bool:
    """Return whether streams of a kind, the part of their name after the symbol, have changes of an order book.

    >>> is_depth("depth@100ms"), is_depth("depthSnapshot")
    (True, False)
    """
    return kind.partition("@")[0] == "depth"


def update_of(data: bytes | msgspec.Raw) -> BookUpdate:
    """Return the event of a message `depthUpdate`."""
    raw = _depth(data)
    time_ms = raw.E if raw.E < MICROSECONDS_FROM else raw.E // 1000
    return BookUpdate(raw.s, time_ms, raw.U, raw.u, raw.b, raw.a, raw.pu)


def tick_of(data: bytes | msgspec.Raw) -> Tick:
    """Return the event of a message `bookTicker`."""
    raw = _ticker(data)
    return Tick(raw.s, raw.u, raw.b, raw.B, raw.a, raw.A)


def trade_of(data: bytes | msgspec.Raw) -> Trade:
    """Return the event of a message `trade` or `aggTrade`."""
    raw = _trade(data)
    number = raw.a if raw.a is not None else raw.t
    if number is None:
        raise msgspec.ValidationError("Object missing required field `t` or `a`")
    return Trade(raw.s, number, raw.T, raw.p, raw.q, not raw.m)


def aggregate_of(data: bytes | msgspec.Raw) -> AggregateTrade:
    """Return the trades of a message `aggTrade`.

    Raises
    ------
    FeedError
        If the message cannot be read, or its values are not those of trades.
    """
    try:
        trade = _aggregate(data)
    except msgspec.DecodeError as error:
        raise FeedError(f"a trade of Binance cannot be read ({error}): {bytes(data)[:80]!r}") from error
    possible = 0 < trade.price < math.inf and trade.size.is_finite() and trade.size >= 0
    if not possible or trade.first_id > trade.last_id or not 0 <= trade.time < 100 * MICROSECONDS_FROM:
        raise FeedError(f"{trade.symbol}: the trade {trade.id} is none: {bytes(data)[:160]!r}")
    return trade


def closed_bar_of(data: bytes | msgspec.Raw) -> Bar | None:
    """Return the bar of a message `kline`; None while it forms.

    Raises
    ------
    FeedError
        If the message cannot be read, or its values are not those of a bar.
    """
    try:
        raw = _kline(data)
    except msgspec.DecodeError as error:
        raise FeedError(f"a kline of Binance cannot be read ({error}): {bytes(data)[:80]!r}") from error
    candle = raw.k
    if not candle.x:
        return None
    if not 0 <= candle.t < 100 * MICROSECONDS_FROM:
        raise FeedError(f"{raw.s}: a kline with the time {candle.t} is no bar")
    opened = instant(candle.t if candle.t >= MICROSECONDS_FROM else candle.t * 1000)
    prices = (candle.open, candle.high, candle.low, candle.close)
    ordered = 0 < candle.low <= min(prices) and max(prices) <= candle.high < math.inf
    if not ordered or not 0 <= candle.volume < math.inf or opened.second or opened.microsecond:
        raise FeedError(f"{raw.s}: a kline of {opened:%Y-%m-%d %H:%M:%S} is no bar: {prices}, volume {candle.volume}")
    taken = min(candle.bought, candle.volume)
    return Bar(raw.s, opened, *prices, volume=candle.volume, trades=candle.trades, taker_volume=taken)


def sent_at(data: bytes | msgspec.Raw) -> datetime | None:
    """Return the time at which Binance sent a message that was read, by its own clock; None if it has none."""
    try:
        stamp = _stamp(data).E
    except msgspec.DecodeError:
        return None
    if stamp is None or not 0 < stamp < 100 * MICROSECONDS_FROM:
        return None
    return instant(stamp if stamp >= MICROSECONDS_FROM else stamp * 1000)


def snapshot_of(data: bytes | msgspec.Raw, symbol: str = "") -> BookSnapshot:
    """Return the event of an answer to ``GET /depth``."""
    raw = _snapshot(data)
    return BookSnapshot(raw.last_id, raw.bids, raw.asks, symbol)


def as_message(symbol: str, answer: bytes) -> bytes:
    """Return an answer to ``GET /depth`` as a message of a stream that names its symbol, to be recorded.

    >>> as_message("BTCUSDT", b'{"lastUpdateId":7,"bids":[],"asks":[]}')
    b'{"stream":"btcusdt@depthSnapshot","data":{"lastUpdateId":7,"bids":[],"asks":[]}}'
    """
    return b'{"stream":"%s@%s","data":%s}' % (symbol.lower().encode(), SNAPSHOT.encode(), answer)


def _nothing(data: bytes | msgspec.Raw) -> None:
    return None


_KINDS: dict[str, Callable[[bytes | msgspec.Raw], Event | None]] = {
    "depth": update_of,
    "bookTicker": tick_of,
    "trade": trade_of,
    "aggTrade": trade_of,
}

_READERS: dict[str, Callable[[bytes | msgspec.Raw], Event | None]] = {"": snapshot_of}
"""Reader of each stream that has been seen."""


def _reader(stream: str) -> Callable[[bytes | msgspec.Raw], Event | None]:
    symbol, _, kind = stream.partition("@")
    if kind == SNAPSHOT:
        return partial(snapshot_of, symbol=symbol.upper())
    return _KINDS.get(kind.partition("@")[0], _nothing)

"""The feed of a recorded stream: its messages again, and what REST would have answered at each of their times."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from mikrobot.market.local_venue.clock import MINUTE_MS
from mikrobot.market.local_venue.feed import Window
from mikrobot.market.local_venue.generated_feed import KLINE_PERIOD_MS
from mikrobot.market.local_venue.listing import PRICE_DECIMALS, Listing, in_units
from mikrobot.market.local_venue.markets import Market, kind_of
from mikrobot.market.local_venue.messages import Message, Payload
from mikrobot.market.local_venue.payloads import Writer
from mikrobot.market.local_venue.recordings import RecordedMessage, Recording
from mikrobot.market.local_venue.tape import Kline, Trade, forming_klines, kline_of

_TRADED = ("MARKET", None)
"""Kinds of a trade that aggTrade has; it omits those of the insurance fund and of auto-deleveraging."""


class RecordedFeed:
    """One symbol on one market, as it was recorded; see `mikrobot.market.local_venue.feed.Feed`.

    Klines and aggregate trades are made from the recorded trades, each of which counts as an aggregate trade. A
    subscription to any depth stream gets the recorded one.

    Parameters
    ----------
    market : Market
    listing : Listing
    recording : Recording
    """

    def __init__(self, market: Market, listing: Listing, recording: Recording) -> None:
        self.listing = listing
        self._market = market
        self._write = Writer(market, listing)
        self._by_kind: dict[str, list[RecordedMessage]] = {}
        for message in recording.messages:
            self._by_kind.setdefault(kind_of(message.stream), []).append(message)
        self._trades = [_trade(message, listing) for message in self._by_kind.get("trade", []) if _is_traded(message)]
        self._minutes: dict[int, list[Trade]] = {}
        for trade in self._trades:
            self._minutes.setdefault(trade.time_ms // MINUTE_MS, []).append(trade)
        self._add_made_streams()
        self._book = _RecordedBook(recording, self._by_kind.get("depth", []))

    def klines(self, window: Window, now_ms: int, *, forming: bool) -> list[list[Any]]:
        """Return the klines that open in a window; see `Feed.klines`."""
        since_ms = window.since_ms or 0
        until_ms = now_ms if window.until_ms is None else min(window.until_ms, now_ms)
        klines: list[Kline] = []
        for minute, trades in self._minutes.items():
            ends_later = (minute + 1) * MINUTE_MS > now_ms
            if since_ms <= minute * MINUTE_MS <= until_ms and (forming or not ends_later):
                kline = kline_of(minute, (trade for trade in trades if trade.time_ms <= now_ms))
                klines += [] if kline is None else [kline]
        kept = klines[-window.limit :] if window.since_ms is None else klines[: window.limit]
        return [self._write.kline_row(kline) for kline in kept]

    def trades(self, window: Window, now_ms: int, *, first_id: int | None) -> list[Payload]:
        """Return aggregate trades; see `Feed.trades`."""
        since_ms = window.since_ms or 0
        until_ms = now_ms if window.until_ms is None else min(window.until_ms, now_ms)
        trades = [
            trade
            for trade in self._trades
            if since_ms <= trade.time_ms <= until_ms and trade.aggregate >= (first_id or 0)
        ]
        newest = first_id is None and window.since_ms is None
        return [self._write.trade_row(one) for one in (trades[-window.limit :] if newest else trades[: window.limit])]

    def depth(self, limit: int, now_ms: int) -> Payload | None:
        """Return a snapshot of the book; see `Feed.depth`."""
        return self._book.snapshot(limit, now_ms)

    def messages(self, stream: str, since_ms: int, until_ms: int) -> Sequence[Message]:
        """Return the messages of a stream; see `Feed.messages`."""
        kind = kind_of(stream)
        recorded = self._by_kind.get(kind, [])
        first = bisect_right(recorded, since_ms, key=lambda message: message.due_ms)
        last = bisect_right(recorded, until_ms, key=lambda message: message.due_ms)
        return [
            Message(one.due_ms, stream, kind, self.listing.symbol, one.payload, _is_closed(one))
            for one in recorded[first:last]
        ]

    def prepare(self, now_ms: int) -> None:
        """Do nothing: a recording is in memory."""

    def _add_made_streams(self) -> None:
        """Add the streams that were not recorded and follow from the trades."""
        name = self.listing.symbol.lower()
        self._by_kind["aggTrade"] = [
            RecordedMessage(trade.time_ms + 1, f"{name}@aggTrade", self._write.trade_event(trade))
            for trade in self._trades
        ]
        self._by_kind["kline"] = [
            RecordedMessage(due_ms, f"{name}@kline_1m", self._write.kline_event(kline, due_ms, closed=closed))
            for minute, trades in self._minutes.items()
            for due_ms, kline, closed in _updates(minute, trades)
        ]


class _RecordedBook:
    """The order book of a recording at a time that only goes on."""

    def __init__(self, recording: Recording, diffs: Sequence[RecordedMessage]) -> None:
        self._futures = recording.market == "usdm"
        self._diffs = diffs
        self._applied = 0
        self._snapshot = recording.snapshots[0] if recording.snapshots else None
        self._last = 0 if self._snapshot is None else int(self._snapshot["lastUpdateId"])
        rows = {} if self._snapshot is None else self._snapshot
        self._bids = {price: size for price, size in rows.get("bids", [])}
        self._asks = {price: size for price, size in rows.get("asks", [])}

    def snapshot(self, limit: int, now_ms: int) -> Payload | None:
        if self._snapshot is None:
            return None
        while self._applied < len(self._diffs) and self._diffs[self._applied].due_ms <= now_ms:
            self._apply(self._diffs[self._applied].payload)
            self._applied += 1
        times = {"E": now_ms, "T": now_ms} if self._futures else {}
        bids = sorted(self._bids.items(), key=lambda level: -float(level[0]))
        asks = sorted(self._asks.items(), key=lambda level: float(level[0]))
        sides = {"bids": [list(level) for level in bids[:limit]], "asks": [list(level) for level in asks[:limit]]}
        return {"lastUpdateId": self._last, **times, **sides}

    def _apply(self, diff: Payload) -> None:
        if diff["u"] <= self._last:
            return
        self._last = diff["u"]
        for levels, rows in ((self._bids, diff["b"]), (self._asks, diff["a"])):
            for price, size in rows:
                levels[price] = size
                if float(size) == 0:
                    del levels[price]


def _updates(minute: int, trades: Sequence[Trade]) -> list[tuple[int, Kline, bool]]:
    begins, ends = minute * MINUTE_MS, (minute + 1) * MINUTE_MS
    times_ms = range(begins + KLINE_PERIOD_MS, ends, KLINE_PERIOD_MS)
    forming = [(due_ms, kline, False) for due_ms, kline in forming_klines(minute, trades, times_ms)]
    closed = kline_of(minute, trades)
    assert closed is not None
    return [*forming, (ends + 3, closed, True)]


def _is_closed(message: RecordedMessage) -> bool:
    return bool(message.payload.get("k", {}).get("x"))


def _is_traded(message: RecordedMessage) -> bool:
    return message.payload.get("X") in _TRADED


def _trade(message: RecordedMessage, listing: Listing) -> Trade:
    trade = message.payload
    return Trade(
        time_ms=trade["T"],
        price=in_units(trade["p"], PRICE_DECIMALS),
        size=in_units(trade["q"], listing.size_decimals),
        buy=not trade["m"],
        aggregate=trade["t"],
        first=trade["t"],
        last=trade["t"],
    )

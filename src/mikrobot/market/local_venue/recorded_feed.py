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

    Klines and aggregate trades that were not recorded are made from the recorded trades, each of which counts as an
    aggregate trade; the klines of REST from either. A subscription to any depth stream gets the recorded one.

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
        trades = self._by_kind.get("trade") or self._by_kind.get("aggTrade", [])
        self._trades = [_trade(message, listing) for message in trades if _is_traded(message)]
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
        if "aggTrade" not in self._by_kind:
            self._by_kind["aggTrade"] = [
                RecordedMessage(trade.time_ms + 1, f"{name}@aggTrade", self._write.trade_event(trade))
                for trade in self._trades
            ]
        if "kline" not in self._by_kind:
            self._by_kind["kline"] = [
                RecordedMessage(due_ms, f"{name}@kline_1m", self._write.kline_event(kline, due_ms, closed=closed))
                for minute, trades in self._minutes.items()
                for due_ms, kline, closed in _updates(minute, trades)
            ]


class _RecordedBook:
    """The order book of a recording at a time that only goes on.

    Before the first snapshot it is the book of that one. A later snapshot replaces it, since changes may be missing
    before it, as after a restart.
    """

    def __init__(self, recording: Recording, diffs: Sequence[RecordedMessage]) -> None:
        self._futures = recording.market == "usdm"
        self._diffs, self._snapshots = diffs, recording.snapshots
        self._applied, self._taken, self._last = 0, 0, 0
        self._bids: dict[str, str] = {}
        self._asks: dict[str, str] = {}
        if self._snapshots:
            self._take_snapshot()

    def snapshot(self, limit: int, now_ms: int) -> Payload | None:
        if not self._snapshots:
            return None
        while self._applied < len(self._diffs) and self._diffs[self._applied].due_ms <= now_ms:
            self._apply(self._diffs[self._applied].payload)
            self._applied += 1
        while self._taken < len(self._snapshots) and self._snapshots[self._taken].due_ms <= now_ms:
            self._take_snapshot()
        times = {"E": now_ms, "T": now_ms} if self._futures else {}
        bids = sorted(self._bids.items(), key=lambda level: -float(level[0]))
        asks = sorted(self._asks.items(), key=lambda level: float(level[0]))
        sides = {"bids": [list(level) for level in bids[:limit]], "asks": [list(level) for level in asks[:limit]]}
        return {"lastUpdateId": self._last, **times, **sides}

    def _take_snapshot(self) -> None:
        """Take the next snapshot, and apply the applied changes after it again."""
        payload = self._snapshots[self._taken].payload
        self._taken += 1
        self._last = int(payload["lastUpdateId"])
        self._bids, self._asks = dict(payload["bids"]), dict(payload["asks"])
        first = self._applied
        while first > 0 and self._diffs[first - 1].payload["u"] > self._last:
            first -= 1
        for diff in self._diffs[first : self._applied]:
            self._apply(diff.payload)

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
    names = ("a", "f", "l") if kind_of(message.stream) == "aggTrade" else ("t", "t", "t")
    aggregate, first, last = (trade[name] for name in names)
    return Trade(
        time_ms=trade["T"],
        price=in_units(trade["p"], PRICE_DECIMALS),
        size=in_units(trade["q"], listing.size_decimals),
        buy=not trade["m"],
        aggregate=aggregate,
        first=first,
        last=last,
    )

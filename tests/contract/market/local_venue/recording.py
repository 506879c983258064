"""Recordings of what a generated venue sends, for the tests."""

import gzip
import json
from datetime import UTC, datetime

from mikrobot.market.local_venue.opening import VenueOptions, open_venue
from mikrobot.runtime import uptime_s

START_MS = int(datetime(2024, 3, 6, 12, tzinfo=UTC).timestamp()) * 1000
SOURCES = {"spot": "binance-local", "usdm": "binance-usdm-local"}
RECEIVED_LATE_MS = -1270
"""The clock of the recorder was slow by this, as in the recordings of the developers."""


def recorded(coin_file, market, path, minutes=3, *, snapshot=True):
    """Write what a generated venue sends in some minutes as a recording."""
    feed = open_venue(VenueOptions(data=[coin_file]), uptime_s).feeds[market]["BTCUSDT"]
    until = START_MS + minutes * 60_000
    messages = [
        message
        for name in ("depth@100ms", "bookTicker", "aggTrade")
        for message in feed.messages(f"btcusdt@{name}", START_MS, until)
    ]
    lines = []
    for message in sorted(messages, key=lambda message: message.due_ms):
        name, data = message.stream, message.payload
        if message.kind == "aggTrade":
            name, data = "btcusdt@trade", {key: data[key] for key in "EspqTm"} | {"e": "trade", "t": data["a"]}
        lines.append(
            f"{(message.due_ms + RECEIVED_LATE_MS) * 1_000_000 + 17} {json.dumps({'stream': name, 'data': data})}"
        )
    if snapshot:
        book = feed.depth(20, START_MS + 3000)
        lines.insert(12, f"{(START_MS + 3010 + RECEIVED_LATE_MS) * 1_000_000} {json.dumps(book)}")
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def recorded_session(coin_file, market, folder, minutes=3):
    """Write what a generated venue sends of two symbols in some minutes as a recorded session, killed at its end."""
    other = coin_file.with_name("ETHUSDT_M1.parquet")
    other.write_bytes(coin_file.read_bytes())
    feeds = open_venue(VenueOptions(data=[coin_file, other]), uptime_s).feeds[market]
    until, snapshots = START_MS + minutes * 60_000, (START_MS + 3000, START_MS + 90_000)
    folder.mkdir()
    (folder / "recording.json").write_text(json.dumps({"source": SOURCES[market]}))
    for channel, names in {"depth1": ("depth@100ms", "bookTicker"), "klines1": ("kline_1m", "aggTrade")}.items():
        lines = []
        for symbol, feed in feeds.items():
            streams = [f"{symbol.lower()}@{name}" for name in names]
            messages = [message for name in streams for message in feed.messages(name, START_MS, until)]
            sent = [(message.due_ms, message.stream, message.payload) for message in messages]
            if channel == "depth1":
                sent += [(at, f"{symbol.lower()}@depthSnapshot", feed.depth(20, at)) for at in snapshots]
            lines += [(due_ms, json.dumps({"stream": name, "data": data})) for due_ms, name, data in sent]
        text = "".join(f"{(at + RECEIVED_LATE_MS) * 1_000_000} {message}\n" for at, message in sorted(lines))
        packed = gzip.compress(text.encode()) + gzip.compress(b"17 {}\n")[:-12]
        (folder / f"20240306T12-{channel}-0001.gz").write_bytes(packed)
    return folder

"""Recordings of what a generated venue sends, for the tests."""

import gzip
import json
from datetime import UTC, datetime

from mikrobot.market.local_venue.opening import VenueOptions, open_venue
from mikrobot.runtime import uptime_s

START_MS = int(datetime(2024, 3, 6, 12, tzinfo=UTC).timestamp()) * 1000
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

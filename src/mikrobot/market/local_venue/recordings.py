"""Reads recorded streams of Binance: lines with the time of receipt in nanoseconds and the JSON of the message.

A line without a stream is a snapshot of the order book by REST. Changes no message.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from mikrobot.domain.errors import FeedError
from mikrobot.market.local_venue.markets import kind_of
from mikrobot.market.local_venue.messages import Payload
from mikrobot.market.recorded_streams import messages

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class RecordedMessage:
    """A message of a recording.

    Attributes
    ----------
    due_ms : int
        When it was received, by the clock of the venue.
    stream : str
    payload : Payload
    """

    due_ms: int
    stream: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class Recording:
    """The messages of one symbol on one market, in order.

    Attributes
    ----------
    market : str
        "spot" or "usdm".
    symbol : str
    messages : list of RecordedMessage
    snapshots : list of Payload
        Snapshots of the order book.
    """

    market: str
    symbol: str
    messages: list[RecordedMessage] = field(default_factory=list)
    snapshots: list[Payload] = field(default_factory=list)


def read_recordings(paths: Sequence[Path]) -> list[Recording]:
    """Return what files have recorded, joined by market and symbol.

    Raises
    ------
    FeedError
        If a file cannot be read, or a line of it is no recorded message.
    """
    joined: dict[tuple[str, str], Recording] = {}
    for path in paths:
        one = _read(path)
        recording = joined.setdefault((one.market, one.symbol), Recording(one.market, one.symbol))
        recording.messages.extend(one.messages)
        recording.snapshots.extend(one.snapshots)
    for recording in joined.values():
        recording.messages.sort(key=lambda message: message.due_ms)
    return list(joined.values())


def _read(path: Path) -> Recording:
    received: list[tuple[int, str, Payload]] = []
    snapshots: list[Payload] = []
    for number, (received_ns, text) in enumerate(messages(path), 1):
        message = _message(text, f"{path}, line {number}")
        if "stream" in message:
            received.append((received_ns // _NS_PER_MS, message["stream"], message["data"]))
        else:
            snapshots.append(message)
    if not received:
        raise FeedError(f"{path}: no message of a stream; give a recording with lines like 1723161254087891268 {{...}}")
    ahead_ms = next((payload["E"] - received_ms for received_ms, _, payload in received if "E" in payload), 0)
    symbol = received[0][1].partition("@")[0].upper()
    if any(stream.partition("@")[0].upper() != symbol for _, stream, _ in received):
        raise FeedError(f"{path}: streams of several symbols; give a recording of each")
    futures = any("pu" in payload for _, stream, payload in received if kind_of(stream) == "depth")
    sent = [RecordedMessage(received_ms + ahead_ms, stream, payload) for received_ms, stream, payload in received]
    return Recording("usdm" if futures else "spot", symbol, sent, snapshots)


def _message(text: bytes, place: str) -> Payload:
    """Return a message of a stream or a snapshot."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        message = None
    if isinstance(message, dict):
        in_stream = isinstance(message.get("stream"), str) and isinstance(message.get("data"), dict)
        if in_stream or "lastUpdateId" in message:
            return message
    raise FeedError(f"{place}: {text[:40]!r} is no message of a combined stream, and no depth snapshot")

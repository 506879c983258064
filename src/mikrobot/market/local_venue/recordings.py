"""Reads recorded streams of Binance: lines with the time of receipt in nanoseconds and the JSON of the message.

A snapshot of the order book by REST is a line without a stream, or one of a recorded session, which names the symbol.
Changes no message.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from mikrobot.domain.errors import FeedError
from mikrobot.market.bar_files import MARK
from mikrobot.market.binance_markets import market_of
from mikrobot.market.binance_messages import SNAPSHOT
from mikrobot.market.local_venue.markets import kind_of
from mikrobot.market.local_venue.messages import Payload
from mikrobot.market.recorded_streams import DEPTH, KLINES, files_of, is_of_session, messages

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
    snapshots : list of RecordedMessage
        Snapshots of the order book, in order.
    """

    market: str
    symbol: str
    messages: list[RecordedMessage] = field(default_factory=list)
    snapshots: list[RecordedMessage] = field(default_factory=list)


def read_recordings(paths: Sequence[Path]) -> list[Recording]:
    """Return what files and folders of recorded sessions have recorded, joined by market and symbol.

    Raises
    ------
    FeedError
        If a file cannot be read, or a line of it is no recorded message.
    """
    joined: dict[tuple[str, str], Recording] = {}
    for path in paths:
        for one in _of_folder(path) if path.is_dir() else _of_file(path):
            recording = joined.setdefault((one.market, one.symbol), Recording(one.market, one.symbol))
            recording.messages.extend(one.messages)
            recording.snapshots.extend(one.snapshots)
    for recording in joined.values():
        for received in (recording.messages, recording.snapshots):
            received.sort(key=lambda message: message.due_ms)
    return list(joined.values())


def _of_folder(folder: Path) -> list[Recording]:
    """Return the recordings of a session, whose files of klines do not show their market."""
    files = files_of(folder, DEPTH, KLINES)
    if not files:
        raise FeedError(
            f"{folder}: no recorded stream; give a file, or a folder that `mikrobot run --record` has written"
        )
    try:
        source = str(json.loads((folder / MARK).read_text())["source"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise FeedError(f"{folder / MARK} cannot be read ({error}); give the folder of a recording") from error
    market = "usdm" if market_of(source).futures else "spot"
    return [one for path in files for one in _of_file(path, market)]


def _of_file(path: Path, market: str | None = None) -> list[Recording]:
    """Return the recordings of a file, one for each symbol; without a market, its order books show it."""
    received: list[tuple[int, str, Payload]] = []
    for number, (received_ns, text) in enumerate(messages(path, broken_off=is_of_session(path)), 1):
        message = _message(text, f"{path}, line {number}")
        stream, payload = (message["stream"], message["data"]) if "stream" in message else ("", message)
        received.append((received_ns // _NS_PER_MS, stream, payload))
    symbols = list(dict.fromkeys(_symbol(stream) for _, stream, _ in received if stream))
    if not symbols:
        raise FeedError(f"{path}: no message of a stream; give a recording with lines like 1723161254087891268 {{...}}")
    if len(symbols) > 1 and any(not stream for _, stream, _ in received):
        raise FeedError(f"{path}: a snapshot that names no symbol, and {', '.join(symbols)}; give a recording of each")
    if market is None:
        futures = any("pu" in payload for _, stream, payload in received if kind_of(stream) == "depth")
        market = "usdm" if futures else "spot"
    ahead_ms = next((payload["E"] - received_ms for received_ms, _, payload in received if "E" in payload), 0)
    recordings = {symbol: Recording(market, symbol) for symbol in symbols}
    for received_ms, stream, payload in received:
        recording = recordings[_symbol(stream) or symbols[0]]
        is_snapshot = kind_of(stream) in ("", SNAPSHOT)
        kept = recording.snapshots if is_snapshot else recording.messages
        kept.append(RecordedMessage(received_ms + ahead_ms, stream, payload))
    return list(recordings.values())


def _symbol(stream: str) -> str:
    return stream.partition("@")[0].upper()


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

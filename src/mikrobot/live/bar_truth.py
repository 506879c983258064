"""What a stream has learned about its bars since the last minute, kept in the store: versions, origins, disagreements.

Decides nothing on a bar again: the version that was traded stays.
"""

from datetime import datetime

from mikrobot.domain.market import Bar
from mikrobot.live.published_bars import DIFFERS
from mikrobot.market.streams.bar_stream import BarStream
from mikrobot.store.bar_versions import TRADES
from mikrobot.store.bars import BarStore
from mikrobot.telemetry import logger

log = logger("streamer")


def keep_origins(bars: BarStore, source: str, stream: BarStream) -> None:
    """Record which bars were made from trades, before they are published."""
    check = stream.trade_check()
    for bar in check.take_used() if check is not None else ():
        log.warning("bar_from_trades", symbol=bar.symbol, close_time=bar.close_time)
        bars.versions.add_origin(source, bar, TRADES)


def keep(bars: BarStore, source: str, stream: BarStream, now: datetime) -> list[Bar]:
    """Store the later versions of bars and the disagreements with trades since the last call; return those versions."""
    others = stream.take_revised()
    for bar in others:
        bars.versions.add(source, bar, known_at(bar.close_time, now), DIFFERS)
    check = stream.trade_check()
    for differing in check.take_differing() if check is not None else ():
        bar, since = differing.bar, known_at(differing.bar.close_time, now)
        log.warning("bar_contradicted", symbol=bar.symbol, close_time=bar.close_time, fields=differing.fields)
        bars.disagreements.add(source, bar, differing.trades, fields=differing.fields, known_at=since)
        others.append(differing.trades)
    return others


def known_at(close_time: datetime, now: datetime) -> datetime:
    """Return the time from which something about a bar is known: not before its close, whatever our clock shows."""
    return max(close_time, now)

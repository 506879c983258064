"""The streams of closed bars of a combined source: those of its members, each with its own connections.

A member without streams is polled, as it is alone.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import import_module

from mikrobot.domain.market import Bar
from mikrobot.domain.sources import kind_of
from mikrobot.market.combined.source import by_member
from mikrobot.market.streams.bar_stream import BarStream, Take
from mikrobot.market.streams.connection import StreamStatus
from mikrobot.market.streams.trade_check import Disagreement, TradeChecks
from mikrobot.runtime import Clock
from mikrobot.settings import Settings


def open_stream(settings: Settings, symbols: Sequence[str], clock: Clock) -> "CombinedStream":
    """Return the streams of the symbols; see `BarStream`."""
    streams: dict[str, BarStream] = {}
    routes = {symbol: settings.routes[symbol] for symbol in symbols}
    for member, own in by_member(settings.source or "", routes).items():
        module = kind_of(member).streams
        if module is not None:
            chosen = settings.model_copy(update={"source": member, "symbols": own})
            stream: BarStream | None = import_module(module).open_stream(chosen, own, clock)
            if stream is not None:
                streams[member] = stream
    return CombinedStream(streams, routes)


class CombinedStream:
    """The streams of several sources; see `BarStream`.

    Parameters
    ----------
    streams : mapping of str to BarStream
        By member, of those that have streams.
    routes : mapping of str to str
        The member of each symbol.

    Attributes
    ----------
    streams : dict of str to BarStream
    """

    def __init__(self, streams: Mapping[str, BarStream], routes: Mapping[str, str]) -> None:
        self.streams = dict(streams)
        self._routes = dict(routes)

    def minute(self, open_time: datetime, symbols: Sequence[str], until: datetime) -> dict[str, Bar]:
        """Return the bars of a minute as soon as all symbols have theirs, or at a time those that have arrived."""
        arrived: dict[str, Bar] = {}
        for member, stream in self.streams.items():
            if own := [symbol for symbol in symbols if self._routes[symbol] == member]:
                arrived |= stream.minute(open_time, own, until)
        return arrived

    def record(self, take: Take) -> None:
        """Pass every raw message on from now; the numbers of its sockets are higher by 100 for each member before."""
        for place, stream in enumerate(self.streams.values()):
            stream.record(numbered(take, place))

    def take_revised(self) -> list[Bar]:
        """Return the bars that a venue has sent again with other values since the last call."""
        return [bar for stream in self.streams.values() for bar in stream.take_revised()]

    def built(self, symbol: str, open_time: datetime) -> Bar | None:
        """Return the bar that all trades of a minute make up; None without a stream of its venue. See `BarStream`."""
        stream = self.streams.get(self._routes[symbol])
        return None if stream is None else stream.built(symbol, open_time)

    def trade_check(self) -> TradeChecks | None:
        """Return the comparisons with trades of all venues that send them."""
        checks = [check for stream in self.streams.values() if (check := stream.trade_check()) is not None]
        return _Checks(checks) if checks else None

    def delay_s(self, bar: Bar) -> float | None:
        """Return the seconds that the message of a bar was on its way; None if it had none."""
        stream = self.streams.get(self._routes[bar.symbol])
        return None if stream is None else stream.delay_s(bar)

    def status(self) -> list[StreamStatus]:
        """Return the state of each connection."""
        return [status for stream in self.streams.values() for status in stream.status()]

    def close(self) -> None:
        """End all connections."""
        for stream in self.streams.values():
            stream.close()


class _Checks:
    """The comparisons of several venues; see `TradeChecks`."""

    def __init__(self, checks: Sequence[TradeChecks]) -> None:
        self._checks = checks

    def take_used(self) -> list[Bar]:
        return [bar for check in self._checks for bar in check.take_used()]

    def take_differing(self) -> list[Disagreement]:
        return [differing for check in self._checks for differing in check.take_differing()]


def numbered(take: Take, place: int) -> Take:
    """Return what takes the messages of a member under socket numbers that no other member has.

    >>> numbered(lambda channel, received_at, message: print(channel), 1)("klines2", datetime(2025, 1, 1), b"")
    klines102
    """

    def taken(channel: str, received_at: datetime, message: bytes) -> None:
        kind = channel.rstrip("0123456789")
        number = channel.removeprefix(kind)
        take(f"{kind}{int(number) + 100 * place}" if number else channel, received_at, message)

    return taken

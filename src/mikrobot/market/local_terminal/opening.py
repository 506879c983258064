"""Opens a stand-in from options, and serves it in the foreground."""

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

from mikrobot.domain.errors import UsageError
from mikrobot.domain.instruments.registry import instrument
from mikrobot.market.local_terminal.injection import Faults
from mikrobot.market.local_terminal.module import StandIn
from mikrobot.market.local_terminal.quotes import SymbolQuotes
from mikrobot.market.local_terminal.server import TerminalServer
from mikrobot.market.local_terminal.server_zone import ServerZone
from mikrobot.market.local_venue.clock import MarketClock
from mikrobot.market.reading import Reading
from mikrobot.market.replay import ReplaySource
from mikrobot.market.simulated import SimulatedSource
from mikrobot.market.stochastic_model import CHARACTERS
from mikrobot.runtime import Clock, ManualClock, SystemClock, uptime_s

_NEVER = datetime(9000, 1, 1, tzinfo=UTC)
_HANG_S = 120.0
"""Seconds after which a call that hangs is answered."""


@dataclass(frozen=True, slots=True)
class TerminalOptions:
    """What a stand-in serves.

    Attributes
    ----------
    data : sequence of Path
        Bar files or folders; without any, the simulated market.
    symbols : sequence of str
        Without any, all symbols of the data.
    suffix : str
        What the broker appends to the names of symbols.
    server_clock : str
        Clock of the server: ``EET``, ``NY+7``, ``UTC`` or an offset as ``+03:00``.
    start : datetime or None
        Market time at which it begins, UTC; None: now, or the middle of the data.
    seed : int
    rates : mapping of str to float
        Share of calls with a fault, by its name.
    reading : Reading
        How the bar files are read.
    """

    data: Sequence[Path] = ()
    symbols: Sequence[str] = ()
    suffix: str = ""
    server_clock: str = "EET"
    start: datetime | None = None
    seed: int = 7
    rates: Mapping[str, float] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)


@dataclass(frozen=True, slots=True)
class Served:
    """A stand-in that is being served.

    Attributes
    ----------
    module : StandIn
    port : int
    symbols : tuple of str
        As the broker lists them.
    """

    module: StandIn
    port: int
    symbols: tuple[str, ...]


@contextmanager
def serving(
    options: TerminalOptions, port: int, *, clock: Clock | None = None, hang_s: float = _HANG_S
) -> Iterator[Served]:
    """Serve a stand-in within the block, on a port of loopback.

    Parameters
    ----------
    options : TerminalOptions
    port : int
        0 takes a free one.
    clock : Clock or None
        Gives the market time; None: it begins at `options.start` and passes as real time does.
    hang_s : float
        Seconds for which a call hangs that shall.

    Raises
    ------
    BarError
        If a bar file breaks the schema.
    UnknownSymbol
        If a symbol is not in the data.
    UsageError
        If the data have no such time.
    ServiceError
        If the port is taken.
    """
    source, symbols = _source(options)
    quotes = {f"{symbol}{options.suffix}": SymbolQuotes(source, instrument(symbol), options.seed) for symbol in symbols}
    now_ms = _market_time(options, source, symbols) if clock is None else lambda: int(clock.now().timestamp() * 1000)
    server = TerminalServer()
    module = StandIn(
        quotes,
        ServerZone(options.server_clock),
        Faults(options.rates, options.seed),
        now_ms,
        hang=lambda: SystemClock().sleep(hang_s),
        drop=server.drop,
    )
    taken = server.start(module, port)
    try:
        yield Served(module, taken, tuple(quotes))
    finally:
        server.close()


def serve(options: TerminalOptions, port: int, announce: Callable[[Served], None]) -> None:
    """Serve a stand-in until the process is asked to stop.

    Raises
    ------
    MikrobotError
        As `serving`.
    """
    stopped = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with serving(options, port) as served:
        announce(served)
        while not stopped.wait(1.0):  # a wait without end would not see the signal on every system
            pass


def _source(options: TerminalOptions) -> tuple[ReplaySource | SimulatedSource, Sequence[str]]:
    if not options.data:
        source = SimulatedSource(options.symbols or tuple(CHARACTERS), options.seed, ManualClock(_NEVER))
        return source, source.symbols()
    replay = ReplaySource(options.data, options.reading, SystemClock())
    for symbol in options.symbols:
        replay.span(symbol)
    return replay, tuple(options.symbols) or replay.symbols()


def _market_time(
    options: TerminalOptions, source: ReplaySource | SimulatedSource, symbols: Sequence[str]
) -> Callable[[], int]:
    now = SystemClock().now()
    spans = [source.span(symbol) for symbol in symbols] if isinstance(source, ReplaySource) else []
    first = min((first for first, _ in spans), default=datetime(2025, 1, 2, tzinfo=UTC))
    last = max((last for _, last in spans), default=_NEVER)
    start = options.start or (now if first < now < last else first + (last - first) / 2)
    if not first < start < last - timedelta(minutes=1):
        raise UsageError(
            f"the market time begins at {start:%Y-%m-%d %H:%M}; give one after {first:%Y-%m-%d %H:%M}"
            + (f" and before {last:%Y-%m-%d %H:%M}" if spans else "")
        )
    end_ms = int(last.timestamp() * 1000) if spans else None
    return MarketClock(uptime_s, int(start.timestamp() * 1000), 1.0, end_ms).now_ms

"""Opens a venue from options: the only place where the sources of its markets are chosen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mikrobot.domain.errors import UnknownSymbol, UsageError
from mikrobot.domain.instruments.registry import instrument
from mikrobot.market.border import instant
from mikrobot.market.local_venue.bar_history import BarHistory, Bars
from mikrobot.market.local_venue.clock import MINUTE_MS, MarketClock
from mikrobot.market.local_venue.feed import Feed
from mikrobot.market.local_venue.generated_feed import GeneratedFeed, GeneratedMarket
from mikrobot.market.local_venue.listing import listing_of
from mikrobot.market.local_venue.markets import MARKETS
from mikrobot.market.local_venue.recorded_feed import RecordedFeed
from mikrobot.market.local_venue.recordings import read_recordings
from mikrobot.market.local_venue.server import LocalVenue, Origin
from mikrobot.market.reading import Reading
from mikrobot.market.replay import ReplaySource
from mikrobot.market.simulated import SimulatedSource
from mikrobot.market.stochastic_model import CHARACTERS
from mikrobot.runtime import ManualClock, SystemClock

HISTORY = timedelta(days=30)
"""Bars before the market time at which the venue begins, where the data have them."""

_AFTER_LAST_MS = 1000
"""Market time after the last close, in which its kline is sent."""

_LEAST_AHEAD = timedelta(minutes=1)
_NEVER = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class VenueOptions:
    """What a venue serves.

    Attributes
    ----------
    data : sequence of Path
        Bar files or folders; without any, the simulated market.
    symbols : sequence of str
        Without any, all coins of the data.
    speed : float
        Market seconds per real second.
    seed : int
    rates : mapping of str to float
        Share of messages or answers with a fault, by its name.
    start : datetime or None
        Market time at which it begins; None: after `HISTORY`, or half of the data if they are shorter.
    began_s : float or None
        When it was that market time, by the clock of `open_venue`; None: now.
    reading : Reading
        How the bar files are read.
    streams : sequence of Path
        Recorded streams, which are sent again instead of a generated market.
    """

    data: Sequence[Path] = ()
    symbols: Sequence[str] = ()
    speed: float = 1.0
    seed: int = 7
    rates: Mapping[str, float] = field(default_factory=dict)
    start: datetime | None = None
    began_s: float | None = None
    reading: Reading = field(default_factory=Reading)
    streams: Sequence[Path] = ()


def open_venue(options: VenueOptions, elapsed_s: Callable[[], float]) -> LocalVenue:
    """Return a venue whose market time begins now.

    Parameters
    ----------
    options : VenueOptions
    elapsed_s : callable
        Seconds since a fixed instant.

    Raises
    ------
    BarError
        If a bar file breaks the schema.
    FeedError
        If a recording cannot be read.
    UnknownSymbol
        If a symbol is not in the data, or no coin.
    UsageError
        If the data have no coin, the start is outside of them, or both bars and recordings are given.
    """
    if options.streams:
        return _recorded(options, elapsed_s)
    source, symbols, end = _source(options)
    histories = {symbol: BarHistory(source, listing_of(instrument(symbol)), options.seed) for symbol in symbols}
    first = min(_time(history.first_minute) for history in histories.values())
    start = _start(options.start, first, end)
    for history in histories.values():
        history.prepare(_milliseconds(start) // MINUTE_MS)
    stop_ms = None if end is None else _milliseconds(end) + _AFTER_LAST_MS
    clock = MarketClock(elapsed_s, _milliseconds(start), options.speed, stop_ms, began_s=options.began_s)
    generated = {symbol: GeneratedMarket(history) for symbol, history in histories.items()}
    feeds: dict[str, dict[str, Feed]] = {
        name: {symbol: GeneratedFeed(market, generated[symbol]) for symbol in symbols}
        for name, market in MARKETS.items()
    }
    origin: Origin = "bars" if options.data else "simulated"
    return LocalVenue(feeds, clock, rates=options.rates, seed=options.seed, origin=origin)


def _recorded(options: VenueOptions, elapsed_s: Callable[[], float]) -> LocalVenue:
    if options.data or options.symbols:
        raise UsageError("a recorded stream has its own symbols and times; give --stream without --data and --symbols")
    recordings = read_recordings(options.streams)
    times_ms = [message.due_ms for recording in recordings for message in recording.messages]
    first, end = (instant(edge(times_ms) * 1000) for edge in (min, max))
    start = first if options.start is None else _start(options.start, first, end)
    clock = MarketClock(elapsed_s, _milliseconds(start) - 1, options.speed, _milliseconds(end))
    feeds: dict[str, dict[str, Feed]] = {name: {} for name in MARKETS}
    for recording in recordings:
        listing = listing_of(instrument(recording.symbol))
        feed = RecordedFeed(MARKETS[recording.market], listing, recording)
        feeds[recording.market][recording.symbol] = feed
    return LocalVenue(feeds, clock, rates=options.rates, seed=options.seed, origin="recording")


def _source(options: VenueOptions) -> tuple[Bars, Sequence[str], datetime | None]:
    """Return the source of the bars, the symbols, and the close of the last bar; None if there is no last one."""
    if not options.data:
        symbols = options.symbols or tuple(symbol for symbol in CHARACTERS if _is_coin(symbol))
        source = SimulatedSource(_coins(symbols), options.seed, ManualClock(_NEVER))
        return source, source.symbols(), None
    replay = ReplaySource(options.data, options.reading, SystemClock())
    for symbol in options.symbols:
        replay.span(symbol)
    symbols = _coins(options.symbols) or tuple(symbol for symbol in replay.symbols() if _is_coin(symbol))
    if not symbols:
        raise UsageError(f"the data have bars of {', '.join(replay.symbols())}; the venue lists coins, as BTCUSDT")
    return replay, symbols, max(replay.span(symbol)[1] for symbol in symbols)


def _coins(symbols: Sequence[str]) -> Sequence[str]:
    for symbol in symbols:
        if not _is_coin(symbol):
            raise UnknownSymbol(f"{symbol} is not traded on Binance; give symbols of coins, as BTCUSDT")
    return symbols


def _is_coin(symbol: str) -> bool:
    return instrument(symbol).asset == "crypto"


def _start(given: datetime | None, first: datetime, end: datetime | None) -> datetime:
    if given is None:
        return first + HISTORY if end is None else min(first + HISTORY, first + (end - first) / 2)
    if given < first or (end is not None and given > end - _LEAST_AHEAD):
        until = "" if end is None else f" and before {end:%Y-%m-%d %H:%M}"
        raise UsageError(
            f"the market time begins at {given:%Y-%m-%d %H:%M}; give one from {first:%Y-%m-%d %H:%M}{until}"
        )
    return given


def _time(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)

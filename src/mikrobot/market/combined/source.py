"""A source that joins several live ones: each symbol has the bars and the instrument of its member.

Its name joins those of its members and is part of every key, so that its bars mix with those of no other source.
`mikrobot.market.combined.feed` follows its members side by side.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from importlib import import_module

import pandas as pd

from mikrobot.domain.errors import FeedError, UnknownSymbol
from mikrobot.domain.instruments.entries import Entry
from mikrobot.domain.market import Timeframe, empty_bars
from mikrobot.domain.market_events import Tick
from mikrobot.domain.sources import kind_of, members_of
from mikrobot.market.combined.funding import CombinedFunding
from mikrobot.market.combined.member import Member
from mikrobot.market.combined.routes import routes_of
from mikrobot.market.feed import Source
from mikrobot.market.funding_feed import HasFunding
from mikrobot.market.longer_bars import LongerBars
from mikrobot.market.patience import HasPatience
from mikrobot.market.tick_range import HasTicks
from mikrobot.market.venue_clock import ClockOffset, HasClock
from mikrobot.runtime import Clock
from mikrobot.settings import Settings


def open_source(settings: Settings, clock: Clock) -> "CombinedSource":
    """Return the source that the settings describe; members are asked which of them lists a symbol without a route.

    Raises
    ------
    FeedError, UnknownSymbol, UsageError
        As `routes_of`, and as the members.
    """
    name = settings.source or ""

    def opened(member: str, symbols: tuple[str, ...]) -> Source:
        chosen = settings.model_copy(update={"source": member, "symbols": symbols})
        source: Source = import_module(kind_of(member).module).open_source(chosen, clock)
        return source

    routes = routes_of(members_of(name), settings.symbols, settings.routes, opened)
    return CombinedSource(
        name, {member: opened(member, own) for member, own in by_member(name, routes).items()}, routes
    )


def by_member(name: str, routes: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the symbols of each member of a source, of those that have one.

    >>> by_member("binance+mt5", {"EURUSD": "mt5", "XAUUSD": "mt5"})
    {'mt5': ('EURUSD', 'XAUUSD')}
    """
    own = {member: tuple(symbol for symbol in routes if routes[symbol] == member) for member in members_of(name)}
    return {member: symbols for member, symbols in own.items() if symbols}


class CombinedSource:
    """Several sources as one.

    Parameters
    ----------
    name : str
        As `domain.sources.combined` returns it.
    sources : mapping of str to Source
        By name, each with the symbols of its route; members without a symbol may be missing.
    routes : mapping of str to str
        The member of each symbol, in the order of the symbols.

    Attributes
    ----------
    members : dict of str to Member
    routes : dict of str to str
    """

    live = True

    def __init__(self, name: str, sources: Mapping[str, Source], routes: Mapping[str, str]) -> None:
        self.name, self.simulated = name, kind_of(name).simulated
        self.members = {member: Member(source) for member, source in sources.items()}
        self.routes = dict(routes)

    def wrap(self, wrapped: Callable[[Source], Source]) -> None:
        """Read the bars of each member through a wrapper of it."""
        for own in self.members.values():
            own.source = wrapped(own.source)

    def hurry(self) -> None:
        """Let no member wait for a venue that refuses; see `HasPatience`."""
        for own in self.members.values():
            if isinstance(own.venue, HasPatience):
                own.venue.hurry()

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols, in the order given."""
        return tuple(self.routes)

    def instruments(self) -> dict[str, Entry]:
        """Return the instruments of the symbols, each by the metadata of its venue.

        Raises
        ------
        FeedError, UnknownSymbol
            As `Source.instruments` of a member.
        """
        return {symbol: entry for own in self.members.values() for symbol, entry in own.ask(_instruments).items()}

    def span(self, symbol: str) -> tuple[datetime, datetime]:
        """Return the open time of the first bar and the close time of the last one; see `Source.span`."""
        return self._member(symbol).ask_briefly(lambda source: source.span(symbol))

    def time(self) -> datetime:
        """Return the time up to which the bars of all members have closed: the earliest of their times, UTC.

        Raises
        ------
        FeedError
            If a venue does not respond.
        """
        return min(own.ask_briefly(lambda source: source.time()) for own in self.members.values())

    def first_open(self, symbol: str) -> datetime:
        """Return the open time of the first bar; see `Source.first_open`."""
        return self._member(symbol).ask_briefly(lambda source: source.first_open(symbol))

    def history(self, symbol: str, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the closed M1 bars that open in [start, end); see `Source.history`.

        Raises
        ------
        FeedError
            Also if the members are followed and the venue takes long to answer.
        """
        return self._member(symbol).ask_briefly(lambda source: source.history(symbol, start, end))

    def longer(self, symbol: str, timeframe: Timeframe, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the closed bars of a timeframe that open in [start, end); none of a venue without such bars."""
        member = self._member(symbol)
        venue = member.venue
        if not isinstance(venue, LongerBars):
            return empty_bars()
        return member.ask_briefly(lambda _: venue.longer(symbol, timeframe, start, end))

    def ticks(self, symbol: str, start: datetime, end: datetime) -> list[Tick]:
        """Return the best prices in [start, end) in order of time; none of a venue without ticks of the past."""
        member = self._member(symbol)
        venue = member.venue
        if not isinstance(venue, HasTicks):
            return []
        return member.ask_briefly(lambda _: venue.ticks(symbol, start, end))

    def funding_feed(self, symbols: Sequence[str], since: datetime) -> CombinedFunding:
        """Return the funding of symbols from a time on, of those whose venue has funding."""
        feeds = [
            (own, own.venue.funding_feed([symbol for symbol in symbols if self.routes[symbol] == name], since))
            for name, own in self.members.items()
            if isinstance(own.venue, HasFunding)
        ]
        return CombinedFunding(feeds)

    def clock_offset(self) -> ClockOffset:
        """Return how far a venue's clock is from ours, of the one that differs most, with its name.

        Raises
        ------
        FeedError
            If no venue reports its time.
        """
        offsets = list(self._offsets())
        if not offsets:
            raise FeedError(f"no venue of {self.name} reports its time")
        return max(offsets, key=lambda measured: abs(measured.offset))

    def _offsets(self) -> Iterator[ClockOffset]:
        for name, own in self.members.items():
            venue = own.venue
            if isinstance(venue, HasClock):
                with suppress(FeedError):  # the others may answer
                    yield replace(own.ask_briefly(partial(_offset, venue)), venue=name)

    def _member(self, symbol: str) -> Member:
        if symbol not in self.routes:
            raise UnknownSymbol(f"{symbol} is not a symbol of this source; the symbols are {', '.join(self.routes)}")
        return self.members[self.routes[symbol]]


def _offset(venue: HasClock, _: Source) -> ClockOffset:
    return venue.clock_offset()


def _instruments(source: Source) -> dict[str, Entry]:
    return source.instruments()

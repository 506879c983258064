"""The registry of market sources. Opens none of them."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class SourceKind:
    """A market source.

    Attributes
    ----------
    name : str
        Stored with everything computed from its bars.
    module : str
        Module whose ``open_source(settings, clock)`` returns a `mikrobot.market.feed.Source`; it is
        imported only when the source is opened.
    live : bool
        New bars arrive as time passes.
    simulated : bool
        The market is simulated.
    streams : str or None
        Module whose ``open_stream(settings, symbols, clock)`` returns a
        `mikrobot.market.streams.bar_stream.BarStream`, or None if the settings turn it off.
    books : str or None
        Module whose ``open_books(settings, symbols, clock, first)`` returns a
        `mikrobot.market.streams.book_stream.BookStream`, or None if the settings turn it off.
    """

    name: str
    module: str
    live: bool
    simulated: bool = False
    streams: str | None = None
    books: str | None = None


MT5_LOCAL = "mt5-local"
"""Source of the bars of the stand-in for a MetaTrader 5 terminal."""

SOURCES: dict[str, SourceKind] = {
    kind.name: kind
    for kind in (
        SourceKind("simulated", "mikrobot.market.simulated", live=True, simulated=True),
        SourceKind("replay", "mikrobot.market.replay", live=False),
        SourceKind(
            "binance",
            "mikrobot.market.binance",
            live=True,
            streams="mikrobot.market.binance_streams",
            books="mikrobot.market.binance_books",
        ),
        SourceKind("mt5", "mikrobot.market.mt5.source", live=True),
        SourceKind(
            "binance-local",
            "mikrobot.market.binance",
            live=True,
            simulated=True,
            streams="mikrobot.market.binance_streams",
            books="mikrobot.market.binance_books",
        ),
        SourceKind(MT5_LOCAL, "mikrobot.market.mt5.source", live=True, simulated=True),
    )
}


def at_address(name: str, url: str) -> str:
    """Return the source whose bars a server of Binance's protocol gives: only Binance itself has those of `binance`.

    >>> at_address("binance", "https://api.binance.com/api"), at_address("binance", "http://127.0.0.1:8310/api")
    ('binance', 'binance-local')
    """
    host = urlsplit(url).hostname or ""
    genuine = host.endswith(_BINANCE)
    return "binance-local" if name == "binance" and not genuine else name


_BINANCE = (".binance.com", ".binance.us", ".binance.vision")
"""Ends of the names of Binance's servers."""


def real_first() -> list[str]:
    """Return the names of the sources: recorded markets, then live ones, then the simulated one.

    >>> real_first()
    ['replay', 'binance', 'mt5', 'simulated', 'binance-local', 'mt5-local']
    """
    return sorted(SOURCES, key=lambda name: (SOURCES[name].simulated, SOURCES[name].live))


def is_live(name: str) -> bool:
    """Return whether a source is live; False for an unknown source.

    >>> is_live("binance"), is_live("replay")
    (True, False)
    """
    return name in SOURCES and SOURCES[name].live

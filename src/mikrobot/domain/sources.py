"""The registry of market sources. Opens none of them."""

from dataclasses import dataclass, replace
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
    address : str or None
        Setting with the address of its venue.
    elsewhere : str or None
        Source of the bars that another server of the same protocol gives at that address.
    """

    name: str
    module: str
    live: bool
    simulated: bool = False
    streams: str | None = None
    books: str | None = None
    address: str | None = None
    elsewhere: str | None = None


def _binance(name: str, address: str) -> tuple[SourceKind, SourceKind]:
    """Return the source of a market of Binance, and that of other servers of its protocol."""
    module, streams, books = (f"mikrobot.market.binance{part}" for part in ("", "_streams", "_books"))
    genuine = SourceKind(
        name, module, live=True, streams=streams, books=books, address=address, elsewhere=f"{name}-local"
    )
    return genuine, replace(genuine, name=f"{name}-local", simulated=True, elsewhere=None)


MT5_LOCAL = "mt5-local"
"""Source of the bars of the stand-in for a MetaTrader 5 terminal."""

SOURCES: dict[str, SourceKind] = {
    kind.name: kind
    for kind in (
        SourceKind("simulated", "mikrobot.market.simulated", live=True, simulated=True),
        SourceKind("replay", "mikrobot.market.replay", live=False),
        *_binance("binance", "binance_url"),
        *_binance("binance-usdm", "binance_futures_url"),
        SourceKind("mt5", "mikrobot.market.mt5.source", live=True),
        SourceKind(MT5_LOCAL, "mikrobot.market.mt5.source", live=True, simulated=True),
    )
}


def at_address(name: str, url: str) -> str:
    """Return the source whose bars the server at an address gives: only Binance itself has those of `binance`.

    >>> at_address("binance", "https://api.binance.com/api"), at_address("binance", "http://127.0.0.1:8310/api")
    ('binance', 'binance-local')
    >>> at_address("binance-usdm", "http://127.0.0.1:8310/fapi"), at_address("simulated", "")
    ('binance-usdm-local', 'simulated')
    """
    kind, host = SOURCES.get(name), urlsplit(url).hostname or ""
    return name if kind is None or kind.elsewhere is None or host.endswith(_BINANCE) else kind.elsewhere


_BINANCE = (".binance.com", ".binance.us", ".binance.vision")
"""Ends of the names of Binance's servers."""


def real_first() -> list[str]:
    """Return the names of the sources: recorded markets, then live ones, then the simulated one.

    >>> real_first()
    ['replay', 'binance', 'binance-usdm', 'mt5', 'simulated', 'binance-local', 'binance-usdm-local', 'mt5-local']
    """
    return sorted(SOURCES, key=lambda name: (SOURCES[name].simulated, SOURCES[name].live))


def is_live(name: str) -> bool:
    """Return whether a source is live; False for an unknown source.

    >>> is_live("binance"), is_live("replay")
    (True, False)
    """
    return name in SOURCES and SOURCES[name].live

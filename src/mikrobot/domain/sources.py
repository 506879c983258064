"""The registry of market sources, and the names of several that are traded together. Opens none of them.

A combined source, as ``binance+mt5``, has the names of its members in the order of `real_first`, whichever way they
were given. It is a source of its own in every key.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from mikrobot.domain.errors import UsageError


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
    funding : bool
        Its perpetuals have funding.
    """

    name: str
    module: str
    live: bool
    simulated: bool = False
    streams: str | None = None
    books: str | None = None
    address: str | None = None
    elsewhere: str | None = None
    funding: bool = False


def _binance(name: str, address: str, *, funding: bool = False) -> tuple[SourceKind, SourceKind]:
    """Return the source of a market of Binance, and that of other servers of its protocol."""
    module, streams, books = (f"mikrobot.market.binance{part}" for part in ("", "_streams", "_books"))
    genuine = SourceKind(
        name, module, live=True, streams=streams, books=books, address=address, elsewhere=f"{name}-local",
        funding=funding,
    )  # fmt: skip
    return genuine, replace(genuine, name=f"{name}-local", simulated=True, elsewhere=None)


JOINT = "+"
"""Joins the names of the members of a combined source."""

AT = "@"
"""Separates a symbol and the member that it is traded on, as in ``EURUSD@mt5``."""

NAMED = 80
"""Characters of an unknown name that a message repeats."""

MT5_LOCAL = "mt5-local"
"""Source of the bars of the stand-in for a MetaTrader 5 terminal."""

SOURCES: dict[str, SourceKind] = {
    kind.name: kind
    for kind in (
        SourceKind("simulated", "mikrobot.market.simulated", live=True, simulated=True),
        SourceKind("replay", "mikrobot.market.replay", live=False, books="mikrobot.market.recorded_books"),
        *_binance("binance", "binance_url"),
        *_binance("binance-usdm", "binance_futures_url", funding=True),
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


def real_first(names: Iterable[str] = SOURCES) -> list[str]:
    """Return names of sources: recorded markets, then live ones, then simulated ones; a combined one after its kind.

    >>> real_first()
    ['replay', 'binance', 'binance-usdm', 'mt5', 'simulated', 'binance-local', 'binance-usdm-local', 'mt5-local']
    >>> real_first(["simulated", "binance+mt5", "mt5"])
    ['mt5', 'binance+mt5', 'simulated']
    """
    return sorted((name for name in names if is_source(name)), key=_place)


def _place(name: str) -> tuple[bool, bool, int, str]:
    kind, single = kind_of(name), list(SOURCES)
    return kind.simulated, kind.live, single.index(name) if name in SOURCES else len(single), name


def is_live(name: str) -> bool:
    """Return whether a source is live; False for an unknown source.

    >>> is_live("binance"), is_live("replay"), is_live("binance+mt5")
    (True, False, True)
    """
    return is_source(name) and kind_of(name).live


def members_of(name: str) -> tuple[str, ...]:
    """Return the sources that a name joins; a single source is its own only member.

    >>> members_of("binance+mt5"), members_of("replay")
    (('binance', 'mt5'), ('replay',))
    """
    return tuple(name.split(JOINT))


def combined(names: Iterable[str]) -> str:
    """Return the name of the source that joins others, whichever way they are given; of a single one, its own.

    >>> combined(["mt5", "binance"]), combined(["mt5"])
    ('binance+mt5', 'mt5')

    Raises
    ------
    UsageError
        If one is unknown, named twice, or cannot be joined.
    """
    members = list(names)
    for member in members:
        if member not in SOURCES:
            where = f" in {JOINT.join(members)[:NAMED]}" if len(members) > 1 else ""
            raise UsageError(f"there is no source {member[:NAMED]!r}{where}; the sources are {', '.join(SOURCES)}")
    (most, count), *_ = Counter(members).most_common()
    if count > 1:
        raise UsageError(f"the source {JOINT.join(members)} has {most} twice; name each member once")
    past = [member for member in members if not SOURCES[member].live]
    if len(members) > 1 and past:
        raise UsageError(
            f"{past[0]} cannot be joined with other sources, since its bars are of the past; trade it alone"
        )
    return JOINT.join(sorted(members, key=_place))


def located(name: str, address: Callable[[SourceKind], str]) -> str:
    """Return the source whose bars are given where a source is looked for; see `at_address`.

    Parameters
    ----------
    name : str
        May be a combined source.
    address : callable
        Return the address of the venue of a kind of source; empty if it has none.

    Raises
    ------
    UsageError
        If two members are the same source there.
    """
    return combined(at_address(member, address(SOURCES[member])) for member in members_of(name))


def routed(symbols: Iterable[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return symbols without the sources that they name after an @, and those sources.

    >>> routed(["BTCUSDT", "EURUSD@mt5"])
    (('BTCUSDT', 'EURUSD'), {'EURUSD': 'mt5'})

    Raises
    ------
    UsageError
        If there is no such source, or a symbol names two.
    """
    named: dict[str, str] = {}
    plain = []
    for given in symbols:
        symbol, at, source = given.partition(AT)
        plain.append(symbol)
        if at and named.setdefault(symbol, combined([source])) != source:
            raise UsageError(f"{symbol} is given on {named[symbol]} and on {source}; a run trades it on one source")
    return tuple(plain), named


def is_source(name: str) -> bool:
    """Return whether there is a source of a name, single or combined.

    >>> is_source("binance+mt5"), is_source("mt5+binance"), is_source("binance+kraken")
    (True, False, False)
    """
    try:
        return combined(members_of(name)) == name
    except UsageError:
        return False


def kind_of(name: str) -> SourceKind:
    """Return the kind of a source, single or combined; a combined one is simulated if one of its members is.

    >>> kind_of("binance").books, kind_of("binance+mt5-local").simulated
    ('mikrobot.market.binance_books', True)
    """
    if name in SOURCES:
        return SOURCES[name]
    members = [SOURCES[member] for member in members_of(name)]
    package = "mikrobot.market.combined"
    return SourceKind(
        name,
        f"{package}.source",
        live=True,
        simulated=any(member.simulated for member in members),
        streams=f"{package}.streams",
        books=f"{package}.books" if any(member.books for member in members) else None,
        funding=any(member.funding for member in members),
    )

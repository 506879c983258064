"""The registry of instruments: the one place that everything asks for a symbol.

An entry is taken from the first of: the instruments recorded with a run (`adopt`, `using`), the metadata of the
venue that is the source (`use_venue`), the user's file (`use_file`), the tables of this package, and what was
inferred from bars (`add_inferred`). All processes of a run adopt its recorded instruments, so that they use the same
numbers, and a report in a year still does.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from statistics import median_low
from typing import Any

from mikrobot.domain.errors import SettingsError, UnknownSymbol
from mikrobot.domain.instruments import entries
from mikrobot.domain.instruments.entries import ASSET_CLASSES, Entry
from mikrobot.domain.instruments.instrument import Instrument
from mikrobot.domain.instruments.shapes import Shape, shape_of

TABLES = Path(__file__).parent / "tables"

DEFAULTS = "defaults"
"""Table of a shipped file with the values that its entries share."""

_adopted: dict[str, Entry] = {}
_of_venue: dict[str, Entry] = {}
_of_user: dict[str, Entry] = {}
_inferred: dict[str, Entry] = {}
_recorded: ContextVar[Mapping[str, Entry]] = ContextVar("recorded instruments")


def instrument(symbol: str) -> Instrument:
    """Return the instrument of a symbol, or of another name of it.

    Raises
    ------
    UnknownSymbol
        If there is no such instrument.

    >>> instrument("GOLD").symbol
    'XAUUSD'
    """
    return entry(symbol).instrument


def entry(symbol: str) -> Entry:
    """Return the entry of a symbol, or of another name of it.

    Raises
    ------
    UnknownSymbol
        If there is none.
    """
    entry = _lookup(symbol)
    if entry is None:
        near = get_close_matches(symbol, symbols(), n=1)
        nearest = f"the nearest is {near[0]}, " if near else ""
        raise UnknownSymbol(
            f"unknown symbol {symbol!r}; {nearest}`mikrobot instruments list` shows all, and "
            "instruments.toml adds others"
        )
    return entry


def is_known(symbol: str) -> bool:
    """Return True if there is an instrument with this symbol or other name."""
    return _lookup(symbol) is not None


def is_listed(symbol: str) -> bool:
    """Return True if a table, the user's file or a recorded run has the symbol, so that nothing is inferred."""
    return any(symbol in layer for layer in _layers()[:-1])


def symbols() -> tuple[str, ...]:
    """Return the symbols of all instruments: those of the tables, then those that were added."""
    return tuple(dict.fromkeys(symbol for layer in reversed(_layers()) for symbol in layer))


def names() -> dict[str, str]:
    """Return the symbol of every name, aliases included."""
    written = {alias: symbol for symbol in symbols() for alias in entry(symbol).aliases}
    return written | {symbol: symbol for symbol in symbols()}


def coins() -> frozenset[str]:
    """Return the base of every crypto instrument."""
    return frozenset(
        entry.instrument.base for layer in _layers() for entry in layer.values() if entry.instrument.asset == "crypto"
    )


def guess(symbol: str) -> Shape | None:
    """Return the shape of a symbol in no table, by its name; None if it shows none."""
    return shape_of(symbol, coins())


def leads(symbols: Iterable[str]) -> dict[str, str]:
    """Return the lead of each symbol whose lead is also among the given symbols.

    >>> leads(("ETHUSDT", "BTCUSDT", "GBPUSD"))
    {'ETHUSDT': 'BTCUSDT'}
    """
    among = dict.fromkeys(symbols)
    candidates = ((symbol, instrument(symbol).lead) for symbol in among if is_known(symbol))
    return {symbol: lead for symbol, lead in candidates if lead in among}


def leads_first(symbols: Iterable[str]) -> tuple[str, ...]:
    """Order symbols so that each lead comes before its followers; keep the given order otherwise.

    >>> leads_first(("ETHUSDT", "EURUSD", "BTCUSDT"))
    ('EURUSD', 'BTCUSDT', 'ETHUSDT')
    """
    given = tuple(symbols)
    return tuple(sorted(given, key=leads(given).__contains__))


def use_file(path: Path | None) -> None:
    """Take the instruments of the user's file in this process from now on; None: of no file.

    Raises
    ------
    SettingsError
        If the file cannot be read or an entry of it is wrong.
    """
    _replace(_of_user, {} if path is None else dict(_entries_of(path)))
    _names.cache_clear()


def use_venue(listed: Mapping[str, Entry]) -> None:
    """Take these instruments of the venue that is the source in this process from now on."""
    _replace(_of_venue, listed)


def adopt(recorded: Mapping[str, Entry]) -> None:
    """Use recorded instruments in this process from now on."""
    _replace(_adopted, recorded)


def has_adopted() -> bool:
    """Return True if this process uses recorded instruments."""
    return bool(_adopted)


@contextmanager
def using(recorded: Mapping[str, Entry]) -> Iterator[None]:
    """Use recorded instruments within the block."""
    token = _recorded.set(recorded)
    try:
        yield
    finally:
        _recorded.reset(token)


def add_inferred(inferred: Entry) -> None:
    """Add an instrument that is in no table."""
    _inferred[inferred.instrument.symbol] = inferred


def recordable(symbols: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the entries of symbols as plain JSON values, to be recorded with a run; `recorded` reads them."""
    return {symbol: entry(symbol).to_json() for symbol in symbols}


def recorded(given: Mapping[str, Mapping[str, Any]]) -> dict[str, Entry]:
    """Return the entries that `recordable` has written.

    Raises
    ------
    SettingsError
        If one of them is wrong.
    """
    return {
        symbol: entries.of(symbol, values, "the record of the run", origin=values.get("origin", "table"))
        for symbol, values in given.items()
    }


def class_defaults(asset: str) -> dict[str, Any]:
    """Return the values that the shipped entries of an asset class share, by the keys of an entry."""
    return dict(_shipped_file(asset)[DEFAULTS])


def by_class(asset: str, tick: Decimal, base: str = "") -> dict[str, Any]:
    """Return the values of an instrument with a tick, as its asset class has them.

    A metal in another currency has the lot and the leverage of the same metal in dollars.
    """
    points = {"fx": 10, "metal": 10}.get(asset, 1)
    values = {"size_step": Decimal("0.01")} | class_defaults(asset)
    values.pop("min_size", None)
    in_dollars = _shipped().get(f"{base}USD") if asset == "metal" else None
    if in_dollars is not None:
        values |= {"lot": in_dollars.instrument.lot, "leverage": in_dollars.instrument.leverage}
    return values | {"tick": tick, "pip": points * tick, "spread": tick}


def usual_spread(asset: str) -> int:
    """Return the median spread of the table's instruments of an asset class, in ticks.

    >>> usual_spread("fx")
    17
    """
    spreads = (entry.instrument for entry in _shipped().values() if entry.instrument.asset == asset)
    return int(median_low(traded.spread / traded.tick for traded in spreads))


def _lookup(symbol: str) -> Entry | None:
    for layer in _layers():
        if symbol in layer:
            return layer[symbol]
    alias = _names().get(symbol)
    return None if alias is None else _lookup(alias)


def _replace(layer: dict[str, Entry], fresh: Mapping[str, Entry]) -> None:
    """Replace the entries of a layer; another thread finds those that stay at every instant."""
    layer.update(fresh)
    for symbol in layer.keys() - fresh.keys():
        del layer[symbol]


def _layers() -> tuple[Mapping[str, Entry], ...]:
    return _recorded.get({}), _adopted, _of_venue, _of_user, _shipped(), _inferred


@cache
def _names() -> dict[str, str]:
    """Return the symbol of every alias of the tables and the user's file."""
    return {
        alias: symbol for layer in (_shipped(), _of_user) for symbol, entry in layer.items() for alias in entry.aliases
    }


@cache
def _shipped() -> dict[str, Entry]:
    return {
        symbol: entries.of(symbol, _completed(symbol, given, asset), f"{asset}.toml", origin="table")
        for asset in ASSET_CLASSES
        for symbol, given in _shipped_file(asset).items()
        if symbol != DEFAULTS
    }


@cache
def _shipped_file(asset: str) -> dict[str, Any]:
    return entries.read(TABLES / f"{asset}.toml")


def _completed(symbol: str, given: Mapping[str, Any], asset: str) -> dict[str, Any]:
    """Return the values of a shipped entry with those of its class and its name, where it has none of its own."""
    defaults, shape = class_defaults(asset), shape_of(symbol)
    parts = {} if shape is None or shape.asset != asset else {"base": shape.base, "quote": shape.quote}
    values = {"base": symbol} | defaults | parts | dict(given)
    steps = {name: values["tick"] for name in ("pip", "spread") if "tick" in values}
    assumed = (*defaults["assumed"], *given.get("assumed", ()))
    return steps | values | {"assumed": list(dict.fromkeys(assumed))}


def _entries_of(path: Path) -> Iterator[tuple[str, Entry]]:
    """Yield the entries of the user's file, completed by the table's entry of the symbol, else by its class."""
    tables = entries.read(path)
    listed = {alias: symbol for symbol, entry in _shipped().items() for alias in entry.aliases}
    aliases: dict[str, str] = {}
    for symbol, given in tables.items():
        if not isinstance(given, dict):
            raise SettingsError(f"{path}: {symbol} is not in an entry; begin one with [SYMBOL]")
        if symbol in listed and "asset" not in given:
            raise SettingsError(
                f"{path}: entry {symbol}: this is another name of {listed[symbol]}; begin it with [{listed[symbol]}]"
            )
        if symbol != symbol.upper() or not symbol.isalnum() or not symbol.isascii():
            raise SettingsError(
                f"{path}: entry {symbol}: expected a symbol of capitals and digits; name it like "
                f"[{''.join(filter(str.isalnum, symbol)).upper() or 'SUIUSDT'}]"
            )
        before = _shipped().get(symbol)
        entry = _added(symbol, given, str(path)) if before is None else entries.of(symbol, given, str(path), before)
        for alias in entry.aliases if "aliases" in given else ():
            other = alias if alias in tables or alias in _shipped() else aliases.setdefault(alias, symbol)
            if other != symbol:
                raise SettingsError(
                    f"{path}: entry {symbol}: its alias {alias} is already that of {other}; remove it from one of them"
                )
        yield symbol, entry


def _added(symbol: str, given: Mapping[str, Any], place: str) -> Entry:
    """Return an entry of the user's file whose symbol is in no table."""
    shape = guess(symbol)
    if shape is None and "asset" not in given:
        raise SettingsError(
            f'{place}: entry {symbol}: its name shows no asset class; add asset = "index" or another of '
            f"{', '.join(ASSET_CLASSES)}"
        )
    asset = given.get("asset", "" if shape is None else shape.asset)
    own = entries.of_keys({**given, "asset": asset}, f"{place}: entry {symbol}")
    if "tick" not in own:
        raise SettingsError(
            f"{place}: entry {symbol}: tick missing; add the smallest price step, as tick = 0.01, or let "
            "`mikrobot instruments infer FILE` print the entry"
        )
    parts = {"base": symbol} if shape is None else {"base": shape.base, "quote": shape.quote}
    values = by_class(asset, own["tick"], parts["base"]) | parts
    assumed = [name for name in ASSUMABLE if name in values and name not in given]
    return entries.of(symbol, values | {"assumed": assumed, "source": place} | dict(given), place)


ASSUMABLE = ("pip", "lot", "size_step", "min_size", "min_notional", "spread", "leverage", "maker_fee", "taker_fee")
"""Values that an entry without them takes from its asset class."""

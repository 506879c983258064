"""Entries of instruments as data: read and checked from TOML or JSON, and written back.

An entry is an instrument with the source of its numbers. Does not know which entries there are: `registry` does.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args

from mikrobot.domain.errors import SettingsError
from mikrobot.domain.instruments.instrument import AssetClass, Instrument, Swap
from mikrobot.domain.instruments.sessions import SESSIONS

Origin = Literal["table", "file", "venue", "inferred"]

ASSET_CLASSES: tuple[str, ...] = get_args(AssetClass)

_AMOUNTS = ("tick", "pip", "lot", "size_step", "min_size", "min_notional", "spread", "leverage")
_OPTIONAL_AMOUNTS = ("commission", "maker_fee", "taker_fee", "swap_long", "swap_short")
_MAY_BE_ZERO = frozenset(("min_notional", "spread", "commission", "maker_fee", "taker_fee"))
_TEXTS = ("asset", "base", "quote", "session", "lead", "source")
_LISTS = ("aliases", "assumed")
FIELDS = (*_TEXTS, *_AMOUNTS, *_OPTIONAL_AMOUNTS, "swap_triple_day", *_LISTS)
"""Keys of an entry."""

_SMALLEST, _LARGEST = Decimal("1e-12"), Decimal("1e12")
_DEAREST = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Entry:
    """An instrument and where its numbers come from.

    Attributes
    ----------
    instrument : Instrument
    source : str
        Public source of its values, or the file.
    assumed : tuple of str
        Fields without a public source.
    aliases : tuple of str
        Other names of it at brokers and exchanges, in capitals.
    origin : "table", "file", "venue" or "inferred"
    """

    instrument: Instrument
    source: str
    assumed: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    origin: Origin = "table"

    def to_json(self) -> dict[str, Any]:
        """Return the entry by the keys of the file of instruments, numbers as text; `of` reads it back."""
        given = {name: getattr(self.instrument, name) for name in (*_TEXTS[:-1], *_AMOUNTS, *_OPTIONAL_AMOUNTS[:3])}
        swap = self.instrument.swap
        if swap is not None:
            given |= {"swap_long": swap.long, "swap_short": swap.short, "swap_triple_day": swap.triple_day}
        given["lead"] = given["lead"] or ""
        written = {name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in given.items()}
        written |= {"source": self.source, "assumed": list(self.assumed), "aliases": list(self.aliases)}
        return {name: value for name, value in written.items() if value is not None} | {"origin": self.origin}


def of(
    symbol: str, given: Mapping[str, Any], place: str, before: Entry | None = None, *, origin: Origin = "file"
) -> Entry:
    """Return the entry of a symbol from its keys.

    Parameters
    ----------
    symbol : str
    given : mapping of str to object
        Values by key; those that are missing are those of `before`.
    place : str
        The file, for messages.
    before : Entry or None
    origin : str

    Raises
    ------
    SettingsError
        If a key is unknown or missing, or a value is not possible; with the file, the entry, the key and the remedy.
    """
    where = f"{place}: entry {symbol}"
    values = ({} if before is None else _values(before)) | of_keys(given, where)
    if "min_size" not in given and ("size_step" in given or "min_size" not in values):
        values["min_size"] = values.get("size_step")
    missing = [name for name in ("asset", "base", "quote", *_AMOUNTS, "session") if values.get(name) is None]
    if missing:
        raise SettingsError(f"{where}: {', '.join(missing)} missing; `mikrobot instruments infer FILE` prints an entry")
    swap = None
    if "swap_long" in values or "swap_short" in values:
        long, short = values.get("swap_long", Decimal(0)), values.get("swap_short", Decimal(0))
        swap = Swap(long, short, int(values.get("swap_triple_day", 2)))
    instrument = Instrument(
        symbol=symbol,
        swap=swap,
        lead=values.get("lead") or None,
        **{name: values[name] for name in ("asset", "base", "quote", "session", *_AMOUNTS)},
        **{name: values[name] for name in ("commission", "maker_fee", "taker_fee") if name in values},
    )
    _check_grid(instrument, where)
    assumed = tuple(name for name in values.get("assumed", ()) if before is None or name not in given)
    source = values.get("source", place)
    return Entry(instrument, source, assumed, tuple(values.get("aliases", ())), origin)


def of_keys(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the values of an entry by key, each checked by itself.

    Raises
    ------
    SettingsError
        If a key is unknown or a value is not possible; the message begins with `where`.
    """
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name == "origin":
            continue
        if name not in FIELDS:
            nearest = get_close_matches(name, FIELDS, n=1, cutoff=0.0)[0]
            raise SettingsError(f"{where}: {name} is not a key of an instrument; the nearest is {nearest}: rename it")
        if name in _LISTS:
            values[name] = _names(name, value, where)
        elif name in _TEXTS:
            values[name] = _text(name, value, where)
        elif name == "swap_triple_day":
            values[name] = _weekday(value, where)
        else:
            values[name] = _amount(name, value, where)
    return values


def read(path: Path) -> dict[str, Any]:
    """Read a file of instruments: its tables by symbol, not checked yet.

    Raises
    ------
    SettingsError
        If it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}); correct the path or remove it") from error
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(f"{path} is not TOML ({reason}); correct it, an entry begins with [SYMBOL]") from error


def to_toml(entry: Entry) -> str:
    """Return the entry as a table of the file of instruments."""
    values = entry.to_json()
    del values["origin"]
    lines = [f"{name} = {_toml(name, value)}" for name, value in values.items() if value not in ("", [])]
    return "\n".join((f"[{_key(entry.instrument.symbol)}]", *lines))


def _key(symbol: str) -> str:
    return symbol if symbol.replace("_", "").replace("-", "").isalnum() and symbol.isascii() else f'"{symbol}"'


def _toml(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if name in _TEXTS else str(value)


def _values(entry: Entry) -> dict[str, Any]:
    return dict(_pairs(entry))


def _pairs(entry: Entry) -> Iterator[tuple[str, Any]]:
    for name, value in entry.to_json().items():
        if name in _AMOUNTS or name in _OPTIONAL_AMOUNTS:
            yield name, Decimal(value)
        elif name != "origin":
            yield name, value


def _amount(name: str, value: Any, where: str) -> Decimal:
    expected = "a number of 0 or more" if name in _MAY_BE_ZERO else "a number above 0"
    expected = "a number" if name.startswith("swap") else expected
    try:
        if isinstance(value, bool):
            raise TypeError
        amount = Decimal(value if isinstance(value, int | str | Decimal) else repr(value))
    except (InvalidOperation, TypeError, ValueError):
        raise SettingsError(f"{where}: {name} is {value!r}; expected {expected}, as {name} = 0.01") from None
    possible = amount.is_finite() and (amount == 0 or _SMALLEST <= abs(amount) <= _LARGEST)
    if not possible or not (amount > 0 or (amount == 0 and name in _MAY_BE_ZERO) or name.startswith("swap")):
        raise SettingsError(f"{where}: {name} is {value}; expected {expected}")
    if name.endswith("_fee") and amount >= _DEAREST:
        raise SettingsError(f"{where}: {name} is {value}; expected a share of the value of a fill, as 0.0005")
    return Decimal(f"{amount:f}")


def _text(name: str, value: Any, where: str) -> str:
    allowed = {"asset": ASSET_CLASSES, "session": tuple(SESSIONS)}.get(name)
    if not isinstance(value, str) or (allowed is not None and value not in allowed):
        raise SettingsError(f"{where}: {name} is {value!r}; expected {' or '.join(allowed or ('text',))}")
    if name in ("base", "quote") and not (value.isalnum() and value == value.upper()):
        raise SettingsError(f'{where}: {name} is {value!r}; expected a currency or coin in capitals, as "USD"')
    return value


def _names(name: str, value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SettingsError(f'{where}: {name} is {value!r}; expected a list of text, as ["GOLD"]')
    return [item.upper() for item in value] if name == "aliases" else value


def _weekday(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 4:
        raise SettingsError(f"{where}: swap_triple_day is {value!r}; expected 0 (Monday) to 4 (Friday)")
    return value


def _check_grid(instrument: Instrument, where: str) -> None:
    """Check that amounts that are counted in steps are multiples of their step."""
    grids = {"spread": "tick", "pip": "tick", "min_size": "size_step"}
    for name, step in grids.items():
        amount, unit = getattr(instrument, name), getattr(instrument, step)
        if amount % unit or (amount < unit and name != "spread"):
            raise SettingsError(f"{where}: {name} is {amount}; expected a multiple of the {step} {unit}")
    if instrument.leverage < 1:
        raise SettingsError(
            f"{where}: leverage is {instrument.leverage}; expected 1 or more, as 20 for a margin of 5 %"
        )

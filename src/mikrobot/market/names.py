"""Symbols in file names and columns: brokers and exchanges write them with suffixes, prefixes and marks between.

A symbol of the registry is recognised with its aliases; one that is in no table by its shape, as SUIUSDT.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from mikrobot.domain.errors import BarError, UnknownSymbol
from mikrobot.domain.instruments.registry import coins, guess, instrument, names
from mikrobot.domain.instruments.shapes import AT_PAR, CURRENCIES

_SUFFIX = re.compile(r"(?!T)[A-Z0-9]{1,4}")
"""What brokers append, as in EURUSDm or EURUSDpro; not T, since EURUSDT is another instrument."""

_LETTERS = re.compile(r"[A-Z]{1,4}|1")
"""The same behind a digit, as in US30m; 1 is the timeframe in the names of MetaTrader 4."""

_PREFIX = re.compile(r"[A-Z]{1,2}")
"""What some brokers put before the symbol, as in mEURUSD."""

_PARTS = re.compile(r"[^A-Za-z0-9]+")


def symbol_of(path: Path) -> str:
    """Return the symbol in a file name.

    Raises
    ------
    UnknownSymbol
        If there is none.
    BarError
        If there are several.

    >>> [symbol_of(Path(name)) for name in ("DAT_ASCII_EURUSD_M1_2018.csv", "#EURUSDm.csv", "BTC_USDT-1m.zip")]
    ['EURUSD', 'EURUSD', 'BTCUSDT']
    """
    symbols = symbols_in(path.name.partition(".")[0]) or symbols_in(path.name)
    if len(symbols) > 1:
        raise BarError(
            f"{path}: its name has the symbols {' and '.join(symbols)}; give a file for each symbol, or --symbol"
        )
    if not symbols:
        raise UnknownSymbol(
            f"{path}: no symbol in the file name; name it like EURUSD_M1.parquet, or give --symbol "
            "(`mikrobot instruments list` shows the known ones)"
        )
    return symbols[0]


def symbols_in(text: str) -> list[str]:
    """Return the symbols of a text, in their order.

    A word is a symbol as written, by an alias, with a suffix or prefix of a broker, or by its shape; two words are one
    if they are divided by a mark only. Where any symbol is in the registry, shapes of two words do not count.

    >>> symbols_in("EUR/USD"), symbols_in("BTCUSDT_UMCBL"), symbols_in("SUIUSDT-1m-2024-05"), symbols_in("GOLD.cash")
    (['EURUSD'], ['BTCUSDT'], ['SUIUSDT'], ['XAUUSD'])
    >>> symbols_in("prices_30d_2020_H1")
    []
    """
    words = [word for word in _PARTS.split(text) if word]
    listed = names()
    resolved = [
        _of_metal(word, following, listed) or _of_word(word, listed) for word, following in pairwise([*words, ""])
    ]
    joined = list(_joined(words, resolved, listed))
    return list(dict.fromkeys(symbol for symbol in (*resolved, *joined) if symbol is not None))


def check_column(path: Path, symbol: str, written: str | None) -> None:
    """Refuse a column with another symbol than the one of the file.

    Raises
    ------
    BarError
        If the column has another symbol.
    """
    if written is not None and symbols_in(written) != [symbol]:
        raise BarError(
            f"{path}: its column symbol has {written}, but the file is for {symbol}; correct the name, or give --symbol"
        )


def is_of_ask(path: Path) -> bool:
    """Return whether a file name has the word ask, as Dukascopy names the bars of that side.

    >>> is_of_ask(Path("EURUSD_Candlestick_1_M_ASK.csv")), is_of_ask(Path("BASKET_EURUSD.csv"))
    (True, False)
    """
    words = path.name.upper().replace("_", " ").replace("-", " ").replace(".", " ").split()
    return "ASK" in words and "BID" not in words


def _of_word(word: str, listed: Mapping[str, str]) -> str | None:
    capitals = word.upper()
    if capitals in listed:
        return listed[capitals]
    shape = guess(capitals)
    if shape is not None and (shape.quote in AT_PAR[1:] or shape.asset != "crypto"):
        return _suffixed(capitals, listed) or capitals if shape.asset == "crypto" else capitals
    return _suffixed(capitals, listed) or _prefixed(capitals, listed) or _coin(word)


def _of_metal(word: str, following: str, listed: Mapping[str, str]) -> str | None:
    """Return the symbol of a metal in another currency than that of its short name, as of XAU_EUR; else None."""
    symbol, currency = listed.get(word.upper()), following.upper()
    if symbol in (None, word.upper()) or currency not in CURRENCIES:
        return None
    metal = instrument(str(symbol))
    return metal.base + currency if metal.asset == "metal" and currency != metal.quote else None


def _joined(words: list[str], resolved: list[str | None], listed: Mapping[str, str]) -> Iterator[str]:
    """Yield the symbols that two words make, which are none of their own: the currencies of a pair."""
    for number, (first, second) in enumerate(pairwise(words)):
        if resolved[number] is not None or resolved[number + 1] is not None:
            continue
        pair = (first + second).upper()
        if pair in listed:
            yield listed[pair]
        elif (symbol := _suffixed(pair, listed)) is not None and symbol.startswith(first.upper()):
            yield symbol
        elif _is_pair(first.upper(), pair):
            yield pair


def _is_pair(base: str, pair: str) -> bool:
    """Return whether a pair in no table is one by its shape; with a dollar behind it, its base is a coin of a table."""
    shape = guess(pair)
    if shape is None or shape.base != base:
        return False
    return shape.asset != "crypto" or shape.base in coins() or shape.quote in AT_PAR[1:]


def _suffixed(word: str, listed: Mapping[str, str]) -> str | None:
    """Return the longest symbol that a word begins with, if the rest is a suffix."""
    for end in range(len(word) - 1, 3, -1):
        name, rest = word[:end], word[end:]
        if name in listed and (_LETTERS if name[-1].isdigit() else _SUFFIX).fullmatch(rest):
            if rest in CURRENCIES and rest != instrument(listed[name]).quote:
                return _of_metal(name, rest, listed)  # GOLDEUR is no gold in dollars
            return listed[name]
    return None


def _prefixed(word: str, listed: Mapping[str, str]) -> str | None:
    """Return the symbol of foreign exchange that a word ends with, if the rest is a prefix."""
    for start in (1, 2):
        name = word[start:]
        if name in listed and _PREFIX.fullmatch(word[:start]) and instrument(name).market == "fx" and len(name) > 5:
            return listed[name]
    return None


def _coin(word: str) -> str | None:
    """Return the symbol of a coin that is quoted in dollars or another coin.

    Words end alike, so that it is in capitals, or its base is a coin of a table.
    """
    shape = guess(word.upper())
    return None if shape is None or not (word.isupper() or shape.base in coins()) else word.upper()

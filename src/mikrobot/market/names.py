"""Symbols in file names and columns: brokers and exchanges write them with suffixes, prefixes and marks between."""

import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from mikrobot.domain.errors import BarError, UnknownSymbol
from mikrobot.domain.market import INSTRUMENTS

_SUFFIX = re.compile(r"(?!T)[A-Z0-9]{1,4}")
"""What brokers append, as in EURUSDm or EURUSDpro; not T, since EURUSDT is another instrument."""


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
            f"{path}: no known symbol in the file name; name it like EURUSD_M1.parquet, or give --symbol. "
            f"Known are {', '.join(INSTRUMENTS)}"
        )
    return symbols[0]


def symbols_in(text: str) -> list[str]:
    """Return the known symbols of a text: as written, or else divided by a mark, or else with a suffix.

    >>> symbols_in("EUR/USD"), symbols_in("BTCUSDT_UMCBL"), symbols_in("EURUSDT")
    (['EURUSD'], ['BTCUSDT'], [])
    """
    words = [word for word in re.split(r"[^A-Z0-9]+", text.upper()) if word]
    divided = [first + second for first, second in pairwise(words)]
    suffixed = [
        symbol
        for word in words
        for symbol in INSTRUMENTS
        if word.startswith(symbol) and _SUFFIX.fullmatch(word.removeprefix(symbol))
    ]
    return _known(words) or _known(divided) or _known(suffixed)


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


def _known(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(word for word in words if word in INSTRUMENTS))

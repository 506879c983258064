"""The replay source: bars from files, with the interface of a venue.

A file is Parquet in the shared schema or a text export (`mikrobot.market.parquet`,
`mikrobot.market.exports`). Its name contains the symbol. Several files of one symbol must not
overlap in time.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pandas as pd

from mikrobot.domain.errors import BarError, UnknownSymbol, UsageError
from mikrobot.domain.market import INSTRUMENTS, empty_bars, instrument
from mikrobot.market.bar_files import bar_files
from mikrobot.market.border import MINUTE_US, epoch_us, instant
from mikrobot.market.exports import TextBars, read_export
from mikrobot.market.parquet import ParquetBars
from mikrobot.runtime import Clock
from mikrobot.settings import Settings

BarFile = ParquetBars | TextBars

_OTHER_TIMEFRAMES = re.compile(r"M[2-9]|M[1-9]\d|H\d{1,2}|D1|W1|MN1|DAILY|\d+[HD]|15M|30M|5M")


def open_source(settings: Settings, _: Clock) -> "ReplaySource":
    """Return the source that the settings describe.

    Raises
    ------
    UsageError
        If the settings name no files.
    BarError, UnknownSymbol
        As `ReplaySource`.
    """
    if not settings.data:
        raise UsageError("a replay needs bars: give --data FILE_OR_FOLDER, once or more")
    return ReplaySource(settings.data)


class ReplaySource:
    """Bars from files.

    Parameters
    ----------
    paths : sequence of Path
        Files, or folders whose Parquet and CSV files are taken.

    Raises
    ------
    BarError
        If a path is missing, a folder has no bar file, a file breaks the schema, or two files
        have bars of one symbol in the same span.
    UnknownSymbol
        If a file name contains no known symbol.
    """

    name = "replay"
    simulated = False
    live = False

    def __init__(self, paths: Sequence[Path]) -> None:
        self._files: dict[str, list[BarFile]] = {}
        for path in {file.resolve(): file for given in paths for file in bar_files(given)}.values():
            symbol, file = _open(path)
            self._files.setdefault(symbol, []).append(file)
        for symbol, files in self._files.items():
            files.sort(key=lambda file: file.first)
            _check_apart(symbol, files)

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols, in the order of the files."""
        return tuple(self._files)

    def span(self, symbol: str) -> tuple[datetime, datetime]:
        """Return the open time of the first bar and the close time of the last.

        Raises
        ------
        UnknownSymbol
            If no file has the symbol.
        """
        return self.first_open(symbol), instant(self._of(symbol)[-1].last + MINUTE_US)

    def first_open(self, symbol: str) -> datetime:
        """Return the open time of the first bar.

        Raises
        ------
        UnknownSymbol
            If no file has the symbol.
        """
        return instant(self._of(symbol)[0].first)

    def history(self, symbol: str, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the bars that open in [start, end).

        Raises
        ------
        BarError
            If one of them breaks the schema; with its file and row.
        UnknownSymbol
            If no file has the symbol.
        """
        since, until = epoch_us(start), epoch_us(end)
        files = [file for file in self._of(symbol) if file.first < until and file.last >= since]
        parts = [part for file in files if len(part := file.bars(since, until))]
        return pd.concat(parts, ignore_index=True) if parts else empty_bars()

    def _of(self, symbol: str) -> list[BarFile]:
        if symbol not in self._files:
            raise UnknownSymbol(f"no file has bars of {symbol}; there are {', '.join(self._files)}")
        return self._files[symbol]


def read_bars(path: Path) -> tuple[str, pd.DataFrame]:
    """Read and check a whole file.

    Returns
    -------
    (str, DataFrame)
        Symbol and bar frame.

    Raises
    ------
    BarError, UnknownSymbol
        As `ReplaySource`.
    """
    if not path.is_file():
        raise BarError(f"{path}: no such file; give a Parquet or CSV file of M1 bars")
    symbol, file = _open(path)
    return symbol, file.bars(file.first, file.last + 1)


def symbol_of(path: Path) -> str:
    """Return the symbol in a file name.

    Raises
    ------
    UnknownSymbol
        If there is none.

    >>> symbol_of(Path("DAT_ASCII_EURUSD_M1_2018.csv"))
    'EURUSD'
    """
    for word in _words(path):
        if word in INSTRUMENTS:
            return word
    raise UnknownSymbol(
        f"{path}: no known symbol in the file name; name it like EURUSD_M1.parquet. Known are {', '.join(INSTRUMENTS)}"
    )


def _open(path: Path) -> tuple[str, BarFile]:
    symbol = symbol_of(path)
    other = [word for word in _words(path) if _OTHER_TIMEFRAMES.fullmatch(word)]
    if other:
        raise BarError(
            f"{path}: expected M1 bars, but the file name contains {other[0]}; export the one-minute timeframe"
        )
    if path.suffix.lower() == ".parquet":
        return symbol, ParquetBars(path)
    return symbol, read_export(path, instrument(symbol))


def _words(path: Path) -> list[str]:
    return re.split(r"[^A-Z0-9]+", path.stem.upper())


def _check_apart(symbol: str, files: list[BarFile]) -> None:
    for before, after in pairwise(files):
        if after.first <= before.last:
            shared = (
                f"from {instant(after.first):%Y-%m-%d %H:%M} to {instant(min(before.last, after.last)):%Y-%m-%d %H:%M}"
            )
            raise BarError(f"{before.path} and {after.path} both have {symbol} {shared} UTC; give only one of them")

"""The replay source: bars from files, with the interface of a venue.

A file is Parquet in the shared schema (`mikrobot.market.parquet`) or has one of the formats of
`mikrobot.market.formats`. Its name contains the symbol. Several files of one symbol must not
overlap in time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from mikrobot.domain.errors import BarError, UnknownSymbol, UsageError
from mikrobot.domain.funding import FundingRate
from mikrobot.domain.instruments import registry
from mikrobot.domain.instruments.entries import Entry
from mikrobot.domain.instruments.instrument import Instrument
from mikrobot.market.bar_files import bar_files
from mikrobot.market.border import MINUTE_US, epoch_us, instant, microseconds
from mikrobot.market.clocks import Decided
from mikrobot.market.conversion import clock_for, to_frame
from mikrobot.market.formats.files import BarFile, open_bar_file
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.registry import SHARED_PARQUET, format_of, is_recognised
from mikrobot.market.funding_feed import RecordedFunding
from mikrobot.market.inference import SAMPLE, describe, infer, provisional
from mikrobot.market.names import check_column, is_of_ask, symbol_of, symbols_in
from mikrobot.market.parquet import ParquetBars, joined, symbol_column
from mikrobot.market.reading import Reading, reading_of
from mikrobot.market.recorded_bars import RecordedSession, is_recording
from mikrobot.runtime import Clock, SystemClock
from mikrobot.settings import Settings
from mikrobot.telemetry import logger

log = logger("market")


@dataclass(frozen=True, slots=True)
class FrameBars:
    """The bars of a file that was read whole.

    Attributes
    ----------
    path : Path
    frame : DataFrame
        All bars, as a bar frame.
    """

    path: Path
    frame: pd.DataFrame

    @property
    def first(self) -> int:
        """Open time of the first bar, microseconds since the epoch."""
        return int(microseconds(self.frame["open_time"].iloc[:1])[0])

    @property
    def last(self) -> int:
        """Open time of the last bar, microseconds since the epoch."""
        return int(microseconds(self.frame["open_time"].iloc[-1:])[0])

    def bars(self, start: int, end: int) -> pd.DataFrame:
        """Return the bars that open in [start, end), microseconds since the epoch."""
        first, last = np.searchsorted(microseconds(self.frame["open_time"]), [start, end])
        if last - first == len(self.frame):
            return self.frame.copy(deep=False)
        return self.frame.iloc[first:last].reset_index(drop=True)


BarsOfFile = ParquetBars | FrameBars


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the bars of a file come from, and how they were read.

    Attributes
    ----------
    path : Path
    symbol : str
    format : str
        Name of the format, as in `--format`; "parquet" for the shared schema.
    vendor : str
    clock, evidence : str
        The clock of the times as written, and what shows it.
    volume : str
        Unit of the volume as written: "base", "ticks" or "unknown".
    spread : str
        Unit of the spread as written: "price" or "points".
    ticks : int
        Ticks or trades that the bars are made of; 0 if the file has bars.
    """

    path: Path
    symbol: str
    format: str
    vendor: str
    clock: str
    evidence: str
    volume: str
    spread: str
    ticks: int = 0


def open_source(settings: Settings, clock: Clock) -> "ReplaySource":
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
    return ReplaySource(settings.data, reading_of(settings), clock)


class ReplaySource:
    """Bars from files.

    Parameters
    ----------
    paths : sequence of Path
        Files, folders whose bar files are taken, or folders of recorded sessions.
    reading : Reading
    clock : Clock
        Bars from after its next day are refused.

    Attributes
    ----------
    files : list of Provenance
        By symbol, in the order of the files given.
    inferred : dict of str to Entry
        The instruments of symbols in no table; this process knows them from now on.
    simulated : bool
        They are a recorded session of a simulated market.
    hours : RecordedHours or None
        The span of the recorded session, if the data are one recording and nothing else.
    notes : list of str
        What was assumed or left out of the files, a line each; also logged as warnings.

    Raises
    ------
    BarError
        If a path is missing, a folder has no bar file, a file breaks the schema, or two files
        have bars of one symbol in the same span.
    UnknownSymbol
        If a file name contains no known symbol.
    UsageError
        If `reading` names an unknown clock or format.
    """

    name = "replay"
    live = False

    def __init__(self, paths: Sequence[Path], reading: Reading | None = None, clock: Clock | None = None) -> None:
        reading, latest = reading or Reading(), (clock or SystemClock()).now() + timedelta(days=1)
        opened: dict[str, list[_Opened]] = {}
        sessions = [RecordedSession(given, latest) for given in paths if is_recording(given)]
        files_of_bars = [file for given in paths if not is_recording(given) for file in bar_files(given)]
        for path in {file.resolve(): file for file in files_of_bars}.values():
            file = _opened(path, reading, latest)
            opened.setdefault(file.symbol, []).append(file)
        self._files: dict[str, list[BarsOfFile]] = {}
        self.inferred: dict[str, Entry] = {}
        self.files: list[Provenance] = []
        self.notes: list[str] = []
        self.simulated = any(session.simulated for session in sessions)
        self._funding: dict[datetime, list[FundingRate]] = {}
        for session in sessions:
            for close, rates in session.funding.items():
                self._funding.setdefault(close, []).extend(rates)
        self.hours = sessions[0].hours if len(sessions) == 1 and not opened else None
        self._listed = {symbol: entry for session in sessions for symbol, entry in session.instruments.items()}
        recorded = [symbol for session in sessions for symbol in session.frames]
        for symbol in dict.fromkeys([*opened, *recorded]):
            self._files[symbol] = self._converted(symbol, opened.get(symbol, []), reading, latest)
            self._files[symbol] += self._recorded(symbol, sessions)
            self._files[symbol].sort(key=lambda file: file.first)
            _check_apart(symbol, self._files[symbol])
            if not registry.is_listed(symbol):
                self._add(symbol)
        for line in self.notes:
            log.warning(line)

    def _converted(
        self, symbol: str, files: Sequence["_Opened"], reading: Reading, latest: datetime
    ) -> list[BarsOfFile]:
        traded = _instrument(symbol)
        clocks = _clocks(files, traded, reading)
        converted: list[BarsOfFile] = []
        for file in files:
            decided = clocks.get(file.path)
            self.files.append(_provenance(file, decided))
            self.notes.extend(_notes_of_name(file.path, symbol, reading))
            if isinstance(file.bars, ParquetBars):
                converted.append(file.bars)
                self.notes.extend(file.bars.notes)
            else:
                imported = to_frame(file.bars, traded, decided, latest)
                converted.append(FrameBars(file.path, imported.frame))
                self.notes.extend(imported.notes)
        return converted

    def _recorded(self, symbol: str, sessions: Sequence[RecordedSession]) -> list[FrameBars]:
        """Return the bars of recorded sessions."""
        own = [
            FrameBars(session.folder / symbol, session.frames[symbol])
            for session in sessions
            if symbol in session.frames
        ]
        self.files += [
            Provenance(bars.path, symbol, "recording", "mikrobot", "UTC", "the recording", "base", "price")
            for bars in own
        ]
        return own

    def funding_feed(self, symbols: Sequence[str], since: datetime) -> RecordedFunding:
        """Return the funding that recorded sessions charged for symbols from a time on; bar files have none."""
        return RecordedFunding(self._funding, symbols, since)

    def sample(self, symbol: str) -> pd.DataFrame:
        """Return the newest bars of a symbol, as many as an instrument is inferred from."""
        newest = self._of(symbol)[-1]
        return newest.bars(newest.last - SAMPLE * MINUTE_US, newest.last + 1)

    def _add(self, symbol: str) -> None:
        """Add the instrument of a symbol that is in no table: the recorded one, or the one that its bars show."""
        if symbol in self._listed:
            registry.add_inferred(self._listed[symbol])
            return
        entry = infer(symbol, self.sample(symbol))
        registry.add_inferred(entry)
        self.inferred[symbol] = entry
        self.notes.append(describe(entry))

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols, in the order of the files."""
        return tuple(self._files)

    def instruments(self) -> dict[str, Entry]:
        """Return the instruments of recorded sessions, as these traded them; a file of bars has no metadata."""
        return dict(self._listed)

    def time(self) -> datetime:
        """Return the close of the last bar of all symbols."""
        return max(instant(self._of(symbol)[-1].last + MINUTE_US) for symbol in self._files)

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
        return joined(parts)

    def bars_of(self, path: Path) -> pd.DataFrame:
        """Return all bars of one of the files."""
        file = next(file for files in self._files.values() for file in files if file.path == path)
        return file.bars(file.first, file.last + 1)

    def _of(self, symbol: str) -> list[BarsOfFile]:
        if symbol not in self._files:
            raise UnknownSymbol(f"no file has bars of {symbol}; there are {', '.join(self._files)}")
        return self._files[symbol]


def read_bars(path: Path, reading: Reading | None = None) -> tuple[str, pd.DataFrame]:
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
        raise BarError(f"{path}: no such file; give a file of M1 bars")
    source = ReplaySource([path], reading)
    (symbol,) = source.symbols()
    return symbol, source.history(symbol, *source.span(symbol))


@dataclass(frozen=True, slots=True)
class _Opened:
    path: Path
    symbol: str
    format: Format
    bars: RawBars | ParquetBars


def _clocks(files: Sequence[_Opened], traded: Instrument, reading: Reading) -> dict[Path, Decided | None]:
    """Return the clock of each file whose vendor fixes none; those without a named clock are looked at together."""
    unfixed = {file.path: file.bars for file in files if isinstance(file.bars, RawBars) and file.bars.clock is None}
    named = {path: clock for path in unfixed if (clock := reading.clock_of(path)) is not None}
    shown = clock_for([bars for path, bars in unfixed.items() if path not in named], traded)
    return {path: named.get(path, shown) for path in unfixed}


def _notes_of_name(path: Path, symbol: str, reading: Reading) -> Iterator[str]:
    if not reading.ticks and is_of_ask(path):
        yield f"{path.name}: bars of the ask by its name, read as those of the bid; export the bid"
    named = symbols_in(path.name.partition(".")[0])
    if reading.symbol is not None and named and symbol not in named:
        names = " and ".join(named)
        yield f"{path.name}: named for {names}, read as {symbol} by --symbol; leave it out if this is wrong"


def _provenance(file: _Opened, decided: Decided | None) -> Provenance:
    clock, evidence, volume, spread, ticks = "UTC", file.format.clock, "base", "price", 0
    if isinstance(file.bars, RawBars):
        volume, spread, ticks = file.bars.volume_unit, file.bars.spread_unit, file.bars.ticks
        if file.bars.clock is not None:
            clock = file.bars.clock.name
        elif decided is not None:
            clock, evidence = decided.clock.name, decided.evidence
    return Provenance(
        file.path, file.symbol, file.format.name, file.format.vendor, clock, evidence, volume, spread, ticks
    )


def _opened(path: Path, reading: Reading, latest: datetime) -> _Opened:
    file = open_bar_file(path)
    if not reading.ticks and _is_shared_parquet(file, reading.format):
        if file.content:
            raise BarError(f"{path}: a Parquet file of the shared schema in an archive; unpack it")
        symbol = _symbol(file, reading, symbol_column(path))
        return _Opened(path, symbol, SHARED_PARQUET, ParquetBars(path, _instrument(symbol), latest))
    form = format_of(file, reading.format, ticks=reading.ticks)
    bars = form.read(file)
    pa.default_memory_pool().release_unused()  # the columns of the file, before as many are built again
    return _Opened(path, _symbol(file, reading, bars.symbol), form, bars)


def _is_shared_parquet(file: BarFile, named: str | None) -> bool:
    if file.kind != "parquet":
        return False
    return named == SHARED_PARQUET.name or (named is None and not is_recognised(file))


def _symbol(file: BarFile, reading: Reading, column: str | None) -> str:
    path = file.path
    in_archive = [] if file.name == path.name else symbols_in(file.name.partition(".")[0])
    if reading.symbol is not None:
        symbol = _instrument(reading.symbol).symbol
    elif column is not None and not symbols_in(path.name.partition(".")[0]):
        symbols = symbols_in(column)
        if len(symbols) != 1:
            raise UnknownSymbol(f"{path}: its column symbol has {column}, which is no known symbol; give --symbol")
        symbol = symbols[0]
    elif in_archive and not symbols_in(path.name):
        symbol = symbol_of(Path(file.name))
    else:
        symbol = symbol_of(path)
    if reading.symbol is None and in_archive and in_archive != [symbol]:
        raise BarError(
            f"{path}: the file in it is {file.name}, but it is named for {symbol}; rename it, or give --symbol"
        )
    check_column(path, symbol, column)
    return symbol


def _instrument(symbol: str) -> Instrument:
    """Return the instrument of a symbol; if it is in no table, one to read its files with."""
    return registry.instrument(symbol) if registry.is_known(symbol) else provisional(symbol)


def _check_apart(symbol: str, files: list[BarsOfFile]) -> None:
    for before, after in pairwise(files):
        if after.first <= before.last:
            shared = (
                f"from {instant(after.first):%Y-%m-%d %H:%M} to {instant(min(before.last, after.last)):%Y-%m-%d %H:%M}"
            )
            raise BarError(f"{before.path} and {after.path} both have {symbol} {shared} UTC; give only one of them")

"""Bar files of any known format, written as Parquet in the shared schema, a file for each symbol."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mikrobot.domain.errors import StoreError, UsageError
from mikrobot.domain.serialisation import plain
from mikrobot.market.reading import Reading
from mikrobot.market.replay import ReplaySource

PROVENANCE = b"mikrobot.provenance"
"""Key of the metadata of the written files: a JSON list of where the bars come from and how they were read."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written: its path, symbol and number of bars, and the notes of reading."""

    path: Path
    symbol: str
    bars: int
    notes: tuple[str, ...]


def import_files(paths: Sequence[Path], folder: Path, reading: Reading) -> list[Written]:
    """Write the bars of files to a folder as SYMBOL_M1.parquet, with their provenance in the metadata.

    Raises
    ------
    BarError, UnknownSymbol
        As `ReplaySource`; nothing is written then.
    UsageError
        If a file of a symbol is there already.
    StoreError
        If the folder cannot be written.
    """
    source = ReplaySource(paths, reading)
    targets = {symbol: folder / f"{symbol}_M1.parquet" for symbol in source.symbols()}
    there = next((path for path in targets.values() if path.exists()), None)
    if there is not None:
        raise UsageError(f"{there} is there already; move it away, or give --out another folder")
    tables = {symbol: _table(source, symbol) for symbol in targets}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for symbol, path in targets.items():
            part = path.with_suffix(".part")
            pq.write_table(tables[symbol], part)
            os.replace(part, path)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror}); give --out another folder") from error
    return [Written(path, symbol, len(tables[symbol]), _notes(source, symbol)) for symbol, path in targets.items()]


def _notes(source: ReplaySource, symbol: str) -> tuple[str, ...]:
    names = tuple(file.path.name for file in source.files if file.symbol == symbol)
    return tuple(note for note in source.notes if note.startswith(names))


def _table(source: ReplaySource, symbol: str) -> pa.Table:
    bars = source.history(symbol, *source.span(symbol))
    named = bars.rename(columns={"open_time": "ts", "taker_volume": "taker_buy_volume"})
    table = pa.Table.from_pandas(named.dropna(axis="columns", how="all"), preserve_index=False)
    files = json.dumps([plain(file) for file in source.files if file.symbol == symbol])
    return table.replace_schema_metadata({**(table.schema.metadata or {}), PROVENANCE: files.encode()})

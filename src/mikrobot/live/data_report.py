"""The quality and the halts of the symbols, in a file of the state folder that the worker writes.

The prediction service serves it as metrics; it opens no database.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from mikrobot.live import pid_records


@dataclass(frozen=True, slots=True)
class SymbolData:
    """The data of a symbol at the last close that the worker has handled.

    Attributes
    ----------
    quality : float
        Score, 0 to 1.
    halted : bool
    close_time : float
        Close of the bar with this score, seconds since 1970 UTC.
    """

    quality: float
    halted: bool
    close_time: float


def write(source: str, symbols: Mapping[str, SymbolData], home: Path) -> None:
    """Replace the report; a disk that cannot be written keeps the one before."""
    fresh = _path(home).with_suffix(".new")
    report = {"source": source, "symbols": {symbol: asdict(data) for symbol, data in symbols.items()}}
    try:
        fresh.write_text(json.dumps(report))
        fresh.replace(_path(home))
    except OSError:  # the supervisor and `status` report the disk
        return


def read(home: Path) -> tuple[str, dict[str, SymbolData]]:
    """Return the source and the last report by symbol of a worker that runs; no symbols without one."""
    if pid_records.find("worker", home) is None:
        return "", {}
    try:
        report = json.loads(_path(home).read_text())
        return report["source"], {symbol: SymbolData(**data) for symbol, data in report["symbols"].items()}
    except (OSError, ValueError, TypeError, KeyError):
        return "", {}


def forget(home: Path) -> None:
    """Remove the report of an earlier run."""
    _path(home).unlink(missing_ok=True)


def _path(home: Path) -> Path:
    return home / "run" / "data_quality"

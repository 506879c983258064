"""Benchmarks of bar files: reading them, compared with pandas and with the bytes; its memory; inspecting a long one."""

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from benchmarks.timing import Measurement, Timed, compared, scaled
from mikrobot.market.reading import Reading
from mikrobot.market.replay import read_bars
from mikrobot.workflows.inspect_files import inspect

ROWS = 1_000_000
INSPECTED = 2_400_000
FEWEST = 20_000
"""Rows on the smallest scale: a few weeks, so that weekends show the clock of a server."""

ROUNDS = 5

_OPEN_MINUTES = 5 * 1440

_PRICES = ["open", "high", "low", "close"]


def measure(scale: float = 1.0) -> Iterator[Measurement]:
    """Time and weigh the reading of a million rows in four formats, and time the inspection of a long file."""
    with TemporaryDirectory() as folder:
        bars = made_bars(scaled(ROWS, scale, least=FEWEST))
        for name, write, peer in _FORMATS:
            path = write(bars, Path(folder))
            yield compared(
                f"files, {len(bars):,} rows of {name}", "s",
                partial(read_bars, path), Timed("pandas", partial(peer, path)),
                limit=Timed("reading the bytes", path.read_bytes), rounds=scaled(ROUNDS, scale),
            )  # fmt: skip
            yield _memory(name, path, bars)
        yield _inspection(Path(folder), scale)


def made_bars(count: int) -> pd.DataFrame:
    """Return a random walk of foreign exchange, from Sunday to Friday 17:00 New York without a gap, since 2018.

    Returns
    -------
    DataFrame
        ``ts``, prices of five decimals, ``volume``, and ``points``, the spread in points.
    """
    minutes, rng = np.arange(count), np.random.default_rng(7)
    weeks = -(-count // _OPEN_MINUTES)
    opens = pd.date_range("2018-01-07 17:00", periods=weeks, freq="W-SUN", tz="America/New_York").as_unit("s").asi8
    ts = opens[minutes // _OPEN_MINUTES] + (minutes % _OPEN_MINUTES) * 60
    close = np.round(1.1 + 0.2 * np.sin(minutes / 9e4) + np.cumsum(rng.normal(0, 2e-6, count)), 5)
    opened = np.concatenate(([1.1], close[:-1]))
    high = np.round(np.maximum(opened, close) + rng.integers(0, 9, count) * 1e-5, 5)
    low = np.round(np.minimum(opened, close) - rng.integers(0, 9, count) * 1e-5, 5)
    prices = {"open": opened, "high": high, "low": low, "close": close}
    volume, points = rng.integers(1, 400, count), rng.integers(1, 20, count)
    return pd.DataFrame({"ts": pd.to_datetime(ts, unit="s", utc=True), **prices, "volume": volume, "points": points})


def _inspection(folder: Path, scale: float) -> Measurement:
    path = _parquet(made_bars(scaled(INSPECTED, scale, least=FEWEST)), folder)
    count = len(pd.read_parquet(path, columns=["ts"]))
    return compared(
        f"files, inspecting {count:,} bars of Parquet", "s",
        lambda: inspect([path], Reading()), Timed("pandas, reading and describing", lambda: _described(path)),
        limit=Timed("pandas, reading", lambda: pd.read_parquet(path)), rounds=scaled(ROUNDS, scale),
    )  # fmt: skip


def _described(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path).describe()


def _memory(name: str, path: Path, bars: pd.DataFrame) -> Measurement:
    """Weigh the most memory that a fresh process needs in addition while it reads a file."""
    frame = read_bars(path)[1].memory_usage(index=True).sum() / 1e6
    ours, peer = (_growth(name, path, reader) for reader in ("ours", "pandas"))
    return Measurement(
        f"files, memory of reading {len(bars):,} rows of {name}", "MB", ours, ours, "pandas", peer, "the frame", frame
    )


def growth(name: str, path: Path, reader: str) -> float:
    """Return the growth of the highest memory of this process while it reads a file, in MB."""
    call = read_bars if reader == "ours" else next(peer for format_name, _, peer in _FORMATS if format_name == name)
    before = _highest_mb()
    call(path)
    return _highest_mb() - before


def _growth(name: str, path: Path, reader: str) -> float:
    """Return `growth` of a fresh process."""
    arguments = f"{name!r}, Path({str(path)!r}), {reader!r}"
    program = f"from pathlib import Path; from benchmarks.files import growth; print(growth({arguments}))"
    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    return float(shown)


def _highest_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # getrusage there counts the memory of the parent too
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def _parquet(bars: pd.DataFrame, folder: Path) -> Path:
    path = folder / "EURUSD_M1.parquet"
    bars.drop(columns="points").assign(spread=bars["points"] * 1e-5).to_parquet(path)
    return path


def _metatrader(bars: pd.DataFrame, folder: Path) -> Path:
    local = _seconds(bars["ts"].dt.tz_convert("Europe/Athens").dt.tz_localize(None))
    columns = {
        "<DATE>": pc.strftime(local, "%Y.%m.%d"),
        "<TIME>": pc.strftime(local, "%H:%M:%S"),
        **{f"<{name.upper()}>": bars[name] for name in _PRICES},
        "<TICKVOL>": bars["volume"],
        "<VOL>": np.zeros(len(bars), dtype=np.int64),
        "<SPREAD>": bars["points"],
    }
    return _text(columns, folder / "EURUSD_M1_mt5.csv", delimiter="\t")


def _iso(bars: pd.DataFrame, folder: Path) -> Path:
    ts = pc.strftime(_seconds(bars["ts"].dt.tz_localize(None)), "%Y-%m-%dT%H:%M:%S+00:00")
    return _text({"ts": ts, **{name: bars[name] for name in (*_PRICES, "volume")}}, folder / "EURUSD_M1_iso.csv")


def _binance(bars: pd.DataFrame, folder: Path) -> Path:
    opened = bars["ts"].astype("int64").to_numpy() // 1_000_000
    zeros = np.zeros(len(bars), dtype=np.int64)
    columns = {
        "open_time": opened,
        **{name: bars[name] for name in (*_PRICES, "volume")},
        "close_time": opened + 59_999,
        **{name: zeros for name in ("quote_volume", "count", "taker_volume", "taker_quote_volume", "ignore")},
    }
    return _text(columns, folder / "BTCUSDT-1m-2018.csv", header=False)


def _text(columns: dict[str, Any], path: Path, *, delimiter: str = ",", header: bool = True) -> Path:
    table = pa.table({name: pa.array(column) for name, column in columns.items()})
    csv.write_csv(table, path, csv.WriteOptions(include_header=header, delimiter=delimiter, quoting_style="none"))
    return path


def _seconds(times: pd.Series) -> pa.Array:
    return pa.array(times.to_numpy("datetime64[s]"))


def _pandas_metatrader(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, sep="\t")
    frame["ts"] = pd.to_datetime(frame["<DATE>"] + " " + frame["<TIME>"], format="%Y.%m.%d %H:%M:%S")
    return frame


def _pandas_iso(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, parse_dates=["ts"])


def _pandas_binance(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, header=None)
    frame["ts"] = pd.to_datetime(frame[0], unit="ms", utc=True)
    return frame


_FORMATS: tuple[tuple[str, Callable[[pd.DataFrame, Path], Path], Callable[[Path], Any]], ...] = (
    ("Parquet", _parquet, pd.read_parquet),
    ("CSV of MetaTrader 5", _metatrader, _pandas_metatrader),
    ("CSV with ISO times", _iso, _pandas_iso),
    ("CSV with epochs, of Binance", _binance, _pandas_binance),
)

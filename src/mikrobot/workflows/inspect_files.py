"""What bar files hold: their format, clock, span, gaps and spreads, and what would be refused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mikrobot.analytics import bar_file_page
from mikrobot.analytics.bar_file_page import Section
from mikrobot.analytics.charts import bar_file
from mikrobot.domain.errors import MikrobotError
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.instruments.sessions import SESSIONS
from mikrobot.market.bar_files import bar_files
from mikrobot.market.border import microseconds
from mikrobot.market.clocks import NAMED as CLOCKS
from mikrobot.market.reading import Reading
from mikrobot.market.replay import Provenance, ReplaySource
from mikrobot.market.sessions import DAY_MINUTES, WEEK_MINUTES, holiday_minutes, open_minutes, week_minutes

GAP_SIZES = (("up to 5 min", 5), ("up to 1 h", 60), ("up to 24 h", 1440), ("over 24 h", None))
"""Sizes of gaps by their minutes without a bar while the market was open."""

SPIKE = 30.0
"""A bar whose range is so many times the median range of its day counts as a spike."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a bar file holds.

    Attributes
    ----------
    file : Provenance
    bars : int
    first, last : datetime
        Open time of the first bar and of the last, UTC.
    gaps : mapping of str to int
        Number of gaps by size; minutes in which the market is closed do not count.
    longest_gap : (datetime, int)
        Open time of the last bar before the longest gap, and its open minutes; 0 minutes if there is no gap.
    spikes : int
    flat_share, zero_volume_share : float or None
        Share of bars whose four prices are equal, and of those without volume; None where the volume is unknown.
    spread : mapping of str to float
        Quantiles of the spread in price units: p5, p50, p95; empty where it is unknown.
    notes : tuple of str
        What was assumed or left out.
    """

    file: Provenance
    bars: int
    first: datetime
    last: datetime
    gaps: dict[str, int]
    longest_gap: tuple[datetime, int]
    spikes: int
    flat_share: float
    zero_volume_share: float | None
    spread: dict[str, float]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that would be refused, and why."""

    path: Path
    reason: str


def inspect(paths: Sequence[Path], reading: Reading) -> list[Inspected | Refused]:
    """Inspect bar files, each for itself where they cannot be read together.

    The files of one symbol are read together where this works, since the weekends of one show the clock of the others.
    """
    files = [file for path in paths for file in bar_files(path)]
    try:
        return _together(files, reading)
    except MikrobotError:
        return [_alone(file, reading) for file in files]


def _alone(path: Path, reading: Reading) -> Inspected | Refused:
    try:
        (inspected,) = _together([path], reading)
    except MikrobotError as error:
        return Refused(path, str(error))
    return inspected


def _together(paths: Sequence[Path], reading: Reading) -> list[Inspected | Refused]:
    source = ReplaySource(paths, reading)
    return [_inspected(file, source.bars_of(file.path), source.notes) for file in source.files]


def write_page(page: Path, entries: Sequence[Inspected | Refused], reading: Reading) -> None:
    """Write what files hold as an HTML page with charts.

    Raises
    ------
    StoreError
        If the page cannot be written.
    """
    sections = [
        Section(str(entry.path), [("refused", entry.reason)])
        if isinstance(entry, Refused)
        else Section(str(entry.file.path), facts(entry), _charts(entry, reading))
        for entry in entries
    ]
    bar_file_page.write(page, sections)


def facts(inspected: Inspected) -> list[tuple[str, str]]:
    """Return what a file holds in words, fact by fact."""
    file, (at, minutes) = inspected.file, inspected.longest_gap
    gaps = ", ".join(f"{count:,} of {size}" for size, count in inspected.gaps.items() if count)
    longest = f"; the longest {minutes:,} min after {at:%Y-%m-%d %H:%M}"
    share = inspected.zero_volume_share
    without = "unknown, the file has no volume" if share is None else f"{share:.2%}, unit {file.volume}"
    spread = ", ".join(f"{name} {value:.6g}" for name, value in inspected.spread.items())
    span = f"{inspected.first:%Y-%m-%d %H:%M} to {inspected.last:%Y-%m-%d %H:%M} UTC"
    return [
        ("symbol", file.symbol),
        ("format", f"{file.format}: {file.vendor}"),
        ("clock", file.clock if file.evidence == file.clock else f"{file.clock}: {file.evidence}"),
        ("bars", f"{inspected.bars:,}, {span}" + (f", of {file.ticks:,} ticks" if file.ticks else "")),
        ("gaps while open", gaps + longest if gaps else "none"),
        ("spikes", f"{inspected.spikes:,} with a range over {SPIKE:.0f} times the median of their day"),
        ("flat bars", f"{inspected.flat_share:.2%}"),
        ("bars without volume", without),
        ("spread in price units", f"{spread}; written in {file.spread}" if spread else "unknown"),
        *(("note", note) for note in inspected.notes),
    ]


def _charts(inspected: Inspected, reading: Reading) -> dict[str, str]:
    """Return the charts of a file, read again in the clock that was decided for all files of its symbol."""
    clock = reading.clock or (inspected.file.clock if inspected.file.clock in CLOCKS else None)
    source = ReplaySource([inspected.file.path], replace(reading, clock=clock))
    bars = source.bars_of(inspected.file.path)
    charts = {"Price": bar_file.price_figure(bars), "Missing minutes": bar_file.gaps_figure(_missing(inspected, bars))}
    if bars["volume"].notna().any():
        charts[f"Median volume by hour, in {inspected.file.volume}"] = bar_file.volume_figure(bars)
    return charts


def _missing(inspected: Inspected, bars: pd.DataFrame) -> pd.Series:
    """Return the open minutes without a bar by day, from the first bar to the last."""
    session = instrument(inspected.file.symbol).session
    days = pd.date_range(inspected.first.date(), inspected.last.date())
    expected = []
    for day in days:
        start = day.to_pydatetime().replace(tzinfo=UTC)
        bounds = [(time - start) // timedelta(minutes=1) for time in (inspected.first, inspected.last)]
        minutes = open_minutes(session, start)
        expected.append(int(((minutes >= bounds[0]) & (minutes <= bounds[1])).sum()))
    there = bars["open_time"].dt.tz_localize(None).dt.floor("D").value_counts().reindex(days, fill_value=0)
    return pd.Series(np.maximum(np.array(expected) - there.to_numpy(), 0), days)


def _inspected(file: Provenance, frame: pd.DataFrame, notes: Sequence[str]) -> Inspected:
    gaps, longest = _gaps(file.symbol, frame)
    flat = (frame["high"] == frame["low"]) & (frame["open"] == frame["close"])
    spread = frame["spread"].dropna()
    quantiles = {f"p{share}": float(spread.quantile(share / 100)) for share in (5, 50, 95)} if len(spread) else {}
    return Inspected(
        file,
        len(frame),
        frame["open_time"].iloc[0].to_pydatetime(),
        frame["open_time"].iloc[-1].to_pydatetime(),
        gaps,
        longest,
        _spikes(frame),
        float(flat.mean()),
        float((frame["volume"] == 0).mean()) if frame["volume"].notna().any() else None,
        quantiles,
        tuple(note for note in notes if note.startswith(file.path.name)),
    )


def _gaps(symbol: str, frame: pd.DataFrame) -> tuple[dict[str, int], tuple[datetime, int]]:
    times = microseconds(frame["open_time"])
    open_until = _open_minutes(symbol, times)
    missing = np.diff(open_until) - 1
    counts, lower = {}, 0
    for label, upper in GAP_SIZES:
        counts[label] = int(((missing > lower) & (missing <= (upper or np.inf))).sum())
        lower = upper or lower
    if not len(missing) or missing.max() <= 0:
        return counts, (frame["open_time"].iloc[0].to_pydatetime(), 0)
    place = int(missing.argmax())
    return counts, (frame["open_time"].iloc[place].to_pydatetime(), int(missing[place]))


def _open_minutes(symbol: str, times: Any) -> Any:
    """Return for each time the minutes, since some fixed one, in which the market was open before it."""
    minutes, name = times // 60_000_000, instrument(symbol).session
    session = SESSIONS[name]
    if session is None:
        return minutes
    since = week_minutes(times)
    week, closed = (minutes - since) // (7 * DAY_MINUTES), session.pause[1] - session.pause[0]
    day, minute = np.divmod(np.minimum(since, WEEK_MINUTES), DAY_MINUTES)
    opened = day * (DAY_MINUTES - closed) + np.maximum(minute - closed, 0)  # the break begins the day, at 17:00
    return week * (WEEK_MINUTES - 5 * closed) + opened - holiday_minutes(name, minutes)


def _spikes(frame: pd.DataFrame) -> int:
    ranges = (frame["high"] - frame["low"]) / frame["close"]
    usual = ranges.groupby(frame["open_time"].dt.floor("D")).transform("median")
    return int(((ranges > SPIKE * usual) & (usual > 0)).sum())

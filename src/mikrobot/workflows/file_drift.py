"""The drift verdict of every window of a bar file, next to that of the fixed limit of the PSI."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from mikrobot.domain.errors import UsageError
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.market.feed import chunks
from mikrobot.market.reading import Reading
from mikrobot.market.replay import ReplaySource
from mikrobot.monitoring.drift_reference import DriftReference, make_reference, windows
from mikrobot.monitoring.drift_verdict import WindowDrift, judge
from mikrobot.monitoring.fixed_limit import exceeds_fixed_limit

SAMPLED_EVERY = 5
"""One of so many rows is compared: rows of adjacent minutes are nearly equal."""

WARM_UP = timedelta(days=60)
"""Bars before the reference from which the slow features are computed, where the file has them."""

Progress = Callable[[str, float], None]
"""Called with the current step and the completed share, 0 to 1."""

_KEPT = [spec.name for spec in CATALOG.specs if not spec.moves_with]


@dataclass(frozen=True, slots=True)
class FileDrift:
    """The drift of a bar file.

    Attributes
    ----------
    symbol : str
    reference : DriftReference
    windows : list of WindowDrift
    fixed_limit : list of bool
        For each window, whether it has drifted by `monitoring.fixed_limit`.
    """

    symbol: str
    reference: DriftReference
    windows: list[WindowDrift]
    fixed_limit: list[bool]

    @property
    def verdicts(self) -> int:
        """Number of times that drift began."""
        return sum(window.onset for window in self.windows)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "symbol": self.symbol,
            "reference": {"from": self.reference.since, "to": self.reference.until},
            "compared": len(self.reference.columns),
            "left_out": dict(self.reference.left_out),
            "share_limit": self.reference.share_limit,
            "shift_limit": self.reference.shift_limit,
            "windows": [
                {
                    "from": window.since,
                    "to": window.until,
                    "verdict": window.verdict,
                    "onset": window.onset,
                    "share": window.share,
                    "mean_shift": window.mean_shift,
                    "volatility": window.volatility,
                    "drifted": window.drifted,
                    "reasons": list(window.reasons),
                    "fixed_limit": "drift" if fixed else "stable",
                }
                for window, fixed in zip(self.windows, self.fixed_limit, strict=True)
            ],
            "verdicts": self.verdicts,
            "fixed_limit_verdicts": sum(self.fixed_limit),
        }


def judge_file(
    file: Path,
    since: datetime,
    until: datetime,
    window: timedelta,
    *,
    reading: Reading,
    progress: Progress = lambda text, share: None,
) -> FileDrift:
    """Judge every window of a bar file after a reference in it.

    Parameters
    ----------
    file : Path
        M1 bars of one symbol.
    since, until : datetime
        Span of the reference, UTC.
    window : timedelta

    Raises
    ------
    BarError, UnknownSymbol
        As `ReplaySource`.
    UsageError
        If the file has several symbols, or its bars do not cover the reference and a window after it.
    DataError
        If the reference has too few windows; see `make_reference`.
    """
    source = ReplaySource([file], reading)
    if len(source.symbols()) != 1:
        raise UsageError(f"{file}: expected bars of one symbol, found {', '.join(source.symbols())}; give one file")
    (symbol,) = source.symbols()
    first, last = source.span(symbol)
    if since < first - window or until + window > last:
        raise UsageError(
            f"{file} has bars from {first:%Y-%m-%d} to {last:%Y-%m-%d}: --reference {since:%Y-%m-%d}..{until:%Y-%m-%d} "
            f"and a window of {window.days} days after it do not lie within them"
        )
    rows = _rows(source, max(first, since - WARM_UP), last, since, progress=progress)
    progress(f"{symbol} reference", 0.9)
    reference = make_reference(rows, CATALOG.columns, since, until, window=window)
    judged = judge(reference, rows, last)
    progress(f"{symbol} fixed limit", 0.95)
    whole = pd.concat([part for _, part in windows(rows, since, until, window)])
    parts = [part for _, part in windows(rows, until, last, window)]
    return FileDrift(symbol, reference, judged, exceeds_fixed_limit(whole, parts, list(reference.columns)))


def _rows(source: ReplaySource, start: datetime, end: datetime, since: datetime, *, progress: Progress) -> pd.DataFrame:
    """Return the sampled rows of the bars that open in [start, end), those from about `since` on."""
    (symbol,) = source.symbols()
    pipeline = FeaturePipeline([symbol])
    parts = []
    for opened, until in chunks(start, end):
        progress(f"{symbol} {opened:%Y-%m-%d}", 0.9 * ((opened - start) / (end - start)))
        frame = pipeline.frame(symbol, source.history(symbol, opened, until), None)
        if until > since:
            parts.append(frame.loc[::SAMPLED_EVERY, ["close_time", *_KEPT]].astype(dict.fromkeys(_KEPT, "f4")))
    return pd.concat(parts, ignore_index=True)

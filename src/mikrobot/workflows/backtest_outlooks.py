"""The outlooks at the closes of recorded bars, of a model or of the rules alone, from feature rows computed here.

Does not trade.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import merge
from typing import Any

import numpy as np
import pandas as pd

from mikrobot.analytics.assessment import RULES
from mikrobot.decision.outlook import Outlook
from mikrobot.domain.instruments.registry import leads, leads_first
from mikrobot.domain.market import Bar, bars_of, close_times
from mikrobot.domain.trading import answered_by
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.live.trader import ATR, outlook
from mikrobot.workflows.registered import Answering

Frames = Mapping[str, pd.DataFrame]
BarOutlook = tuple[Bar, Outlook | None]
"""A bar and the outlook at its close; None for closes without a decision."""

AT_ONCE = 50_000
"""Bars of a symbol whose feature rows are in memory at once."""

OUTLOOK = ("atr", "above", "below", "up", "down", "by")
"""Columns of a frame of outlooks; those that strategies read follow."""


def columns_read(
    models: Mapping[str, Answering], levels: Mapping[str, tuple[str, str]], strategies: Iterable[str]
) -> list[str]:
    """Return the feature columns that the levels, the models and the strategies read."""
    shown = [name for answering in models.values() for name in answering.model.spec.columns]
    return list(dict.fromkeys([ATR, *(name for both in levels.values() for name in both), *shown, *strategies]))


def feature_rows(bars: Frames, wanted: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Compute the feature rows of symbols piece by piece, leads first, and keep the wanted columns."""
    picked = [CATALOG.columns.index(name) for name in wanted]
    led_by, lead_rows = leads(bars), dict[str, pd.DataFrame]()
    for symbol in leads_first(bars):
        frame, lead = bars[symbol], lead_rows.get(led_by.get(symbol, ""))
        if symbol in led_by.values():
            lead_rows[symbol] = FeaturePipeline([symbol]).lead_rows(symbol, frame)
        pipeline = FeaturePipeline([symbol])
        pieces = (frame.iloc[first : first + AT_ONCE] for first in range(0, len(frame), AT_ONCE))
        values = [pipeline.compute(symbol, piece, lead)[:, picked] for piece in pieces]
        yield symbol, pd.DataFrame(np.concatenate(values), index=pd.DatetimeIndex(close_times(frame)), columns=wanted)


def by_model(answering: Answering, rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return a model's outlooks for feature rows, at the levels that it was trained on, with further columns."""
    spec = answering.model.spec
    above, below = answering.levels
    chances = answering.model.predict(rows[list(spec.columns)].to_numpy("float64"))
    by = answered_by(answering.name, spec.version, spec.symbols)
    return _outlooks(rows, rows[above], rows[below], chances[:, 0], down=chances[:, 1], by=by, columns=columns)


def by_rules(bars: pd.DataFrame, rows: pd.DataFrame, levels: tuple[str, str], columns: Sequence[str]) -> pd.DataFrame:
    """Return the outlooks of the rules alone: probability 1 of a break if a close is beyond the previous close's level.

    Parameters
    ----------
    bars : DataFrame
        A bar frame.
    rows : DataFrame
        The feature rows of its closes.
    levels : (str, str)
        Columns of the levels above and below.
    columns : sequence of str
        The further columns that strategies read.
    """
    above, below, close = rows[levels[0]].shift(), rows[levels[1]].shift(), bars["close"].to_numpy()
    broken, down = (close > above).astype(float), (close < below).astype(float)
    return _outlooks(rows, above, below, broken, down=down, by=RULES, columns=columns)


def market_of(bars: Frames, outlooks: Mapping[str, pd.DataFrame]) -> Iterator[BarOutlook]:
    """Merge symbols by time; outlooks have the columns `OUTLOOK` by close, and no row for closes without a decision."""
    return merge(*(_bar_outlooks(symbol, frame, outlooks[symbol]) for symbol, frame in bars.items()), key=_close)


def _outlooks(
    rows: pd.DataFrame, above: Any, below: Any, up: Any, *, down: Any, by: str, columns: Sequence[str]
) -> pd.DataFrame:
    numbers = dict(zip(OUTLOOK[:-1], (rows[ATR], above, below, up, down), strict=True))
    return pd.DataFrame(numbers, rows.index, dtype="float64").assign(by=by, **{name: rows[name] for name in columns})


def _bar_outlooks(symbol: str, frame: pd.DataFrame, outlooks: pd.DataFrame) -> Iterator[BarOutlook]:
    """Yield the bars of one symbol with the outlooks at their closes."""
    for first in range(0, len(frame), AT_ONCE):
        piece = frame.iloc[first : first + AT_ONCE]
        closes = pd.DatetimeIndex(close_times(piece))
        decided = closes.isin(outlooks.index).tolist()
        values = outlooks.reindex(closes).to_numpy().tolist()
        rows = zip(bars_of(symbol, piece), values, decided, strict=True)
        columns = list(outlooks.columns[len(OUTLOOK) :])
        for bar, (atr, above, below, up, down, by, *more), has_outlook in rows:
            features = dict(zip(columns, more, strict=True))
            yield (
                bar,
                outlook(bar, atr, above, below, up=up, down=down, by=by, features=features) if has_outlook else None,
            )


def _close(pair: BarOutlook) -> datetime:
    return pair[0].close_time

"""Control markets without an edge, derived from real bars: a check that the pipeline finds no skill in noise.

The controls keep the times, volumes and spreads of the bars and replace only the prices. The direction of
the next bar is random in both, so the uplift over a volatility baseline must be about 0.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.market import close_times
from mikrobot.settings import Settings
from mikrobot.training.computed import rows_of
from mikrobot.training.dataset import build, needed
from mikrobot.training.evaluation_figures import Evaluation
from mikrobot.training.pipeline import study
from mikrobot.training.recipes import recipe_of

Floats = NDArray[np.float64]

STEPS = 12
"""Gaussian steps per bar."""

_WEEK = 7 * 1440
_TAIL = 0.0005
_SMOOTHED = 7
"""Minutes of the week over which the seasonal deviation of the Gaussian walk is smoothed."""


def controls(bars: Mapping[str, pd.DataFrame], seed: int) -> dict[str, dict[str, pd.DataFrame]]:
    """Return both controls, ``flipped`` and ``gaussian``, of these bars.

    Parameters
    ----------
    bars : mapping of str to DataFrame
        Bar frames by symbol.
    seed : int
    """
    rng = np.random.default_rng(seed)
    return {
        "flipped": {symbol: flipped(frame, rng) for symbol, frame in bars.items()},
        "gaussian": {symbol: gaussian(frame, rng) for symbol, frame in bars.items()},
    }


def control(name: str, bars: Mapping[str, pd.DataFrame], settings: Settings) -> dict[str, Evaluation]:
    """Train and evaluate a model on both controls of these bars.

    Returns
    -------
    dict
        Evaluations on ``flipped`` and ``gaussian``, each of a separate model on its own test span. An uplift over
        the baselines that is not about 0 shows an error of the pipeline.

    Raises
    ------
    ModelError, LeakageError
        As `pipeline.train`.
    """
    recipe = recipe_of(name, settings)
    evaluations = {}
    for kind, market in controls(bars, settings.seed).items():
        rows = rows_of(market, needed(recipe.inputs, recipe.task))
        data = build(market, rows, f"{kind} control", recipe.inputs, task=recipe.task)
        evaluations[kind] = study(recipe, data, settings)
    return evaluations


def flipped(bars: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Flip the direction of every bar, and of every jump between bars, at random.

    Ranges, gaps and volatility are unchanged to the minute; only the dependence of a bar's direction on
    earlier bars is removed.

    Parameters
    ----------
    bars : DataFrame
        A bar frame.
    rng : Generator
    """
    if bars.empty:
        return bars.copy()
    opened, high, low, close = (np.log(bars[name].to_numpy(np.float64)) for name in ("open", "high", "low", "close"))
    up = rng.random(len(bars)) < 0.5
    jump = np.concatenate([[0.0], opened[1:] - close[:-1]]) * rng.choice([-1.0, 1.0], len(bars))
    body = np.where(up, close - opened, opened - close)
    end = opened[0] + np.cumsum(jump + body)
    start = end - body
    above, below = np.where(up, high - opened, opened - low), np.where(up, opened - low, high - opened)
    return _priced(bars, start, start + above, start - below, close=end)


def gaussian(bars: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Simulate a Gaussian walk whose deviation is that of the bars at the same minute of the week.

    Parameters
    ----------
    bars : DataFrame
        A bar frame.
    rng : Generator
    """
    if bars.empty:
        return bars.copy()
    path = rng.normal(size=(len(bars), STEPS)).cumsum(axis=1) * (_season(bars) / np.sqrt(STEPS))[:, None]
    end = np.log(bars["open"].iloc[0]) + path[:, -1].cumsum()
    start = end - path[:, -1]
    return _priced(
        bars, start, start + np.maximum(path.max(axis=1), 0), start + np.minimum(path.min(axis=1), 0), close=end
    )


def _season(bars: pd.DataFrame) -> Floats:
    """Return the smoothed deviation at the minute of the week (New York time) of each bar."""
    close = np.log(bars["close"].to_numpy(np.float64))
    moves = np.diff(close, prepend=close[0])
    moves = np.clip(moves, *np.quantile(moves, (_TAIL, 1 - _TAIL)))
    local = close_times(bars).dt.tz_convert("America/New_York")
    minute = (local.dt.dayofweek * 1440 + local.dt.hour * 60 + local.dt.minute).to_numpy()
    square, count = np.bincount(minute, moves**2, _WEEK), np.bincount(minute, minlength=_WEEK)
    around = [np.convolve(np.pad(x, _SMOOTHED // 2, "wrap"), np.ones(_SMOOTHED), "valid") for x in (square, count)]
    mean = np.divide(around[0], around[1], out=np.full(_WEEK, (moves**2).mean()), where=around[1] > 0)
    return np.asarray(np.sqrt(np.maximum(mean[minute], 1e-14)))


def _priced(bars: pd.DataFrame, opened: Floats, high: Floats, low: Floats, *, close: Floats) -> pd.DataFrame:
    prices = {"open": np.exp(opened), "high": np.exp(high), "low": np.exp(low), "close": np.exp(close)}
    prices["high"] = np.maximum.reduce([prices[name] for name in ("open", "high", "close")])
    prices["low"] = np.minimum.reduce([prices[name] for name in ("open", "low", "close")])
    return bars.assign(**prices)

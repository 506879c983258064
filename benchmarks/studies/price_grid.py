"""Study behind docs/results.md: calibration and skill where the grid of prices is coarse.

::

    python -m benchmarks.studies.price_grid ../shared/data/perp/FILUSDT_PERP_M1_2023_2025.parquet \
        2023-02-01 2024-07-01 2025-05-01 --coarser 1 2 3 5 10

Trains the break model on the first span and judges it on the second one, whose prices are put on grids of so many
ticks: opens and closes at the bid or the ask of a spread of one step, at random with the price between them as mean,
highs at the ask and lows at the bid. Prints Markdown.
"""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.market import close_times
from mikrobot.market.replay import read_bars
from mikrobot.models.catalog import TRADED
from mikrobot.models.labels.samples import thin
from mikrobot.settings import Settings, load
from mikrobot.training import dataset
from mikrobot.training.computed import rows_of
from mikrobot.training.dataset import Dataset
from mikrobot.training.evaluation import fit_baselines, predict_baselines
from mikrobot.training.fitting import Fitted, answers, fit
from mikrobot.training.recipes import Recipe, recipe_of
from mikrobot.training.rolling import Predictions, intervals
from mikrobot.training.scores import auc, calibration_error
from mikrobot.training.splits import walk_forward
from mikrobot.training.uplift import uplift

HEADER = (
    "| symbol | grid | tick in deviations of a minute | AUC model, HAR-S | Brier skill over HAR-S, over ATR "
    "| calibration error, of HAR-S, on a rolling window |"
)
LARGEST_STEP = 1e-9
"""Share of a price below which a difference is a rounding error."""

Floats = NDArray[np.float64]


def coarser(bars: pd.DataFrame, steps: int, since: datetime, seed: int) -> pd.DataFrame:
    """Return the bars with the prices after an instant on a grid of so many ticks."""
    if steps == 1:
        return bars
    rng, later = np.random.default_rng(seed), (close_times(bars) > pd.Timestamp(since)).to_numpy()
    step = steps * tick_of(bars[later])
    prices = {name: bars[name].to_numpy(np.float64) / step for name in ("open", "high", "low", "close")}
    grid = {"high": np.ceil(prices["high"] - LARGEST_STEP), "low": np.floor(prices["low"] + LARGEST_STEP)}
    for name in ("open", "close"):
        bid = np.floor(prices[name] + LARGEST_STEP)
        grid[name] = np.clip(bid + (rng.random(len(bid)) < prices[name] - bid), grid["low"], grid["high"])
    return bars.assign(**{name: np.where(later, np.round(grid[name] * step, 10), bars[name]) for name in grid})


def tick_of(bars: pd.DataFrame) -> float:
    """Return the finest step between two closes."""
    steps = np.abs(np.diff(bars["close"].to_numpy(np.float64)))
    return float(steps[steps > LARGEST_STEP * bars["close"].max()].min())


def coarseness(bars: pd.DataFrame) -> float:
    """Return the tick in standard deviations of a move of a minute."""
    closes = np.log(bars["close"].to_numpy(np.float64))
    return tick_of(bars) / float(bars["close"].median()) / float(np.diff(closes).std())


def samples(symbol: str, bars: pd.DataFrame, recipe: Recipe, without: Sequence[str]) -> Dataset:
    """Return the samples of these bars, with some inputs missing."""
    rows = rows_of({symbol: bars}, dataset.needed(recipe.inputs, recipe.task))
    data = dataset.build({symbol: bars}, rows, "replay", recipe.inputs, task=recipe.task)
    data.inputs[:, [recipe.inputs.names.index(name) for name in without]] = np.nan
    return data


def row(symbol: str, grid: str, tick: float, *, model: tuple[Recipe, Fitted], data: Dataset) -> str:
    """Return a row of the table."""
    recipe, fitted = model
    probability = answers(recipe, fitted, data, np.arange(len(data)))
    baselines = predict_baselines(fitted.diffusion, data, recipe.inputs)
    skill = [uplift(probability, baselines[name], data.outcome, data.time, seed=1) for name in ("forecast", "atr")]
    rolling = intervals(Predictions(probability, data.outcome, data.time, data.end))["ece"]
    return (
        f"| {symbol} | {grid} | {tick:.2f} "
        f"| {auc(probability, data.outcome):.4f}, {auc(baselines['forecast'], data.outcome):.4f} "
        f"| {skill[0].brier_skill}, {skill[1].brier_skill} "
        f"| {calibration_error(probability, data.outcome):.4f}, "
        f"{calibration_error(baselines['forecast'], data.outcome):.4f}, "
        f"{'none' if rolling is None else f'{rolling:.4f}'} |"
    )


def trained(data: Dataset, until: np.datetime64, settings: Settings) -> tuple[Recipe, Fitted]:
    """Train the break model on the samples whose outcome was known at an instant."""
    recipe = recipe_of(TRADED, settings)
    own = data.only(np.flatnonzero(data.end <= until))
    split = walk_forward(own.time, own.end, recipe.horizon)
    diffusion = fit_baselines(own, split.train, recipe.task, recipe.inputs)
    return recipe, fit(recipe, own, split, diffusion, settings=settings, progress=lambda stage, share: None)


def main() -> None:
    """Print a table with a row for each grid."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    for name in ("since", "trained_until", "until"):
        parser.add_argument(name, type=lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC))
    parser.add_argument("--coarser", type=int, nargs="+", default=[1])
    parser.add_argument("--without", nargs="+", default=[], help="inputs that the model does not get")
    parser.add_argument("--samples", type=int, default=1_000_000, help="judged samples, evenly spread")
    asked = parser.parse_args()
    settings, recipe = load(trials=0), recipe_of(TRADED, load(trials=0))
    symbol, bars = read_bars(asked.file)
    closes = close_times(bars)
    own = bars[(closes > pd.Timestamp(asked.since)) & (closes <= pd.Timestamp(asked.until))].reset_index(drop=True)
    cut = np.datetime64(asked.trained_until.replace(tzinfo=None))
    data = samples(symbol, own, recipe, asked.without)
    model = trained(data, cut, settings)
    print(f"{HEADER}\n|{'---|' * 6}", flush=True)
    for steps in asked.coarser:
        judged = coarser(own, steps, asked.trained_until, settings.seed)
        data = data if steps == 1 else samples(symbol, judged, recipe, asked.without)
        later = data.only(thin(np.flatnonzero(data.time > cut), asked.samples))
        tick = coarseness(judged[(close_times(judged) > pd.Timestamp(asked.trained_until)).to_numpy()])
        print(row(symbol, "as recorded" if steps == 1 else f"{steps} ticks", tick, model=model, data=later), flush=True)


if __name__ == "__main__":
    main()

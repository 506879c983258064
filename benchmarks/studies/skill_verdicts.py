"""Study behind docs/drift.md: the verdicts on the predictions of a model in the year after its training.

::

    python -m benchmarks.studies.skill_verdicts ../shared/data/fx/EURUSD_M1.parquet 2018-01-01 2019-07-01 2020-07-01

Trains the break model on the first span, predicts every minute of the second, joins the outcomes, and judges windows of
a day and of a week. Prints Markdown.
"""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.drift import DriftKind
from mikrobot.domain.market import close_times
from mikrobot.market.replay import read_bars
from mikrobot.models.catalog import TRADED
from mikrobot.monitoring.outcomes import Outcomes
from mikrobot.monitoring.performance_verdict import judge, of_windows
from mikrobot.settings import Settings, load
from mikrobot.training import dataset
from mikrobot.training.computed import rows_of
from mikrobot.training.evaluation import fit_baselines
from mikrobot.training.fitting import answers, fit
from mikrobot.training.recipes import recipe_of
from mikrobot.training.rolling import Predictions, intervals
from mikrobot.training.scores import calibration_error
from mikrobot.training.splits import walk_forward


def predictions(symbol: str, bars: pd.DataFrame, trained_until: datetime, settings: Settings) -> Outcomes:
    """Train on the bars up to an instant; return the predictions after it with their outcomes."""
    recipe = recipe_of(TRADED, settings)
    rows = rows_of({symbol: bars}, dataset.needed(recipe.inputs, recipe.task))
    data = dataset.build({symbol: bars}, rows, "replay", recipe.inputs, task=recipe.task)
    cut = np.datetime64(trained_until.replace(tzinfo=None))
    trained = data.only(np.flatnonzero(data.end <= cut))
    split = walk_forward(trained.time, trained.end, recipe.horizon)
    diffusion = fit_baselines(trained, split.train, recipe.task, recipe.inputs)
    fitted = fit(recipe, trained, split, diffusion, settings=settings, progress=lambda stage, share: None)
    later = np.flatnonzero(data.time > cut)
    minute = data.time[later].astype("datetime64[m]").astype(np.int64)
    return Outcomes(minute, data.side[later], answers(recipe, fitted, data, later), data.outcome[later])


def calibration(outcomes: Outcomes, horizon: int) -> str:
    """Return the calibration errors of the probabilities as trained, and on a rolling window of their outcomes."""
    time: NDArray[np.datetime64] = outcomes.minute.astype("datetime64[m]")
    judged = Predictions(outcomes.probability, outcomes.outcome, time, np.add(time, np.timedelta64(horizon, "m")))
    rolling = intervals(judged)["ece"]
    return (
        f"calibration error {calibration_error(outcomes.probability, outcomes.outcome):.4f} as trained, "
        f"{'none' if rolling is None else f'{rolling:.4f}'} on a rolling window"
    )


def main() -> None:
    """Print a table of the verdicts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    for name in ("since", "trained_until", "until"):
        parser.add_argument(name, type=lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC))
    asked = parser.parse_args()
    settings = load(trials=0)
    symbol, bars = read_bars(asked.file)
    closes = close_times(bars)
    own = bars[(closes > pd.Timestamp(asked.since)) & (closes <= pd.Timestamp(asked.until))].reset_index(drop=True)
    outcomes = predictions(symbol, own, asked.trained_until, settings)
    print(f"{symbol}: {calibration(outcomes, settings.horizon_minutes)}\n")
    print("| symbol | windows | judged | verdict on | drifted | verdicts | reasons of the first |")
    print(f"|{'---|' * 7}")
    for days in (1, 7):
        windows = of_windows(
            outcomes, asked.trained_until, asked.until, timedelta(days=days),
            horizon=settings.horizon_minutes, entry=settings.entry_probability,
        )  # fmt: skip
        verdicts = judge(windows)
        for kind in (DriftKind.CALIBRATION, DriftKind.CONCEPT):
            judged = [verdict for verdict in verdicts if verdict.kind is kind]
            onsets = [verdict for verdict in judged if verdict.onset]
            why = f"{onsets[0].since:%Y-%m-%d}: {'; '.join(onsets[0].reasons)}" if onsets else ""
            print(
                f"| {symbol} | {days} d | {len(judged)} | {kind} | {sum(verdict.drifted for verdict in judged)} "
                f"| {len(onsets)} | {why} |"
            )


if __name__ == "__main__":
    main()

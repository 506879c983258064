"""The served break model on real bars: trained on an earlier span, evaluated on a later one with rolling windows."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.studies import results
from mikrobot.models.conformal import Intervals
from mikrobot.settings import Settings
from mikrobot.training.dataset import Dataset
from mikrobot.training.evaluation import fit_baselines
from mikrobot.training.fitting import fit, uncalibrated
from mikrobot.training.recipes import recipe_of
from mikrobot.training.rolling import Predictions, intervals, windows
from mikrobot.training.scores import scores
from mikrobot.training.splits import at_instants

SHARED = Path(__file__).parents[4] / "shared/data"
SPANS = {
    "BTCUSDT": ("2025-03-15", "2025-04-05", "2025-05-01", "2025-06-15"),
    "EURUSD": ("2020-02-20", "2020-03-15", "2020-04-20", "2020-06-15"),
}
"""Start dates of the training, calibration and test spans, and the end."""

pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="the shared market data are not on this machine")


@dataclass(frozen=True)
class Judged:
    """Calibrated scores of the test span and of the span before it, and the probabilities served after training."""

    later: Predictions
    earlier: Predictions
    served: np.ndarray


@pytest.fixture(params=SPANS, scope="module")
def judged(request: pytest.FixtureRequest) -> Judged:
    first, calibrated_from, judged_from, end = SPANS[request.param]
    settings = Settings(trials=0)
    recipe = replace(recipe_of("bos", settings), compared={})
    data = results.samples(results.bars_of(SHARED, request.param, first, end), recipe)
    split = at_instants(data.time, data.end, recipe.horizon, calibrated_from, test_from=judged_from)
    diffusion = fit_baselines(data, split.train, recipe.task, recipe.inputs)
    fitted = fit(recipe, data, split, diffusion, settings=settings, progress=lambda stage, share: None)

    def predictions(rows: Any) -> Predictions:
        own: Dataset = data.only(rows)
        score = fitted.calibration(uncalibrated(recipe, fitted, data, rows))
        return Predictions(score, own.outcome, own.time, own.end)

    later = predictions(split.test)
    return Judged(later, predictions(split.validation), fitted.intervals.probability(later.probability))


def test_the_set_contains_either_outcome_of_nine_in_ten_real_levels(judged: Judged) -> None:
    summary = intervals(judged.later, judged.earlier)
    assert summary["samples"] == len(judged.later.outcome)
    for name in ("coverage_true", "coverage_false"):
        assert summary[name] is not None
        assert 0.875 <= summary[name] <= 0.925, summary


def test_the_rolling_window_is_at_least_as_calibrated_as_the_training(judged: Judged) -> None:
    rolled = np.empty(len(judged.later.outcome))
    for window in windows(judged.later, judged.earlier):
        fitted = Intervals.fit(window.true, window.false)
        low, high = fitted(judged.later.probability[window.chosen])
        rolled[window.chosen] = fitted.probability(judged.later.probability[window.chosen])
        assert ((low < rolled[window.chosen]) & (rolled[window.chosen] < high)).all()
    trained, newest = (scores(probability, judged.later.outcome) for probability in (judged.served, rolled))
    assert newest["ece"] <= trained["ece"] + 0.001
    assert newest["brier"] <= trained["brier"] + 0.0002
    assert max(trained["ece"], newest["ece"]) < 0.015
    assert newest["auc"] == pytest.approx(trained["auc"], abs=0.001)

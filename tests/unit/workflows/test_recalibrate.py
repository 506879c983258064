"""Outcomes of predictions on bars with a known result, and the calibration window that is stored of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import nan
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.trading import Prediction, Side
from mikrobot.models.conformal import GRID, Intervals, Window
from mikrobot.models.task import Task
from mikrobot.training.rolling import FEWEST_KNOWN
from mikrobot.workflows.recalibrate import calibrated, outcomes_of, window_of

START = datetime(2024, 3, 4, tzinfo=UTC)
TASK = Task("bos", swing=5, horizon=2)


def bars(*closes: float) -> pd.DataFrame:
    opened = pd.DatetimeIndex([START + timedelta(minutes=n) for n in range(len(closes))]).as_unit("us")
    return pd.DataFrame({"open_time": opened, **dict.fromkeys(("open", "high", "low", "close"), closes)})


def predicted(minute: int, side: Side, chance: float, above: float = 11.0, below: float = 9.0) -> Prediction:
    features = {"m1_break_5_above": above, "m1_break_5_below": below}
    at = START + timedelta(minutes=minute)
    return Prediction("EURUSD", side, at, chance, "bos", "1", "0123456789ab", features)


def test_an_outcome_is_that_of_the_level_that_was_asked_about() -> None:
    """At the close of bar 0 the levels are 9 and 11; within two minutes price closes at 12."""
    frame = bars(10.0, 10.5, 12.0, 10.0, 10.0)
    chance, outcome = outcomes_of(TASK, {"EURUSD": frame}, [predicted(1, Side.BUY, 0.7), predicted(1, Side.SELL, 0.2)])
    assert (chance.tolist(), outcome.tolist()) == ([0.7, 0.2], [True, False])


def test_the_level_is_that_of_the_swing_that_the_model_was_trained_on() -> None:
    """The level above is 11 for swing 5 and 13 for swing 15; price never closes beyond 13."""
    prediction = predicted(1, Side.BUY, 0.7)
    wide = replace(prediction, features=prediction.features | {"m1_break_15_above": 13.0, "m1_break_15_below": 8.0})
    frame = bars(10.0, 10.5, 12.0, 10.0, 10.0)
    assert outcomes_of(Task("bos", swing=15, horizon=2), {"EURUSD": frame}, [wide])[1].tolist() == [False]


def test_what_is_not_over_yet_is_not_known_and_of_two_the_last_counts() -> None:
    frame = bars(10.0, 10.5, 12.0)
    earlier, later = predicted(1, Side.BUY, 0.1), predicted(1, Side.BUY, 0.6)
    predictions = [earlier, later, predicted(2, Side.BUY, 0.9), predicted(3, Side.SELL, 0.3)]
    chance, outcome = outcomes_of(TASK, {"EURUSD": frame}, predictions)
    assert (chance.tolist(), outcome.tolist()) == ([0.6], [True])


def test_a_side_without_a_level_or_a_missing_bar_has_no_outcome() -> None:
    frame = bars(10.0, 10.5, 12.0)
    chance, outcome = outcomes_of(
        TASK, {"EURUSD": frame}, [predicted(1, Side.BUY, nan, above=nan), predicted(-60, Side.BUY, 0.4)]
    )
    assert (len(chance), len(outcome)) == (0, 0)
    assert len(outcomes_of(TASK, {}, [])[0]) == 0


def test_a_prediction_served_with_an_earlier_window_is_scored_again_from_its_inputs() -> None:
    """The ledger has the probability that was served, which moves with the window; the window counts scores."""
    predictions = [predicted(1, Side.BUY, 0.7), predicted(1, Side.SELL, 0.2)]
    model = OneInput()
    scored = calibrated(model, predictions)  # type: ignore[arg-type]
    assert [prediction.probability for prediction in scored] == [11.0, -9.0]
    assert [replace(p, probability=0.0) for p in scored] == [replace(p, probability=0.0) for p in predictions]
    assert calibrated(model, []) == []  # type: ignore[arg-type]


class OneInput:
    """A model whose score is the level above, or the negative level below."""

    spec = SimpleNamespace(columns=("m1_break_5_above", "m1_break_5_below"))

    def inputs(self, values: np.ndarray, sides: np.ndarray) -> np.ndarray:
        return np.where(sides > 0, values[:, 0], -values[:, 1])

    def calibrated(self, inputs: np.ndarray) -> np.ndarray:
        return inputs


class ByDistance(OneInput):
    """A model of a source whose score is .4 for a level of 11 or 9, and .1 for a more distant level."""

    def __init__(self, source: str) -> None:
        self.spec = SimpleNamespace(columns=OneInput.spec.columns, source=source, task=TASK)

    def calibrated(self, inputs: np.ndarray) -> np.ndarray:
        return np.where(np.isin(inputs, (11.0, -9.0)), 0.4, 0.1)


def walked(served: float) -> tuple[pd.DataFrame, list[Prediction]]:
    """Price closes at 12 every third minute: a level of 11 holds for the next two minutes only, one of 13 always."""
    minutes = range(1, 2400)
    predictions = [predicted(minute, Side.BUY, served, above=11.0 if minute % 2 else 13.0) for minute in minutes]
    return bars(*([10.0, 10.0, 12.0] * 800)), predictions


def test_a_window_counts_scores_and_moves_probability_and_interval_to_what_happened() -> None:
    frame, predictions = walked(served=0.9)
    outcomes, window = window_of(ByDistance("simulated"), {"EURUSD": frame}, predictions)  # type: ignore[arg-type]
    assert outcomes >= FEWEST_KNOWN
    assert window is not None
    assert window.until == predictions[-1].close_time
    assert np.flatnonzero(window.true).tolist() == [400]
    assert np.flatnonzero(window.false).tolist() == [100, 400]
    low, high = window.intervals()(np.array([0.1, 0.4]))
    probability = window.intervals().probability(np.array([0.1, 0.4]))
    assert probability == pytest.approx([0.0, 2 / 3], abs=0.01)
    assert ((low < probability) & (probability < high)).all()


def test_a_window_does_not_depend_on_the_window_that_answered_before() -> None:
    windows = [window_of(ByDistance("binance"), {"EURUSD": walked(p)[0]}, walked(p)[1]) for p in (0.2, 0.9)]  # type: ignore[arg-type]
    assert windows[0] == windows[1]


def test_recorded_bars_and_few_outcomes_leave_no_window() -> None:
    frame, predictions = walked(served=0.5)
    assert window_of(ByDistance("replay"), {"EURUSD": frame}, predictions)[1] is None  # type: ignore[arg-type]
    assert window_of(ByDistance("binance"), {"EURUSD": frame}, predictions[:1000])[1] is None  # type: ignore[arg-type]


def test_a_window_gives_the_intervals_of_its_outcomes_and_survives_a_round_trip() -> None:
    rng = np.random.default_rng(1)
    chance = rng.random(3000)
    outcome = rng.random(3000) < chance
    window = Window.from_json(Window.of(START, chance, outcome).to_json())
    assert window.until == START
    assert window.intervals() == Intervals.of(chance, outcome)


@pytest.mark.parametrize("text", ["[]", "{}", '{"until": "2024-03-04", "true": [1], "false": [1]}', "nonsense"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=rf"expected the window|expected {GRID} counts|Expecting value"):
        Window.from_json(text)

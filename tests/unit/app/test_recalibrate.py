"""What came of predictions, on bars whose answer is seen in the test, and the window that is kept of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import nan

import numpy as np
import pandas as pd
import pytest

from mikrobot.app.recalibrate import known
from mikrobot.domain.trading import Prediction, Side
from mikrobot.models.intervals import GRID, Intervals, Window
from mikrobot.models.labels.task import Task

START = datetime(2024, 3, 4, tzinfo=UTC)
TASK = Task("bos", swing=5, horizon=2)


def bars(*closes: float) -> pd.DataFrame:
    opened = pd.DatetimeIndex([START + timedelta(minutes=n) for n in range(len(closes))]).as_unit("us")
    return pd.DataFrame({"open_time": opened, **dict.fromkeys(("open", "high", "low", "close"), closes)})


def said(minute: int, side: Side, chance: float, above: float = 11.0, below: float = 9.0) -> Prediction:
    features = {"m1_break_5_above": above, "m1_break_5_below": below}
    at = START + timedelta(minutes=minute)
    return Prediction("EURUSD", side, at, chance, "bos", "1", "0123456789ab", features)


def test_an_outcome_is_that_of_the_level_that_was_asked_about() -> None:
    """At the close of bar 0 the levels are 9 and 11; within two minutes price closes at 12."""
    frame = bars(10.0, 10.5, 12.0, 10.0, 10.0)
    chance, outcome = known(TASK, {"EURUSD": frame}, [said(1, Side.BUY, 0.7), said(1, Side.SELL, 0.2)])
    assert (chance.tolist(), outcome.tolist()) == ([0.7, 0.2], [True, False])


def test_the_level_is_that_of_the_swing_that_the_model_was_trained_on() -> None:
    """Of swing 5 the level above is 11, of swing 15 it is 13, beyond which price does not close."""
    told = said(1, Side.BUY, 0.7)
    wide = replace(told, features=told.features | {"m1_break_15_above": 13.0, "m1_break_15_below": 8.0})
    frame = bars(10.0, 10.5, 12.0, 10.0, 10.0)
    assert known(Task("bos", swing=15, horizon=2), {"EURUSD": frame}, [wide])[1].tolist() == [False]


def test_what_is_not_over_yet_is_not_known_and_of_two_the_last_counts() -> None:
    frame = bars(10.0, 10.5, 12.0)
    told = [said(1, Side.BUY, 0.1), said(1, Side.BUY, 0.6), said(2, Side.BUY, 0.9), said(3, Side.SELL, 0.3)]
    chance, outcome = known(TASK, {"EURUSD": frame}, told)
    assert (chance.tolist(), outcome.tolist()) == ([0.6], [True])


def test_a_side_without_a_level_or_a_bar_that_is_gone_tells_nothing() -> None:
    frame = bars(10.0, 10.5, 12.0)
    chance, outcome = known(TASK, {"EURUSD": frame}, [said(1, Side.BUY, nan, above=nan), said(-60, Side.BUY, 0.4)])
    assert (len(chance), len(outcome)) == (0, 0)
    assert len(known(TASK, {}, [])[0]) == 0


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

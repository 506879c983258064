"""Coverage of prediction sets: plain shares, and errors that count blocks of one horizon."""

import numpy as np
import pytest

from mikrobot.models.conformal import BOTH, BREAKS, HOLDS, NONE
from mikrobot.monitoring.coverage import coverage
from mikrobot.monitoring.skill import FEWEST_BLOCKS

HORIZON = 5


def test_the_shares_are_those_of_their_definitions() -> None:
    sets = np.tile(np.array([BREAKS, HOLDS, BOTH, NONE, BREAKS], dtype=np.int8), 60)
    outcome = np.tile(np.array([True, True, False, False, False]), 60)
    covered = coverage(sets, outcome, np.arange(300), HORIZON)
    assert covered is not None
    assert (covered.predictions, covered.blocks, covered.promised) == (300, 60, 0.9)
    assert covered.all.value == pytest.approx(2 / 5)
    assert covered.true is not None
    assert covered.true.value == pytest.approx(1 / 2)
    assert covered.false is not None
    assert covered.false.value == pytest.approx(1 / 3)
    assert covered.decided.value == pytest.approx(3 / 5)
    assert covered.all.error == pytest.approx(0.0)  # every block has the same share
    low, high = (covered.to_json()["true"][bound] for bound in ("low", "high"))
    assert low <= 0.5 <= high


def test_predictions_that_share_a_horizon_do_not_make_the_interval_narrower() -> None:
    rng = np.random.default_rng(3)
    outcome, sets = rng.random(400) < 0.3, np.full(400, HOLDS, dtype=np.int8)
    minute = HORIZON * np.arange(400)
    alone = coverage(sets, outcome, minute, HORIZON)
    repeated = coverage(np.repeat(sets, 5), np.repeat(outcome, 5), np.repeat(minute, 5), HORIZON)
    assert alone is not None
    assert repeated is not None
    assert repeated.all.error == pytest.approx(alone.all.error)


def test_too_few_blocks_have_no_coverage() -> None:
    minute = np.arange(HORIZON * (FEWEST_BLOCKS - 1))
    assert coverage(np.full(len(minute), BOTH, dtype=np.int8), minute % 2 == 0, minute, HORIZON) is None


def test_an_outcome_that_did_not_occur_has_no_coverage() -> None:
    covered = coverage(np.full(300, BOTH, dtype=np.int8), np.zeros(300, dtype=bool), np.arange(300), HORIZON)
    assert covered is not None
    assert covered.true is None
    assert covered.to_json()["true"] is None

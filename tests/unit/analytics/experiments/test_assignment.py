import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mikrobot.analytics.experiments.assignment import MISMATCH, assign, position, sample_ratio

HALVES = {"a": 0.5, "b": 0.5}


def test_assignment_is_the_same_in_another_process():
    script = (
        "from mikrobot.analytics.experiments.assignment import assign;"
        "print(''.join(assign('x', str(i), {'a': 0.5, 'b': 0.5}) for i in range(200)))"
    )
    there = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "7"},
    )
    assert there.stdout.strip() == "".join(assign("x", str(i), HALVES) for i in range(200))


def test_the_assignment_is_stable_between_releases():
    assert "".join(assign("profiles", f"2025-06-{day:02}", HALVES) for day in range(1, 21)) == "baaaaabababaaababbab"


@pytest.mark.parametrize("shares", [HALVES, {"a": 0.1, "b": 0.2, "c": 0.7}])
def test_units_are_shared_as_planned(shares):
    counts = Counter(assign("x", str(i), shares) for i in range(20_000))
    assert sample_ratio(counts, shares) > MISMATCH


def test_experiments_and_neighbouring_units_are_independent():
    here, there = (np.array([position(name, str(i)) for i in range(10_000)]) for name in ("x", "y"))
    assert abs(np.corrcoef(here, there)[0, 1]) < 0.04
    assert abs(np.corrcoef(here[:-1], here[1:])[0, 1]) < 0.04


@given(st.text(), st.text())
def test_every_unit_belongs_to_exactly_one_arm(experiment, unit):
    assert 0 <= position(experiment, unit) < 1
    assert assign(experiment, unit, {"a": 0.3, "b": 0.3, "c": 0.4}) in "abc"


def test_growing_an_arm_moves_no_unit_out_of_it():
    before, after = ([assign("x", str(i), {"a": share, "b": 1 - share}) for i in range(1000)] for share in (0.2, 0.4))
    assert all(now == "a" for was, now in zip(before, after, strict=True) if was == "a")


def test_a_wrong_ratio_is_found_and_a_right_one_is_not():
    assert sample_ratio({"a": 5_200, "b": 4_800}, HALVES) < MISMATCH
    assert sample_ratio({"a": 5_050, "b": 4_950}, HALVES) > MISMATCH
    assert sample_ratio({"a": 0, "b": 0}, HALVES) is None


def test_the_probability_is_that_of_chi_square():
    ratios = [sample_ratio({"a": 500 + off, "b": 500 - off}, HALVES) for off in (0, 10, 31)]
    assert ratios[0] == 1.0
    assert ratios[2] == pytest.approx(0.0499, abs=5e-4)  # chi-square of 3.844 at one degree of freedom
    assert all(earlier > later for earlier, later in pairwise(ratios))

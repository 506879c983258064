"""Bootstrap intervals over days, compared with theory."""

import numpy as np
import pytest

from mikrobot.training.day_bootstrap import FEWEST_DAYS, Interval, Observations, difference, mean


def observed(values, days):
    first = np.datetime64("2024-03-04", "D")
    return Observations(np.asarray(values, float), first + np.asarray(days).astype("timedelta64[D]"))


def test_the_interval_of_a_mean_is_as_wide_as_theory_has_it():
    values = np.random.default_rng(1).normal(size=400)
    interval = mean(observed(values, np.arange(400)), seed=1)
    assert interval.low < interval.value < interval.high
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / 20, rel=0.15)


def test_values_of_one_day_do_not_count_as_independent():
    days = np.repeat(np.arange(40), 25)
    values = np.repeat(np.random.default_rng(1).normal(size=40), 25)
    interval = mean(observed(values, days), seed=1)
    assert interval.high - interval.low > 0.4


def test_the_difference_of_two_that_move_together_is_narrow():
    days = np.arange(100)
    values = np.random.default_rng(1).normal(size=100)
    interval = difference(observed(values + 0.1, days), observed(values, days), seed=1)
    assert (interval.value, interval.low, interval.high) == pytest.approx((0.1, 0.1, 0.1))
    assert not interval.below_zero
    assert interval.above_zero


def test_the_two_may_have_different_days():
    interval = difference(observed([1.0] * 10, range(10)), observed([0.0] * 10, range(5, 15)), seed=1)
    assert (interval.value, interval.low, interval.high) == (1.0, 1.0, 1.0)


def test_few_days_have_no_interval():
    few = FEWEST_DAYS - 1
    interval = mean(observed(np.ones(few), range(few)), seed=1)
    assert interval == Interval(1.0, None, None)
    assert not interval.above_zero
    assert not interval.below_zero
    assert str(interval) == "+1.0000 without an interval (it needs 5 days)"

"""Simulations of the always-valid test: false alarms under continuous monitoring, power and results."""

import numpy as np
import pytest

from mikrobot.analytics.experiments.sequential import FEWEST, SKEWED_ALARMS, boundary, independent, needed, paired

STREAMS, LENGTH, ALPHA = 2_000, 1_000, 0.05


def alarms(test) -> float:
    return float((test.p_value[:, -1] < ALPHA).mean())


def outcomes(rng, shape, edge=0.0):
    """Return trade results in R, a target at 2.5 or a stop at -1: zero mean, shifted by an edge."""
    return np.where(rng.random(shape) < 1 / 3.5, 2.5, -1.0) + edge


def stopped_at_any_look_by_the_classical_test(differences):
    count = np.arange(1, differences.shape[1] + 1)
    centre = np.cumsum(differences, axis=1) / count
    spread = np.cumsum(differences**2, axis=1) / count - centre**2
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.abs(centre) / np.sqrt(spread / count)
    return float((z[:, FEWEST:] > 1.96).any(axis=1).mean())


@pytest.mark.parametrize("tau", [0.05, 0.2, 0.5])
def test_false_alarms_stay_below_alpha_however_often_one_looks(tau):
    differences = np.random.default_rng(1).normal(0, 1, (STREAMS, LENGTH))
    assert alarms(paired(differences, tau, ALPHA)) <= ALPHA


def test_the_classical_test_with_as_many_looks_alarms_many_times_more():
    differences = np.random.default_rng(1).normal(0, 1, (STREAMS, LENGTH))
    assert stopped_at_any_look_by_the_classical_test(differences) > 5 * ALPHA


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, shape: rng.normal(0.3, 1.5, shape),
        outcomes,
        lambda rng, shape: rng.standard_t(4, shape),
        lambda rng, shape: rng.exponential(1.0, shape),
    ],
    ids=["normal", "stop or target", "heavy tails", "skewed"],
)
def test_two_arms_of_the_same_trades_do_not_alarm_more_than_alpha(draw):
    rng = np.random.default_rng(2)
    values = draw(rng, (STREAMS, LENGTH))
    assert alarms(independent(values, rng.random(values.shape) < 0.5, 0.2, ALPHA)) <= ALPHA


def test_the_planned_length_finds_the_planned_effect_with_the_planned_power():
    effect, length = 0.25, needed(0.25, 1.0, ALPHA, 0.8)
    differences = np.random.default_rng(3).normal(effect, 1, (STREAMS, length))
    test = paired(differences, effect, ALPHA)
    assert alarms(test) >= 0.8
    stops = np.argmax(test.p_value < ALPHA, axis=1)[test.p_value[:, -1] < ALPHA]
    assert np.median(stops) < 0.75 * length


def test_power_over_two_arms_of_trades():
    rng, edge = np.random.default_rng(4), 0.5
    length = needed(edge, 2 * outcomes(rng, 100_000).var(), ALPHA, 0.8)
    values = outcomes(rng, (STREAMS, 2 * length))
    candidate = np.tile([True, False], (STREAMS, length))
    assert alarms(independent(values + edge * candidate, candidate, edge, ALPHA)) >= 0.8


def test_the_confidence_sequence_holds_the_truth_at_all_times_together():
    differences = np.random.default_rng(5).normal(0.1, 1, (STREAMS, LENGTH))
    test = paired(differences, 0.2, ALPHA)
    assert ((test.low[:, -1] <= 0.1) & (test.high[:, -1] >= 0.1)).mean() >= 1 - ALPHA


def test_the_p_value_falls_below_alpha_where_the_interval_leaves_zero():
    test = paired(np.random.default_rng(6).normal(0.15, 1, (200, 600)), 0.2, ALPHA)
    rejected = test.p_value < ALPHA
    outside = (test.low > 0) | (test.high < 0)
    assert rejected.any()
    np.testing.assert_array_equal(rejected, outside)


def test_the_boundary_solves_the_likelihood_ratio():
    variance, tau = 0.02, 0.3
    reach = float(boundary(variance, tau, ALPHA))
    grid = np.linspace(-8, 8, 400_001) * tau
    prior = np.exp(-0.5 * (grid / tau) ** 2) / (tau * np.sqrt(2 * np.pi))
    ratio = np.exp((grid * reach - grid**2 / 2) / variance)
    assert np.trapezoid(ratio * prior, grid) == pytest.approx(1 / ALPHA, rel=1e-6)


def test_there_is_no_result_before_the_first_look_or_without_variance():
    test = paired(np.ones(FEWEST - 1) * 5, 0.2, ALPHA)
    assert (test.p_value == 1).all()
    assert np.isinf(test.high).all()
    assert (paired(np.ones(100), 0.2, ALPHA).p_value == 1).all()
    assert paired(np.empty(0), 0.2, ALPHA).p_value.size == 0


RESULTS = np.random.default_rng(8).normal(0, 1.5, 200)


@pytest.mark.parametrize(
    "differences",
    [np.full(200, 0.1), np.full(200, -1 / 3), (RESULTS + 0.1) - RESULTS, np.full(200, 1e6 + 0.1), np.zeros(200)],
    ids=["a tenth", "a third", "a tenth except for rounding", "large", "nothing"],
)
def test_a_constant_difference_has_no_variance_and_therefore_neither_p_nor_interval(differences):
    test = paired(differences, 0.2, ALPHA)
    assert (test.p_value == 1).all()
    assert np.isnan(test.difference).all()
    assert np.isinf(test.high).all()
    assert np.isinf(test.low).all()


def test_an_arm_that_has_not_varied_yet_is_not_compared():
    candidate = np.tile([True, False], 200)
    values = np.where(candidate, -1.0, np.random.default_rng(9).normal(0, 1, 400))
    assert (independent(values, candidate, 0.2, ALPHA).p_value == 1).all()
    assert (independent(values, ~candidate, 0.2, ALPHA).p_value == 1).all()


def test_a_large_level_does_not_hide_the_variance():
    differences = np.random.default_rng(10).normal(0.3, 1, 500)
    near, far = paired(differences, 0.2, ALPHA), paired(differences + 1e6, 0.2, ALPHA)
    np.testing.assert_allclose(far.high[FEWEST:] - 1e6, near.high[FEWEST:], rtol=0, atol=1e-5)


def rare_wins(rng, shape):
    """Return outcomes with zero mean: 5 % win 19 R and the others lose 1 R."""
    return np.where(rng.random(shape) < 0.05, 19.0, -1.0)


def test_the_false_alarms_of_rare_wins_are_those_that_the_report_states():
    differences = rare_wins(np.random.default_rng(2), (STREAMS, LENGTH))
    assert alarms(paired(differences, 0.5, ALPHA)) == pytest.approx(SKEWED_ALARMS, abs=0.015)


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_two_arms_of_rare_wins_do_not_alarm_more_than_alpha(share):
    rng = np.random.default_rng(2)
    values = rare_wins(rng, (STREAMS, LENGTH))
    assert alarms(independent(values, rng.random(values.shape) < share, 0.5, ALPHA)) <= ALPHA


def test_alternating_arms_equal_pairs_of_uncorrelated_values():
    values = np.random.default_rng(7).normal(0, 1, 400)
    candidate = np.tile([True, False], 200)
    both = independent(values, candidate, 0.2, ALPHA)
    assert both.difference[-1] == pytest.approx(values[0::2].mean() - values[1::2].mean())
    spread = values[0::2].var(ddof=1) / 200 + values[1::2].var(ddof=1) / 200
    reach = float(boundary(spread, 0.2, ALPHA))
    assert both.high[-1] <= both.difference[-1] + reach + 1e-12

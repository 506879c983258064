"""Simulations of the bandits: regret compared with the best arm, and the minimum share of each arm."""

import numpy as np
import pytest

from mikrobot.analytics.experiments.bandits import Record, record, thompson, upper_confidence
from mikrobot.domain.errors import UsageError

MEANS = np.array([0.0, 0.4])
ROUNDS, RUNS = 400, 20


def regret(allocate, floor=0.0, seed=1):
    """Return the mean regret per round of the allocated shares, compared with the best arm."""
    rng, lost = np.random.default_rng(seed), 0.0
    for _ in range(RUNS):
        initial = [list(rng.normal(mean, 1, 2)) for mean in MEANS]
        sums = [[2, sum(values), sum(v * v for v in values)] for values in initial]
        for _ in range(ROUNDS):
            records = {
                str(arm): Record(n, s / n, max((q - s * s / n) / (n - 1), 1e-12) ** 0.5)
                for arm, (n, s, q) in enumerate(sums)
            }
            shares = list(allocate(records, floor, rng).values())
            arm = int(rng.random() > shares[0])
            value = rng.normal(MEANS[arm], 1)
            sums[arm] = [sums[arm][0] + 1, sums[arm][1] + value, sums[arm][2] + value * value]
            lost += MEANS.max() - MEANS[arm]
    return lost / (RUNS * ROUNDS)


EQUAL = float(MEANS.max() - MEANS.mean())


def test_thompson_loses_far_less_than_equal_shares():
    assert regret(lambda records, floor, rng: thompson(records, floor, rng, draws=1)) < 0.35 * EQUAL


def test_upper_confidence_loses_less_than_equal_shares():
    assert regret(lambda records, floor, rng: upper_confidence(records, floor)) < 0.6 * EQUAL


def test_a_floor_costs_at_least_its_share_of_the_regret():
    lost = regret(lambda records, floor, rng: thompson(records, floor, rng, draws=1), floor=0.2)
    assert lost >= 0.2 * MEANS.max() * 0.9


@pytest.mark.parametrize("floor", [0.0, 0.1, 1 / 3])
def test_every_arm_keeps_its_floor_and_shares_add_up(floor):
    records = {"a": Record(500, 3.0, 1.0), "b": Record(500, 0.0, 1.0), "c": Record(500, -3.0, 1.0)}
    for shares in (thompson(records, floor, np.random.default_rng(1)), upper_confidence(records, floor)):
        assert sum(shares.values()) == pytest.approx(1.0)
        assert min(shares.values()) >= floor - 1e-12
        assert shares["a"] == pytest.approx(1 - 2 * floor)


def test_thompson_gives_the_probability_of_being_best():
    records = {"a": Record(101, 0.1, 1.0), "b": Record(101, 0.0, 1.0)}
    shares = thompson(records, 0.0, np.random.default_rng(2), draws=200_000)
    assert shares["a"] == pytest.approx(0.760, abs=0.01)  # normal: 0.1 / sqrt(2 / 101) = 0.711 standard errors


def test_before_two_observations_all_arms_get_equal_shares():
    records = {"a": record(np.array([9.0])), "b": record(np.array([]))}
    assert thompson(records, 0.1, np.random.default_rng(1)) == {"a": 0.5, "b": 0.5}
    assert upper_confidence(records, 0.1) == {"a": 0.5, "b": 0.5}


def test_a_record_is_count_mean_and_deviation():
    assert record(np.array([1.0, 3.0])) == Record(2, 2.0, pytest.approx(2**0.5))


def test_floors_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="2 arms cannot have a floor of"):
        thompson({"a": Record(5, 0, 1), "b": Record(5, 0, 1)}, 0.6, np.random.default_rng(1))

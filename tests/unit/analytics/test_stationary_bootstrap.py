import numpy as np
import pytest

from mikrobot.analytics.stationary_bootstrap import (
    intervals,
    mean,
    profit_factor,
    share_positive,
    sharpe,
    stationary_indices,
)


def drawn(n, block, resamples, seed=1):
    return np.concatenate(list(stationary_indices(n, block, resamples, np.random.default_rng(seed))))


def test_blocks_follow_each_other_and_wrap_around():
    indices = drawn(50, 10.0, 400)
    assert indices.shape == (400, 50)
    assert indices.min() == 0
    assert indices.max() == 49
    followed = indices[:, 1:] == (indices[:, :-1] + 1) % 50
    assert followed.mean() == pytest.approx(1 - 1 / 10 + 1 / 10 / 50, abs=0.01)


def test_blocks_of_one_are_the_plain_bootstrap():
    followed = drawn(1000, 1.0, 50)
    assert (np.diff(followed, axis=1) == 1).mean() == pytest.approx(1 / 1000, abs=0.001)


def test_chunks_do_not_change_the_number_of_resamples():
    assert drawn(1_500_000, 100.0, 3).shape == (3, 1_500_000)


def test_the_interval_of_a_mean_has_its_nominal_coverage():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        interval = intervals(rng.normal(1.0, 2.0, 100), {"mean": mean}, rng, resamples=300)["mean"]
        covered += interval.low <= 1.0 <= interval.high
    assert 0.88 <= covered / 200 <= 0.99  # percentile intervals of 100 values are a little narrow


def test_dependence_widens_the_interval():
    rng = np.random.default_rng(4)
    noise, values = rng.normal(0, 1, 2000), np.zeros(2000)
    for i in range(1, 2000):
        values[i] = 0.8 * values[i - 1] + noise[i]
    width = [
        (lambda interval: interval.high - interval.low)(intervals(values, {"mean": mean}, rng, block=block)["mean"])
        for block in (1.0, 40.0)
    ]
    assert width[1] > 1.8 * width[0]


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(5).normal(0, 1, 60)
    first, second = (intervals(values, {"mean": mean}, np.random.default_rng(9)) for _ in range(2))
    assert first == second


def test_statistics_equal_their_plain_formulas():
    sample = np.array([[1.0, -2.0, 3.0], [0.5, -0.5, 0.0]])
    assert mean(sample).tolist() == pytest.approx([2 / 3, 0.0])
    assert share_positive(sample).tolist() == pytest.approx([2 / 3, 1 / 3])
    assert profit_factor(sample).tolist() == pytest.approx([2.0, 1.0])
    expected = [(row.mean() - 0.1) / row.std(ddof=1) * np.sqrt(252) for row in sample]
    assert sharpe(252, 0.1)(sample).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "statistic", "reason"),
    [
        (np.ones(9), mean, "9 observations, 10 are needed"),
        (np.ones(30), profit_factor, "unbounded"),
        (np.zeros(30), profit_factor, "undefined"),
        (np.zeros(30), sharpe(252, 0.0), "undefined"),
    ],
    ids=["too few", "never a loss", "neither gain nor loss", "constant"],
)
def test_an_undefined_value_is_none_with_a_reason(values, statistic, reason):
    interval = intervals(values, {"it": statistic}, np.random.default_rng(1))["it"]
    assert (interval.low, interval.high) == (None, None)
    assert reason in interval.reason

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mikrobot.models.calibration import Calibration
from mikrobot.models.conformal import Intervals


@given(st.integers(0, 2**32 - 1), st.integers(1, 3000), st.floats(0, 1))
def test_the_map_is_monotone_and_never_certain(seed: int, n: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    fitted = Calibration.fit(np.round(rng.random(n), 2), rng.random(n) < rate)
    mapped = fitted(np.linspace(0, 1, 501))
    assert (np.diff(mapped) >= 0).all()
    assert mapped[0] > 0
    assert mapped[-1] < 1


@given(st.integers(0, 2**32 - 1), st.integers(1, 1000), st.integers(0, 3))
def test_the_order_of_the_samples_changes_nothing(seed: int, n: int, digits: int) -> None:
    rng = np.random.default_rng(seed)
    scores, outcomes = np.round(rng.random(n), digits), rng.random(n) < 0.3
    order = rng.permutation(n)
    assert Calibration.fit(scores[order], outcomes[order]) == Calibration.fit(scores, outcomes)


@pytest.mark.parametrize("base", [0.05, 0.3, 0.5])
def test_scores_without_information_stay_near_the_base_rate(base: float) -> None:
    """In an earlier version, 5 % of the probabilities exceeded .5 at a base rate of .3: a line rose to 1 at the end."""
    for seed in range(300):
        rng = np.random.default_rng(seed)
        scores, outcomes = rng.beta(*((2, 5), (1, 1), (0.5, 0.5))[seed % 3], 2000), rng.random(2000) < base
        fitted = Calibration.fit(scores, outcomes)
        served = fitted(np.linspace(0, 1, 1001))
        probabilities = Intervals.of(fitted(scores), outcomes).probability(served)
        for mapped in (served, probabilities):
            assert mapped.max() < base + 0.2
            assert mapped.min() > max(0.0, base - 0.2)


@pytest.mark.parametrize("outcome", [False, True])
def test_outcomes_that_are_all_equal_are_predicted_for_every_score(outcome: bool) -> None:
    """In an earlier version, a score of .9 stayed at .9 after 1,000 outcomes without an event."""
    scores = np.random.default_rng(1).random(1000)
    scores = Calibration.fit(scores, np.full(1000, outcome))(np.array([0.0, 0.1, 0.9, 1.0]))
    assert np.abs(scores - outcome).max() < 0.01


def test_beyond_the_end_bins_their_rates_hold() -> None:
    rng = np.random.default_rng(5)
    scores = rng.uniform(0.2, 0.6, 20_000)
    fitted = Calibration.fit(scores, rng.random(20_000) < scores)
    assert fitted(np.array([0.0, 0.2])) == pytest.approx(0.2, abs=0.05)
    assert fitted(np.array([0.6, 1.0])) == pytest.approx(0.6, abs=0.05)


def test_few_samples_make_few_knots() -> None:
    rng = np.random.default_rng(5)
    scores = rng.random(399)
    assert len(Calibration.fit(scores, rng.random(399) < scores).scores) <= 3


def test_overconfident_scores_are_calibrated_to_the_observed_frequency() -> None:
    rng = np.random.default_rng(1)
    truth = rng.beta(1, 4, 40_000)
    scores = truth**0.5
    fitted = Calibration.fit(scores[:20_000], rng.random(20_000) < truth[:20_000])
    assert np.abs(fitted(scores[20_000:]) - truth[20_000:]).mean() < 0.02


def test_inverted_scores_are_mapped_to_the_base_rate() -> None:
    rng = np.random.default_rng(1)
    scores = rng.random(5000)
    fitted = Calibration.fit(scores, rng.random(5000) < 1 - scores)
    assert fitted(np.array([0.0, 0.5, 1.0])) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    "knots",
    [
        ((), ()),
        ((0.0, 1.0), (0.0, 1.5)),
        ((-0.1, 1.0), (0.0, 1.0)),
        ((0.0, 0.6, 0.5, 1.0), (0.0, 0.1, 0.2, 1.0)),
        ((0.0, 1.0), (0.0, 0.5, 1.0)),
    ],
)
def test_knots_that_are_no_calibration_are_refused(knots: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Calibration(*knots)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mikrobot.models.calibration import Calibration
from mikrobot.models.intervals import Intervals


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
def test_scores_that_know_nothing_never_leave_the_base_rate_far(base: float) -> None:
    """Before, 5 % of the probabilities exceeded .5 where .3 happens: beyond the end bins a line rose to 1."""
    for seed in range(300):
        rng = np.random.default_rng(seed)
        scores, outcomes = rng.beta(*((2, 5), (1, 1), (0.5, 0.5))[seed % 3], 2000), rng.random(2000) < base
        fitted = Calibration.fit(scores, outcomes)
        served = fitted(np.linspace(0, 1, 1001))
        told = Intervals.of(fitted(scores), outcomes).probability(served)
        for mapped in (served, told):
            assert mapped.max() < base + 0.2
            assert mapped.min() > max(0.0, base - 0.2)


@pytest.mark.parametrize("happened", [False, True])
def test_what_never_or_always_happened_is_said_of_every_score(happened: bool) -> None:
    """Before, 1,000 outcomes without one event left a score of .9 at .9."""
    scores = np.random.default_rng(1).random(1000)
    said = Calibration.fit(scores, np.full(1000, happened))(np.array([0.0, 0.1, 0.9, 1.0]))
    assert np.abs(said - happened).max() < 0.01


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


def test_scores_that_exaggerate_are_pulled_to_what_happened() -> None:
    rng = np.random.default_rng(1)
    truth = rng.beta(1, 4, 40_000)
    said = truth**0.5
    fitted = Calibration.fit(said[:20_000], rng.random(20_000) < truth[:20_000])
    assert np.abs(fitted(said[20_000:]) - truth[20_000:]).mean() < 0.02


def test_scores_that_say_the_opposite_end_at_the_base_rate() -> None:
    rng = np.random.default_rng(1)
    said = rng.random(5000)
    fitted = Calibration.fit(said, rng.random(5000) < 1 - said)
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

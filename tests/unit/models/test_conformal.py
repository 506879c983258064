import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import isotonic_regression

from mikrobot.models import conformal
from mikrobot.models.conformal import BOTH, BREAK_OR_HOLD, BREAKS, GRID, HOLDS, NONE, Intervals, between, cell


def counted(score: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.bincount(cell(score[own]), minlength=GRID) for own in (outcome, ~outcome))  # type: ignore[return-value]


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probability = rng.beta(1, 3, n)
    return probability, rng.random(n) < probability


def with_one_more(score: np.ndarray, outcome: np.ndarray, level: float, extra: bool) -> float:
    """Return scikit-learn's isotonic rate at a score with one additional sample there."""
    distinct, at = np.unique(np.append(score, level), return_inverse=True)
    count = np.bincount(at)
    rates = np.bincount(at, np.append(outcome, extra)) / count
    return float(isotonic_regression(rates, sample_weight=count)[distinct == level][0])


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_bounds_are_isotonic_fits_with_one_more_sample(seed: int, levels: int) -> None:
    """Levels with many samples each are bins; neighbours with the same bounds are one knot."""
    rng = np.random.default_rng(seed)
    asked = np.sort((rng.choice(GRID, levels, replace=False) + 0.5) / GRID)
    sizes = rng.integers(conformal.SAMPLES_PER_BIN, 3 * conformal.SAMPLES_PER_BIN, levels)
    score = np.repeat(asked, sizes)
    outcome = rng.random(len(score)) < np.repeat(rng.random(levels), sizes)
    expected = np.array([[with_one_more(score, outcome, level, extra) for extra in (False, True)] for level in asked])
    knots = expected[np.r_[True, (np.diff(expected, axis=0) > 1e-9).any(axis=1)]]
    fitted = Intervals.of(score, outcome)
    np.testing.assert_allclose(np.column_stack([fitted.low, fitted.high]), knots, atol=1e-9)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5000), st.integers(1, 4))
def test_the_probability_lies_between_its_bounds_and_rises_with_the_score(seed: int, n: int, digits: int) -> None:
    score, outcome = drawn(n, seed)
    fitted = Intervals.of(np.round(score, digits), outcome)
    asked = np.linspace(0, 1, 400)
    low, high = fitted(asked)
    probability = fitted.probability(asked)
    assert ((low < probability) & (probability < high)).all()
    assert ((probability > 0) & (probability < 1)).all()
    np.testing.assert_allclose(probability, high / (1 - low + high), rtol=0, atol=0)
    for values in (low, high, probability):
        assert (np.diff(values) >= -1e-12).all()


def test_a_missing_score_has_no_probability() -> None:
    assert np.isnan(Intervals.of(*drawn(3000, 1)).probability(np.array([np.nan]))).all()


def test_without_outcomes_nothing_is_known() -> None:
    nothing = Intervals.fit(np.zeros(GRID, int), np.zeros(GRID, int))
    low, high = nothing(np.array([0.0, 0.3, 1.0]))
    assert (low.tolist(), high.tolist()) == ([0, 0, 0], [1, 1, 1])
    assert (nothing.probability(np.array([0.1, 0.9])) == 0.5).all()
    assert (nothing.sets(np.linspace(0, 1, 11)) == BOTH).all()


def test_more_outcomes_narrow_the_bounds() -> None:
    few, many = (Intervals.of(*drawn(n, 1)) for n in (200, 20_000))
    at = np.array([0.1, 0.3, 0.5])
    assert ((many(at)[1] - many(at)[0]) < 0.5 * (few(at)[1] - few(at)[0])).all()


def test_miscalibrated_scores_become_calibrated_probabilities() -> None:
    score, truth = drawn(40_000, 1)[0], np.random.default_rng(2)
    fitted = Intervals.of(score, truth.random(40_000) < score**2)
    assert np.abs(fitted.probability(score) - score**2).mean() < 0.01


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("miscoverage", [0.05, 0.1, 0.3])
def test_the_set_contains_either_outcome_as_often_as_promised(miscoverage: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, false = (np.bincount(cell(rng.beta(*at, 20_000)), minlength=GRID) for at in ((1.2, 2), (0.3, 3)))
    fitted = Intervals.fit(true, false, miscoverage)
    for code, at in ((BREAKS, (1.2, 2)), (HOLDS, (0.3, 3))):
        inside = (fitted.sets(rng.beta(*at, 20_000)) & code) > 0
        assert inside.mean() == pytest.approx(1 - miscoverage, abs=0.015)


def test_a_constant_score_leaves_both_outcomes_open() -> None:
    outcome = np.arange(1000) % 10 == 0
    assert Intervals.of(np.full(1000, 0.3), outcome).sets(np.array([0.3])).tolist() == [BOTH]


def test_a_model_that_is_nearly_always_right_finds_neither_outcome_plausible_in_the_middle() -> None:
    true, false = np.zeros((2, GRID), int)
    true[-1], false[0] = 1000, 1000
    sets = Intervals.fit(true, false).sets(np.array([0.0, 0.3, 0.7, 1.0]))
    assert sets.tolist() == [HOLDS, NONE, NONE, BREAKS]
    assert [(BREAK_OR_HOLD.sets[code], BREAK_OR_HOLD.predicted[code]) for code in sets] == [
        ("holds", "hold"),
        ("none", "abstain"),
        ("none", "abstain"),
        ("breaks", "break"),
    ]


def test_between_no_bounds_and_all_bounds_the_probability_is_a_half() -> None:
    assert between(np.array([0.0]), np.array([1.0])).tolist() == [0.5]

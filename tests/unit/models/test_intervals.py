import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import isotonic_regression

from mikrobot.models.intervals import ABSTAINS, BREAKS, GRID, HOLDS, Intervals, cell


def counted(probability: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.bincount(cell(probability[own]), minlength=GRID) for own in (outcome, ~outcome))  # type: ignore[return-value]


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probability = rng.beta(1, 3, n)
    return probability, rng.random(n) < probability


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 400))
def test_bounds_are_isotonic_fits_with_one_more_sample(seed: int, n: int) -> None:
    probability, outcome = drawn(n, seed)
    fitted = Intervals.fit(*counted(probability, outcome))
    asked = np.random.default_rng(seed).integers(GRID)
    for extra, bound in ((False, fitted.low), (True, fitted.high)):
        cells, answers = np.append(cell(probability), asked), np.append(outcome, extra).astype(float)
        sizes = np.bincount(cells, minlength=GRID)
        used = np.flatnonzero(sizes)
        rates = np.bincount(cells, answers, GRID)[used] / sizes[used]
        expected = isotonic_regression(rates, sample_weight=sizes[used])[used == asked]
        assert bound[asked] == pytest.approx(expected[0])


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2000))
def test_bounds_are_in_order_and_rise_with_the_probability(seed: int, n: int) -> None:
    fitted = Intervals.fit(*counted(*drawn(n, seed)))
    low, high = fitted(np.linspace(0, 1, 400))
    assert (low <= high).all()
    assert (np.diff(low) >= -1e-12).all()
    assert (np.diff(high) >= -1e-12).all()


def test_more_outcomes_narrow_the_bounds() -> None:
    few, many = (Intervals.fit(*counted(*drawn(n, 1))) for n in (200, 20_000))
    at = np.array([0.1, 0.3, 0.5])
    assert ((many(at)[1] - many(at)[0]) < 0.3 * (few(at)[1] - few(at)[0])).all()


@pytest.mark.parametrize("miscoverage", [0.05, 0.1, 0.3])
def test_the_set_of_either_outcome_covers_what_it_promises(miscoverage: float) -> None:
    fitted = Intervals.fit(*counted(*drawn(20_000, 1)), miscoverage)
    probability, outcome = drawn(20_000, 2)
    decision = fitted.decide(probability)
    assert (decision[outcome] != HOLDS).mean() > 1 - miscoverage - 0.01
    assert (decision[~outcome] != BREAKS).mean() > 1 - miscoverage - 0.01
    assert {HOLDS, BREAKS} <= set(decision.tolist())


def test_without_outcomes_everything_is_left_open() -> None:
    nothing = Intervals.fit(np.zeros(GRID, int), np.zeros(GRID, int))
    assert (nothing.decide(np.linspace(0, 1, 11)) == ABSTAINS).all()


def test_where_both_sets_are_empty_the_nearer_outcome_is_said() -> None:
    """A model that is nearly always right leaves neither outcome in the middle."""
    true, false = np.zeros((2, GRID), int)
    true[-1], false[0] = 1000, 1000
    assert Intervals.fit(true, false).decide(np.array([0.3, 0.7])).tolist() == [HOLDS, BREAKS]

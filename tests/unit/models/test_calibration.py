import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mikrobot.models.calibration import Calibration


@given(st.integers(0, 2**32 - 1), st.integers(1, 3000), st.floats(0, 1))
def test_the_map_is_monotone_and_never_certain(seed: int, n: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    fitted = Calibration.fit(np.round(rng.random(n), 2), rng.random(n) < rate)
    mapped = fitted(np.linspace(0, 1, 501))
    assert (np.diff(mapped) > 0).all()
    assert mapped[1] > 0
    assert mapped[-2] < 1


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
    assert len(fitted.scores) == 3
    assert fitted.probabilities[1] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    "knots", [((0.0, 1.0), (0.0, 0.5)), ((0.0, 0.6, 0.5, 1.0), (0.0, 0.1, 0.2, 1.0)), ((0.0, 1.0), (0.0, 0.5, 1.0))]
)
def test_knots_that_are_no_calibration_are_refused(knots: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Calibration(*knots)

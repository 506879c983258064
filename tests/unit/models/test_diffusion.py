import json
from dataclasses import asdict

import numpy as np
import pytest

from mikrobot.models.diffusion import Diffusion
from mikrobot.models.spec import tuples
from mikrobot.models.task import Reach

MINUTES = 15


def fit(
    reach: Reach, distance: np.ndarray, sigma: np.ndarray, minutes: np.ndarray, outcome: np.ndarray,
    levels: np.ndarray | None = None,
) -> Diffusion:  # fmt: skip
    return Diffusion.fit(reach, distance, sigma, minutes, outcome=outcome, levels=levels)


def walks(reach: Reach, n: int, seed: int) -> tuple[np.ndarray, ...]:
    """Distances, sigmas, minutes and outcomes of Gaussian walks; their maximum is distributed as |N|."""
    rng = np.random.default_rng(seed)
    sigma = 1e-4 * rng.uniform(0.5, 2.0, n)
    distance = sigma * (rng.normal(0, 3, n) if reach == "end" else rng.exponential(3.0, n))
    path = (sigma[:, None] * rng.normal(size=(n, MINUTES))).cumsum(axis=1)
    furthest = {"close": path.max(axis=1), "extreme": np.abs(path[:, -1]), "end": path[:, -1]}[reach]
    return distance, sigma, np.full(n, float(MINUTES)), furthest > distance


@pytest.mark.parametrize("reach", ["close", "extreme", "end"])
def test_the_baseline_is_calibrated_on_a_random_walk(reach: Reach) -> None:
    fitted = fit(reach, *walks(reach, 40_000, 1))
    assert fitted.scale == pytest.approx(1.0, abs=0.06)
    distance, sigma, minutes, outcome = walks(reach, 40_000, 2)
    predicted = fitted.predict(distance, sigma, minutes)
    for part in np.array_split(np.argsort(predicted), 10):
        assert predicted[part].mean() == pytest.approx(outcome[part].mean(), abs=0.03)


@pytest.mark.parametrize("unit", [0.3, 8.0])
def test_the_unit_of_the_volatility_is_taken_up_by_the_scale(unit: float) -> None:
    distance, sigma, minutes, outcome = walks("close", 10_000, 1)
    one, other = (fit("close", distance, sigma * factor, minutes, outcome) for factor in (1.0, unit))
    assert other.scale == pytest.approx(one.scale / unit, rel=0.02)
    factors = (one, 1.0), (other, unit)
    predicted = [diffusion.predict(distance, sigma * factor, minutes) for diffusion, factor in factors]
    np.testing.assert_allclose(*predicted, atol=0.005)


def test_discrete_monitoring_lowers_the_probability() -> None:
    """At distance 0 a wick is certain; a close within 15 minutes is not."""
    close = fit("close", *walks("close", 20_000, 1))
    assert close.predict(np.zeros(1), np.full(1, 1e-4), np.full(1, 15.0))[0] < 0.93
    extreme = fit("extreme", *walks("extreme", 20_000, 1))
    assert extreme.predict(np.zeros(1), np.full(1, 1e-4), np.full(1, 15.0))[0] > 0.95


def test_the_probability_falls_with_distance_and_rises_with_time() -> None:
    fitted = fit("close", *walks("close", 20_000, 1))
    sigma = np.full(50, 1e-4)
    assert (np.diff(fitted.predict(np.linspace(0, 2e-3, 50), sigma, np.full(50, 15.0))) <= 0).all()
    assert (np.diff(fitted.predict(np.linspace(1e-4, 1e-3, 50), sigma, np.full(50, 15.0))) < 0).all()
    assert (np.diff(fitted.predict(np.full(50, 5e-4), sigma, np.linspace(1, 15, 50))) > 0).all()


def test_a_missing_distance_or_volatility_has_no_probability() -> None:
    fitted = fit("close", *walks("close", 5_000, 1))
    predicted = fitted.predict(np.array([1e-4, np.nan, 1e-4]), np.array([1e-4, 1e-4, np.nan]), np.full(3, 5.0))
    assert np.isnan(predicted).tolist() == [False, True, True]


def test_a_baseline_survives_as_json() -> None:
    fitted = fit("close", *walks("close", 5_000, 1), np.random.default_rng(1).normal(size=(5_000, 2)))
    assert Diffusion(**tuples(json.loads(json.dumps(asdict(fitted))))) == fitted


@pytest.mark.parametrize("reach", ["close", "extreme", "end"])
def test_levels_that_predict_the_volatility_get_weight(reach: Reach) -> None:
    """Half of the logarithm of the volatility is in the second level; the first is noise, the third is constant."""
    distance, sigma, minutes, outcome = walks(reach, 60_000, 1)
    noise = np.random.default_rng(5).normal(size=len(sigma))
    levels = np.column_stack([noise, 2.0 * np.log(sigma), np.full(len(sigma), 3.0)])
    fitted = fit(reach, distance, np.full(len(sigma), 1e-4), minutes, outcome, levels)
    assert fitted.weights == pytest.approx((0.0, 0.5, 0.0), abs=0.05)
    with_sigma = fit(reach, distance, sigma, minutes, outcome)
    predicted = fitted.logit(distance, np.full(len(sigma), 1e-4), minutes, levels)
    near = np.abs(predicted) < 4.0
    np.testing.assert_allclose(predicted[near], with_sigma.logit(distance, sigma, minutes)[near], atol=0.3)


def test_few_samples_leave_the_forecast_nearly_unchanged() -> None:
    """Nine levels without information get weights near 0."""
    distance, sigma, minutes, outcome = walks("close", 1_000, 1)
    levels = np.random.default_rng(5).normal(size=(1_000, 9))
    fitted = fit("close", distance, sigma, minutes, outcome, levels)
    assert np.abs(fitted.weights).max() < 0.1


def test_a_level_that_is_missing_counts_as_its_mean() -> None:
    distance, sigma, minutes, outcome = walks("close", 20_000, 1)
    levels = np.log(sigma)[:, None]
    levels[::7] = np.nan
    fitted = fit("close", distance, np.full(len(sigma), 1e-4), minutes, outcome, levels)
    one = (np.full(1, 2e-4), np.full(1, 1e-4), np.full(1, 15.0))
    missing, mean = (fitted.logit(*one, np.full((1, 1), level)) for level in (np.nan, fitted.centres[0]))
    np.testing.assert_array_equal(missing, mean)

"""The verdicts on calibration and concept of predictions whose skill is known."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mikrobot.domain.drift import DriftKind, WindowVerdict
from mikrobot.monitoring.outcomes import Outcomes
from mikrobot.monitoring.performance_verdict import judge, of_windows

START = datetime(2025, 1, 6, tzinfo=UTC)
WEEK = timedelta(days=7)
HORIZON = 5
CHANGED = 4
"""Week from which the predictions differ."""


def outcomes(weeks: int, seed: int, change: str = "") -> Outcomes:
    """Return a prediction a minute, calibrated until the change."""
    rng, count = np.random.default_rng(seed), weeks * 7 * 1440
    level = np.repeat(rng.normal(-2.0, 1.2, count // HORIZON + 1), HORIZON)[:count]
    probability = 1.0 / (1.0 + np.exp(-level))
    truth, changed = probability.copy(), np.arange(count) >= CHANGED * 7 * 1440
    if change == "bias":
        truth[changed] = np.clip(probability[changed] + 0.05, 0, 1)
    if change == "too extreme":
        truth[changed] = 1.0 / (1.0 + np.exp(-0.6 * level[changed]))
    if change == "no skill":
        truth[changed] = probability.mean()
    if change == "better":
        truth[changed] = np.where(probability[changed] > 0.5, 0.97, 0.6 * probability[changed])
    draws = np.repeat(rng.random(count // HORIZON + 1), HORIZON)[:count]
    minute = int(START.timestamp()) // 60 + 1 + np.arange(count)
    return Outcomes(minute, np.ones(count, np.int8), probability, draws < truth)


def verdicts(joined: Outcomes, weeks: int) -> dict[DriftKind, list[WindowVerdict]]:
    windows = of_windows(joined, START, START + weeks * WEEK, WEEK, horizon=HORIZON, entry=0.55)
    judged = judge(windows)
    return {kind: [window for window in judged if window.kind is kind] for kind in DriftKind}


@pytest.mark.parametrize("seed", range(4))
def test_a_year_of_calibrated_predictions_has_no_verdict(seed: int) -> None:
    for kind, windows in verdicts(outcomes(52, seed), 52).items():
        assert len(windows) == (52 if kind in {DriftKind.CALIBRATION, DriftKind.CONCEPT} else 0)
        assert not any(window.drifted for window in windows)


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        ("bias", DriftKind.CALIBRATION, "the probabilities are too low by 0.0"),
        ("too extreme", DriftKind.CALIBRATION, "the probabilities are too extreme"),
        ("no skill", DriftKind.CALIBRATION, "the probabilities are too extreme"),
        ("no skill", DriftKind.CONCEPT, "the AUC is 0."),
        ("too extreme", DriftKind.CONCEPT, "the Brier score is 0."),
    ],
)
@pytest.mark.parametrize("seed", range(2))
def test_a_change_is_drift_in_the_second_week_and_counted_once(
    change: str, kind: DriftKind, reason: str, seed: int
) -> None:
    windows = verdicts(outcomes(10, seed, change), 10)[kind]
    assert [window.drifted for window in windows] == [False] * (CHANGED + 1) + [True] * 5
    assert [at for at, window in enumerate(windows) if window.onset] == [CHANGED + 1]
    assert any(reason in line for window in windows[CHANGED + 1 :] for line in window.reasons)


@pytest.mark.parametrize("seed", range(2))
def test_predictions_that_are_better_than_promised_are_no_drift_of_the_concept(seed: int) -> None:
    windows = verdicts(outcomes(10, seed, "better"), 10)
    assert not any(window.drifted for window in windows[DriftKind.CONCEPT])


def test_a_week_with_few_predictions_has_no_verdict() -> None:
    joined = outcomes(3, 0)
    first = int(START.timestamp()) // 60
    second = (joined.minute > first + 7 * 1440) & (joined.minute <= first + 14 * 1440)
    windows = verdicts(joined.only(~second), 3)[DriftKind.CONCEPT]
    assert [window.since for window in windows] == [START, START + 2 * WEEK]

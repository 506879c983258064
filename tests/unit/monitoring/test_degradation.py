"""Degradation: worse predictions together with drift, once for each onset."""

from datetime import UTC, datetime, timedelta

import pytest

from mikrobot.domain.drift import DriftKind, WindowVerdict
from mikrobot.monitoring.degradation import degradations

START, DAY = datetime(2025, 3, 3, tzinfo=UTC), timedelta(days=1)


def windows(kind: DriftKind, drifted: str) -> list[WindowVerdict]:
    """Return a window a day; "x" has drifted."""
    return [
        WindowVerdict(kind, START + at * DAY, START + (at + 1) * DAY, mark == "x", False, (f"{kind} {at}",))
        for at, mark in enumerate(drifted)
    ]


@pytest.mark.parametrize(
    ("concept", "features", "begins"),
    [
        ("...x..", ".......", []),
        (".......", "..xxx..", []),
        ("...x...", "...x...", [3]),
        ("...x...", ".x.....", [3]),
        ("....x..", ".x.....", []),
        ("..xxx..", "...x...", [3]),
        ("..x.x..", "..x.x..", [2]),
        (".x....x", ".x....x", [1, 6]),
    ],
)
def test_a_degradation_needs_worse_predictions_and_drift_within_three_windows(
    concept: str, features: str, begins: list[int]
) -> None:
    judged = windows(DriftKind.CONCEPT, concept) + windows(DriftKind.FEATURES, features)
    assert [(window.since - START) // DAY for window in degradations(judged)] == begins


def test_the_reasons_are_those_of_the_predictions_and_of_the_drift() -> None:
    judged = (
        windows(DriftKind.CONCEPT, "..x") + windows(DriftKind.CALIBRATION, "..x") + windows(DriftKind.FEATURES, ".x.")
    )
    (degraded,) = degradations(judged)
    assert degraded.reasons == ("concept 2", "features 1", "calibration 2")

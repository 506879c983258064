"""The reason why a miscalibrated symbol is not traded, from the verdicts on what answers for it."""

from datetime import UTC, datetime, timedelta

import pytest

from mikrobot.domain.drift import DriftKind, WindowVerdict
from mikrobot.workflows.calibration_halts import miscalibration

UNTIL = datetime(2024, 3, 10, tzinfo=UTC)
DAY = timedelta(days=1)
HIGH = "the probabilities are too high by 0.060 on average, +9.1 standard errors (limits 0.02 and 3.5)"


def verdict(kind: DriftKind, drifted: bool, until: datetime = UNTIL) -> WindowVerdict:
    return WindowVerdict(kind, until - DAY, until, drifted, drifted, (HIGH,) if drifted else ())


def test_the_newest_verdict_on_the_calibration_decides_and_gives_its_reasons() -> None:
    windows = [verdict(DriftKind.CALIBRATION, False, UNTIL - DAY), verdict(DriftKind.CALIBRATION, True)]
    assert miscalibration(windows, UNTIL) == f"miscalibrated from 2024-03-09 to 2024-03-10: {HIGH}"
    assert miscalibration([*windows, verdict(DriftKind.CALIBRATION, False, UNTIL + DAY)], UNTIL + DAY) == ""


@pytest.mark.parametrize("kind", sorted(set(DriftKind) - {DriftKind.CALIBRATION}))
def test_other_verdicts_do_not_stop_trading(kind: DriftKind) -> None:
    assert miscalibration([verdict(kind, True)], UNTIL) == ""


@pytest.mark.parametrize(("age_hours", "stops"), [(0, True), (23, True), (24, False), (100, False)])
def test_a_verdict_holds_for_as_long_as_its_window_is(age_hours: int, stops: bool) -> None:
    now = UNTIL + timedelta(hours=age_hours)
    assert bool(miscalibration([verdict(DriftKind.CALIBRATION, True)], now)) is stops


def test_a_symbol_without_a_verdict_is_traded() -> None:
    assert miscalibration([], UNTIL) == ""

"""Drift and degradation are reported once, also when weeks take the place of days."""

from datetime import UTC, datetime, timedelta

import pytest

from mikrobot.domain.drift import DriftKind, EventName, Mark, WindowVerdict
from mikrobot.monitoring.degradation import degradations
from mikrobot.monitoring.drift_events import repeated_degradation, unreported_degradation, unreported_drift
from mikrobot.monitoring.drift_verdict import onsets

START, DAY, WEEK = datetime(2025, 3, 3, tzinfo=UTC), timedelta(days=1), timedelta(days=7)


def windows(kind: DriftKind, drifted: str, length: timedelta) -> list[WindowVerdict]:
    """Return adjacent windows; "x" has drifted."""
    marks = [mark == "x" for mark in drifted]
    return [
        WindowVerdict(kind, START + at * length, START + (at + 1) * length, drifted_here, onset, (f"{kind} {at}",))
        for at, (drifted_here, onset) in enumerate(zip(marks, onsets(marks), strict=True))
    ]


def reported(name: EventName, begun: list[WindowVerdict]) -> set[Mark]:
    return {(name, window.kind, window.since, window.until) for window in begun}


def numbers(begun: list[WindowVerdict], length: timedelta) -> list[int]:
    return [(window.since - START) // length for window in begun]


@pytest.mark.parametrize(
    ("days", "weeks", "begins"),
    [
        ("....................", ".xx", [1]),
        ("........xxxxxxxxxxxx", ".xx", []),
        ("........xx..........", "..x", []),
        ("........xx..........", "..x...x", [6]),
        ("", "..x", [2]),
    ],
)
@pytest.mark.parametrize("kind", DriftKind)
def test_drift_that_days_have_found_is_no_news_as_weeks(
    kind: DriftKind, days: str, weeks: str, begins: list[int]
) -> None:
    before, fresh = windows(kind, days, DAY), windows(kind, weeks, WEEK)
    begun = [window for window in before if window.onset]
    assert numbers(unreported_drift(before + fresh, reported("drift", begun)), WEEK) == begins
    assert unreported_drift(before + fresh, set())[: len(begun)] == begun, "one that was not emitted is news"


def test_drift_of_another_kind_is_news() -> None:
    before = windows(DriftKind.PREDICTIONS, "........xxxxxxxxxxxx", DAY)
    marks = reported("drift", before)
    assert len(unreported_drift(before + windows(DriftKind.FEATURES, ".xx", WEEK), marks)) == 1


def test_stored_windows_of_the_same_length_do_not_hide_a_new_onset() -> None:
    days = windows(DriftKind.FEATURES, "xx...x", DAY)
    assert unreported_drift(days, reported("drift", days[:1])) == days[5:]


def both(drifted: str, length: timedelta) -> list[WindowVerdict]:
    """Return windows of the concept and of the features."""
    return [window for kind in (DriftKind.CONCEPT, DriftKind.FEATURES) for window in windows(kind, drifted, length)]


@pytest.mark.parametrize(
    ("days", "weeks", "asked", "begins"),
    [
        ("....................", ".xx", False, [1]),
        ("........xx..........", ".xx", True, []),
        ("........xx..........", ".xx", False, [1]),
        ("", ".xx", False, [1]),
    ],
)
def test_a_degradation_for_which_days_have_asked_is_no_news_as_weeks(
    days: str, weeks: str, asked: bool, begins: list[int]
) -> None:
    marks = reported("degraded", degradations(both(days, DAY))) if asked else set()
    assert (
        numbers(unreported_degradation(both(days, DAY) + both(weeks, WEEK), both(weeks, WEEK), marks), WEEK) == begins
    )


@pytest.mark.parametrize(
    ("days", "begins"),
    [("..x", [2]), ("..xx", [2]), ("..x..", [2]), ("..x...", []), ("..x...x", [6]), ("..x.x..", [2]), ("", [])],
)
def test_a_degradation_is_asked_for_until_it_ends(days: str, begins: list[int]) -> None:
    """The event did not ask for a retraining within the cooldown; three windows in a row end the degradation."""
    judged = both(days, DAY)
    begun = unreported_degradation(judged, [], set())
    assert numbers(begun, DAY) == begins
    assert unreported_degradation(judged, [], reported("degraded", begun)) == []


@pytest.mark.parametrize(
    ("days", "again"), [("..x", []), ("..xx", [3]), ("..xxx", [4]), ("..xx.", []), ("..x...x", []), ("", [])]
)
def test_a_degradation_that_goes_on_is_asked_for_again_in_each_window(days: str, again: list[int]) -> None:
    """The retraining that it led to has not replaced the model."""
    judged = both(days, DAY)
    marks = reported("degraded", degradations(judged))
    repeated = repeated_degradation(judged, judged[-1:] + judged[: len(judged) // 2], marks)
    assert numbers(repeated, DAY) == again
    assert repeated_degradation(judged, [], marks) == [], "the same windows are no news"
    assert repeated_degradation(judged, judged, reported("degraded", repeated)) == []


def test_a_degradation_that_has_ended_since_the_last_verdicts_is_news() -> None:
    judged = both("..x...", DAY)
    assert numbers(unreported_degradation(judged, judged, set()), DAY) == [2]

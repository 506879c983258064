"""The tables of `why-not` and `replay`, as they are printed."""

from datetime import UTC, datetime

from mikrobot.analytics.decision_differences import differences
from mikrobot.cli.console import unbounded
from mikrobot.cli.decision_tables import replay_tables, why_not_tables
from mikrobot.decision.nearest_change import Change
from mikrobot.domain.check_results import Check, compared
from mikrobot.domain.trading import Decision
from mikrobot.workflows.replay_run import Replayed
from mikrobot.workflows.why_not import Answer, WhyNot

CLOSE = datetime(2024, 3, 11, 9, 30, tzinfo=UTC)
IMPROBABLE = Check("probability", False, "up 0.5, entry needs 0.55", compared(0.5, ">=", 0.55, "probability"))
MANIFEST = {
    "code": "c0de", "configuration": "c0f1", "strategies": ["simple_break@1"],
    "models": [{"model": "bos", "version": "7", "features": "abc", "sha256": "5a5a"}],
}  # fmt: skip


def decided(*checks: Check) -> Decision:
    approved = all(check.passed for check in checks)
    numbers = tuple(check.compared for check in checks)
    return Decision("r/1", "EURUSD", CLOSE, approved, None, tuple(map(str, checks)), "simple_break@1", numbers)


def answered(*changes: Change, reproduced: bool | None = True) -> str:
    answer = Answer(decided(IMPROBABLE), reproduced, changes)
    return "".join(map(unbounded, why_not_tables(WhyNot("r", "EURUSD", CLOSE, (answer,)))))


def replayed(*again: Decision) -> str:
    result = Replayed(
        "r", MANIFEST, {"entry_probability": "0.5"}, (1, len(again)), (0, 1), differences([decided(IMPROBABLE)], again)
    )
    return "".join(map(unbounded, replay_tables(result, 10)))


def test_the_check_its_distance_and_the_nearest_change_are_shown() -> None:
    text = answered(Change("setting", "entry_probability", 0.55, 0.5))
    assert "probability refused: up 0.5, entry needs 0.55" in text
    assert "0.5 >= 0.55 probability, 0.05 from passing" in text
    assert "setting entry_probability: 0.5 in place of 0.55" in text


def test_no_single_change_is_stated_plainly() -> None:
    assert "no change was found among the single inputs, settings and parameters that are tried" in answered()


def test_a_close_that_is_decided_differently_today_is_named() -> None:
    assert "not decided today as it was recorded" in answered(reproduced=False)
    assert "later than the hours of the run" in answered(reproduced=None)
    assert "not decided today" not in answered()


def test_a_replay_shows_its_manifest_and_its_first_difference() -> None:
    text = replayed(decided(Check("probability", True, "up 0.5, entry needs 0.5")))
    for part in ("c0de", "c0f1", "simple_break@1", "bos 7", "5a5a, features abc", "entry_probability=0.5"):
        assert part in text
    assert "1 of 1 decisions differ" in text
    assert "probability -> approved" in text
    assert "reasons.probability" in text


def test_an_equal_replay_is_named_so() -> None:
    assert "every decision is the same" in replayed(decided(IMPROBABLE))

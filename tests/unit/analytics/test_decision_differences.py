"""Decisions of two passes over the same inputs, compared byte for byte."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mikrobot.analytics.decision_differences import ABSENT, Difference, as_bytes, differences
from mikrobot.domain.check_results import Comparison
from mikrobot.domain.trading import Decision, Side

CLOSE = datetime(2024, 3, 11, 9, 30, tzinfo=UTC)
NUMBERS = Comparison(0.61, ">=", 0.55, "probability")
BOUGHT = Decision(
    "r/1", "EURUSD", CLOSE, True, Side.BUY, ("answered by bos 7", "probability passed: 0.61", "spread passed: 5 %"),
    "simple_break@1", (NUMBERS, None),
)  # fmt: skip
LATER = replace(BOUGHT, id="r/2", close_time=CLOSE + timedelta(minutes=1))
REFUSED = replace(
    BOUGHT, approved=False, reasons=("answered by bos 7", "probability refused: 0.61", "spread passed: 5 %")
)


def test_equal_decisions_have_no_difference() -> None:
    assert differences([BOUGHT, LATER], [LATER, BOUGHT]) == []


@pytest.mark.parametrize(
    ("change", "field", "recorded", "replayed"),
    [
        (lambda d: replace(d, strategy="simple_break@2"), "strategy", "simple_break@1", "simple_break@2"),
        (lambda d: replace(d, side=Side.SELL), "side", "buy", "sell"),
        (lambda d: replace(d, reasons=("answered by bos 8", *d.reasons[1:])), "reasons.answered", "answered by bos 7",
         "answered by bos 8"),
        (lambda d: replace(d, reasons=d.reasons[:2]), "reasons.spread", "spread passed: 5 %", ""),
        (lambda d: replace(d, comparisons=(replace(NUMBERS, value=0.6), None)), "comparisons.probability",
         "[0.61, '>=', 0.55, 'probability']", "[0.6, '>=', 0.55, 'probability']"),
    ],
    ids=["strategy", "side", "model", "fewer reasons", "numbers"],
)  # fmt: skip
def test_the_first_field_that_differs_is_named(
    change: Callable[[Decision], Decision], field: str, recorded: str, replayed: str
) -> None:
    changed = change(BOUGHT)
    assert as_bytes(changed) != as_bytes(BOUGHT)
    assert differences([BOUGHT], [changed]) == [
        Difference("r/1", field, recorded, replayed, "approved", "approved"),
    ]


def test_both_terminal_reasons_are_named() -> None:
    (difference,) = differences([BOUGHT], [REFUSED])
    assert (difference.field, difference.terminal_recorded, difference.terminal_replayed) == (
        "reasons.probability", "approved", "probability"
    )  # fmt: skip


def test_a_decision_of_one_side_alone_differs_and_the_earliest_is_first() -> None:
    first, second = differences([LATER], [BOUGHT])
    assert (first.id, first.recorded, first.replayed) == ("r/1", ABSENT, "approved")
    assert (second.id, second.recorded, second.replayed) == ("r/2", "approved", ABSENT)


def test_decisions_recorded_without_numbers_are_compared_without_them() -> None:
    assert differences([replace(BOUGHT, comparisons=())], [BOUGHT]) == []

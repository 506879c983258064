"""The terminal reason of a decision, and its checks as they are read back from its reasons."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from mikrobot.domain.check_results import Check, Comparison, compared, parsed
from mikrobot.domain.errors import DataError
from mikrobot.domain.trading import Decision

CLOSE = datetime(2024, 3, 11, 9, 30, tzinfo=UTC)
BY = "answered by bos 7, learned from EURUSD"
CHECKS = (
    Check("level", True, "above 1.1 passed: yes, refused: no"),
    Check("probability", False, "0.5", Comparison(0.5, ">=", 0.55, "probability")),
    Check("spread", False, "0.3", Comparison(0.3, "<", 0.2, "of the stop distance")),
)


def decided(*checks: Check) -> Decision:
    approved = all(check.passed for check in checks)
    numbers = tuple(check.compared for check in checks)
    return Decision("r/EURUSD", "EURUSD", CLOSE, approved, None, (BY, *map(str, checks)), "simple_break@0", numbers)


def test_the_checks_come_back_from_the_reasons_with_their_numbers() -> None:
    assert decided(*CHECKS).checks == CHECKS


def test_a_check_that_was_appended_without_numbers_has_none() -> None:
    decision = decided(*CHECKS[:2])
    halted = replace(decision, reasons=(*decision.reasons, "state refused: HALTED for all"))
    assert halted.checks == (*CHECKS[:2], Check("state", False, "HALTED for all"))


def test_a_decision_without_recorded_numbers_keeps_its_terminal_reason() -> None:
    old = replace(decided(*CHECKS), comparisons=())
    assert old.terminal_reason == "probability"
    assert old.refusal == replace(CHECKS[1], compared=None)


def test_every_decision_has_one_terminal_reason_and_the_counts_add_up() -> None:
    decisions = [
        decided(*(replace(check, passed=passed) for check, passed in zip(CHECKS, results, strict=True)))
        for results in product((True, False), repeat=len(CHECKS))
    ]
    counts = Counter(decision.terminal_reason for decision in decisions)
    assert counts == {"level": 4, "probability": 2, "spread": 1, "approved": 1}
    assert counts.total() == len(decisions)


def test_a_refusal_without_a_refused_check_is_corrupt() -> None:
    corrupt = replace(decided(CHECKS[0]), approved=False)
    with pytest.raises(DataError, match=r"r/EURUSD .*restore the ledger"):
        _ = corrupt.terminal_reason


@pytest.mark.parametrize(
    ("value", "relation", "threshold", "distance"),
    [(0.5, ">=", 0.55, 0.05), (0.55, ">=", 0.55, 0.0), (3, "<=", 2, 1.0), (2, "<", 2, 0.0), (1, "<", 2, 0.0)],
)
def test_the_distance_is_what_the_value_lacks(value: float, relation: str, threshold: float, distance: float) -> None:
    assert compared(value, relation, threshold, "x").distance == distance


def test_a_value_that_is_no_number_never_passes_and_has_no_distance() -> None:
    missing = compared(float("nan"), "<", 1, "x")
    assert (missing.value, missing.holds, missing.distance) == (None, False, None)
    assert missing.to_json() == [None, "<", 1.0, "x"]


def test_text_that_is_no_check_is_none() -> None:
    assert parsed(BY) is None

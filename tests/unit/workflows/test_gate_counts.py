"""Counts of a quality gate over all checked frames."""

from dataclasses import dataclass

import pandas as pd

from mikrobot.workflows.gate_counts import GateCounts, Tally, by_suite


@dataclass(frozen=True)
class Verdict:
    """The verdict of a gate with two expectations: negative rows are bad, more than one row breaks the second."""

    good: pd.DataFrame
    bad: pd.DataFrame
    reasons: pd.Series
    passed: bool
    expectations: int
    failed: tuple[str, ...]


def gate(frame: pd.DataFrame) -> Verdict:
    bad = frame[frame["x"] < 0]
    failed = tuple(name for name, broken in (("sign", len(bad) > 0), ("length", len(frame) > 3)) if broken)
    return Verdict(frame.drop(bad.index), bad, bad["x"].map(str), not failed, 2, failed)


def test_a_tally_returns_the_verdict_of_the_gate_and_counts_it():
    tally = Tally("bars", gate)
    frames = [pd.DataFrame({"x": values}) for values in ([1, 2], [1, -2, -3], [-1, 2, 3, 4])]
    checked = [tally(frame) for frame in frames]
    assert [verdict.passed for verdict in checked] == [True, False, False]
    assert [len(verdict.good) for verdict in checked] == [2, 1, 3]
    assert tally.counts() == GateCounts("bars", passed=3, failed=3, rows=9, quarantined=3)


def test_a_tally_that_saw_nothing_counts_nothing():
    assert Tally("bars", gate).counts() == GateCounts("bars", passed=0, failed=0, rows=0, quarantined=0)


def test_counts_of_one_suite_are_added_and_suites_stay_in_order():
    counts = [Tally(suite, gate, passed, 1, 10, 2).counts() for suite, passed in (("b", 1), ("a", 2), ("b", 3))]
    added = by_suite(counts)
    assert [count.suite for count in added] == ["b", "a"]
    assert added[0] == GateCounts("b", passed=4, failed=2, rows=20, quarantined=4)
    assert counts[0].passed == 1

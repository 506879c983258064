"""Halts begin below 0.95, and end with the third close in a row at 0.97 or more."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mikrobot.domain.quality import QualityScore
from mikrobot.domain.trading_states import Permission, TradingState
from mikrobot.live.halts import BY_GATE, BY_QUALITY, Halts, halted_closes, halted_rows, restored

START = datetime(2025, 1, 6, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def scores(*values: float, symbol: str = "BTCUSDT") -> list[QualityScore]:
    return [QualityScore(symbol, START + n * MINUTE, value, {"gap": value}) for n, value in enumerate(values)]


def halted(*values: float) -> list[int]:
    return [(at - START) // MINUTE for _, at in halted_closes(scores(*values))]


@pytest.mark.parametrize(
    ("values", "closes"),
    [
        ((1.0, 0.95, 1.0), []),
        ((1.0, 0.9499, 1.0, 1.0, 1.0, 1.0), [1, 2, 3]),
        ((0.5, 0.97, 0.97, 0.97), [0, 1, 2]),
        ((0.5, 0.97, 0.9699, 0.97, 0.97, 0.97), [0, 1, 2, 3, 4]),
        ((0.5, 1.0, 1.0, 0.5, 1.0, 1.0, 1.0), [0, 1, 2, 3, 4, 5]),
        ((1.0, 1.0, 1.0, 0.5, 1.0), [3, 4]),
    ],
)
def test_the_closes_of_a_halt(values, closes):
    assert halted(*values) == closes
    assert np.flatnonzero(halted_rows(np.array(values))).tolist() == closes


@given(st.lists(st.sampled_from([0.0, 0.9499, 0.95, 0.9699, 0.97, 1.0]), max_size=40))
def test_a_batch_halts_the_closes_of_the_stream(values):
    assert np.flatnonzero(halted_rows(np.array(values))).tolist() == halted(*values)


@pytest.mark.parametrize("cut", range(1, 8))
def test_halts_that_are_restored_go_on_as_if_they_had_never_ended(cut):
    values = (1.0, 0.5, 1.0, 0.96, 1.0, 1.0, 1.0, 1.0)
    whole = Halts()
    changes = [change for score in scores(*values) for change in whole.judge(score.close_time, [score], [])]
    first, early = Halts(), list[TradingState]()
    for score in scores(*values)[:cut]:
        for change in first.judge(score.close_time, [score], []):
            early = [change, *(state for state in early if state.since != change.since)]
    again = restored(early, scores(*values)[:cut][-3:])
    late = [change for score in scores(*values)[cut:] for change in again.judge(score.close_time, [score], [])]
    assert [change.until for change in changes if change.until] == [
        change.until for change in (*early, *late) if change.until
    ]


def test_symbols_do_not_halt_each_other():
    both = sorted([*scores(0.5, 1.0), *scores(1.0, 1.0, symbol="ETHUSDT")], key=lambda score: score.close_time)
    assert {symbol for symbol, _ in halted_closes(both)} == {"BTCUSDT"}


def test_a_failed_suite_halts_as_long_as_it_is_recorded_whatever_the_scores_are():
    suite = TradingState(
        Permission.HALTED, f"{BY_GATE}bars", "bad", START + MINUTE, START + 3 * MINUTE, symbol="BTCUSDT"
    )
    closes = halted_closes(scores(1.0, 1.0, 1.0, 1.0), [suite])
    assert [(at - START) // MINUTE for _, at in closes] == [1, 2]
    assert closes["BTCUSDT", START + MINUTE] == "halted since 2025-01-06 12:01 UTC: bad"


def test_a_silent_feed_halts_once_and_ends_with_good_bars():
    halts = Halts()
    state = halts.silence("BTCUSDT", START, "silent")
    assert state is not None
    assert state.by == BY_QUALITY
    assert halts.silence("BTCUSDT", START + MINUTE, "silent") is None
    ends = [change for score in scores(1.0, 1.0, 1.0) for change in halts.judge(score.close_time, [score], [])]
    assert [change.until for change in ends] == [START + 2 * MINUTE]

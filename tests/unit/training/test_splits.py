from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mikrobot.training.splits import folds, walk_forward

START = np.datetime64("2024-03-11", "us")
MINUTE = np.timedelta64(1, "m")


@settings(deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(10, 3000),
    st.integers(1, 400),
    st.integers(0, 400),
)
def test_no_horizon_reaches_the_next_span(seed: int, n: int, horizon: int, embargo: int) -> None:
    rng = np.random.default_rng(seed)
    times = START + rng.integers(0, 5000, n) * MINUTE
    ends = times + rng.integers(1, horizon + 1, n) * MINUTE
    split = walk_forward(times, ends, timedelta(minutes=horizon), embargo=timedelta(minutes=embargo))
    pause = max(horizon, embargo) * MINUTE
    for span, start in ((split.train, split.validation_from), (split.validation, split.test_from)):
        assert (ends[span] < start).all()
        assert (times[span] <= start - pause).all()
    assert (times[split.validation] >= split.validation_from).all()
    assert (times[split.test] >= split.test_from).all()
    parts = np.concatenate([split.train, split.validation, split.test])
    assert len(np.unique(parts)) == len(parts)


def test_a_label_longer_than_the_embargo_is_purged_all_the_same() -> None:
    times = START + np.arange(10_000) * MINUTE
    ends = times + np.where(np.arange(10_000) == 100, 9000, 5) * MINUTE
    assert 100 not in walk_forward(times, ends, timedelta(minutes=5)).train


def test_all_symbols_are_cut_at_the_same_instants() -> None:
    one = START + np.arange(10_000) * MINUTE
    times = np.concatenate([one, one])
    split = walk_forward(times, times + 5 * MINUTE, timedelta(minutes=5))
    assert (len(split.train), len(split.validation), len(split.test)) == (2 * 6801, 2 * 1801, 2 * 1000)
    assert times[split.train].max() < split.validation_from
    assert times[split.validation].max() < split.test_from


@pytest.mark.parametrize(("n", "shares"), [(0, (0.7, 0.2, 0.1)), (10, (0.7, 0.2, 0.2))])
def test_nothing_to_split_is_refused(n: int, shares: tuple[float, float, float]) -> None:
    times = START + np.arange(n) * MINUTE
    with pytest.raises(ValueError, match="shares that add up to 1"):
        walk_forward(times, times, timedelta(minutes=5), shares)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(50, 3000), st.integers(1, 300), st.integers(1, 6))
def test_folds_score_each_instant_once_and_learn_from_what_was_known_before_it(
    seed: int, n: int, horizon: int, count: int
) -> None:
    rng = np.random.default_rng(seed)
    times = START + rng.integers(0, 5000, n) * MINUTE
    ends = times + rng.integers(1, horizon + 1, n) * MINUTE
    parts = folds(times, ends, timedelta(minutes=horizon), count, embargo=timedelta(minutes=50))
    assert len(parts) == count
    for trained, scored in parts:
        if len(scored):
            start = times[scored].min()
            assert (ends[trained] < start).all()
            assert (times[trained] <= start - max(horizon, 50) * MINUTE).all()
    scored = np.concatenate([rows for _, rows in parts])
    assert len(np.unique(scored)) == len(scored)
    assert set(scored) == set(np.flatnonzero(times >= np.sort(times)[round(0.5 * n)]))

"""Labels of every task on random bars with gaps: compared with a naive loop, truncated, continued and mirrored."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mikrobot.models.labels.samples import SESSION_GAP_MINUTES, Labels, Prices
from mikrobot.models.task import Task

TASKS = {
    "bos": Task("bos", horizon=5),
    "bos by the wick": Task("bos", horizon=7, mode="wick"),
    "nowcast": Task("nowcast"),
    "retest": Task("retest", horizon=6, target_atr=1.5, stop_atr=1.0),
    "false break": Task("false_break", horizon=4),
}
Sample = tuple[int, int, bool, int]

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
seeds = st.integers(0, 2**32 - 1)


def market(seed: int, bars: int = 120) -> tuple[Prices, np.ndarray, np.ndarray]:
    """Prices on a coarse grid, so that touches occur; levels near them, some missing; an ATR, some missing."""
    rng = np.random.default_rng(seed)
    close = 100 + np.round(rng.normal(0, 1, bars).cumsum(), 0)
    high, low = close + rng.integers(0, 3, bars), close - rng.integers(0, 3, bars)
    minute = 1000 + np.cumsum(rng.choice([1, 1, 1, 1, 1, 1, 2, 5, 6], bars))
    levels = close[:, None] + [1, -1] * rng.integers(0, 3, (bars, 2))
    levels[rng.random((bars, 2)) < 0.2] = np.nan
    atr = rng.choice([1.0, 2.0, 3.0, np.nan], bars, p=[0.4, 0.3, 0.2, 0.1])
    return Prices(minute, high, low, close), levels, atr


def listed(labels: Labels) -> list[Sample]:
    ends = labels.end.astype("datetime64[m]").astype(int)
    columns = (labels.row, labels.side, labels.outcome, ends)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def naive(task: Task, prices: Prices, levels: np.ndarray, atr: np.ndarray) -> list[Sample]:
    rule: Callable[..., list[Sample]] = {"bos": _bos, "nowcast": _nowcast}.get(task.kind, _followup)
    return rule(task, prices, levels, atr)


def _watched(prices: Prices, t: int, bars: range) -> bool:
    """Return True if all of these bars exist and follow bar t without a session gap."""
    if not bars or bars[-1] >= len(prices):
        return False
    times = [prices.minute[u] for u in range(t, bars[-1] + 1)]
    return all(later - one <= SESSION_GAP_MINUTES for one, later in pairwise(times))


def _until(prices: Prices, t: int, end: int) -> range:
    """Return the bars in (t, end]; empty unless one closes at the end."""
    inside = [u for u in range(t + 1, len(prices)) if prices.minute[u] <= end]
    return range(t + 1, inside[-1] + 1) if inside and prices.minute[inside[-1]] == end else range(0)


def _bos(task: Task, prices: Prices, levels: np.ndarray, atr: np.ndarray) -> list[Sample]:
    labels = []
    for t in range(len(prices)):
        end = int(prices.minute[t]) + task.horizon
        ahead = _until(prices, t, end)
        for side, level in zip((1, -1), levels[t], strict=True):
            if np.isnan(level) or not _watched(prices, t, ahead):
                continue
            wicks = prices.high if side > 0 else prices.low
            reached = [(wicks if task.mode == "wick" else prices.close)[u] for u in ahead]
            labels.append((t, side, any(side * (price - level) > 0 for price in reached), end))
    return labels


def _nowcast(task: Task, prices: Prices, levels: np.ndarray, atr: np.ndarray) -> list[Sample]:
    labels = []
    for t in range(len(prices)):
        end = -(-int(prices.minute[t]) // 5) * 5
        ahead = _until(prices, t, end)
        for side, level in zip((1, -1), levels[t], strict=True):
            if not np.isnan(level) and _watched(prices, t, ahead):
                labels.append((t, side, bool(side * (prices.close[ahead[-1]] - level) > 0), end))
    return labels


def _followup(task: Task, prices: Prices, levels: np.ndarray, atr: np.ndarray) -> list[Sample]:
    n, close = len(prices), prices.close
    events = [
        (b, side, levels[b - 1, column])
        for b in range(1, n)
        for column, side in enumerate((1, -1))
        if side * (close[b] - levels[b - 1, column]) > 0
    ]
    labels = []
    for number, (b, side, level) in enumerate(events):
        following = events[number + 1][0] if number + 1 < len(events) else n
        at: int | None = b
        if task.kind == "retest":
            at = _returned(prices, b, side, level, atr[b], min(n, following, b + 21))
        if at is None:
            continue
        ahead = range(at + 1, at + 1 + task.horizon)
        if not _watched(prices, at, ahead):
            continue
        if task.kind == "retest":
            outcome = _paid(task, prices, at, side, atr[b], ahead)
        else:
            outcome = any(side * (close[u] - level) <= 0 for u in ahead)
        labels.append((at, side, bool(outcome), int(prices.minute[ahead[-1]])))
    return labels


def _returned(prices: Prices, b: int, side: int, level: float, atr: float, until: int) -> int | None:
    for r in range(b + 1, until):
        extreme = prices.low[r] if side > 0 else prices.high[r]
        if side * (extreme - level) <= 0.2 * atr:
            return r if side * (prices.close[r] - level) > 0 else None
    return None


def _paid(task: Task, prices: Prices, r: int, side: int, atr: float, ahead: range) -> bool:
    for u in ahead:
        best, worst = (prices.high[u], prices.low[u]) if side > 0 else (prices.low[u], prices.high[u])
        if side * (worst - prices.close[r]) <= -task.stop_atr * atr:
            return False
        if side * (best - prices.close[r]) >= task.target_atr * atr:
            return True
    return False


@every_task
@settings(deadline=None, max_examples=50)
@given(seeds)
def test_labels_equal_those_of_a_loop_over_bars(task: Task, seed: int) -> None:
    prices, levels, atr = market(seed)
    assert sorted(listed(task.label(prices, levels, atr))) == sorted(naive(task, prices, levels, atr))


@every_task
def test_random_bars_have_both_outcomes(task: Task) -> None:
    labels = task.label(*market(1, bars=2000))
    assert 0.02 < labels.outcome.mean() < 0.98
    assert (np.diff(labels.row) >= 0).all()


@every_task
@settings(deadline=None, max_examples=50)
@given(seeds, st.integers(1, 119))
def test_later_bars_add_labels_and_change_none(task: Task, seed: int, length: int) -> None:
    prices, levels, atr = market(seed)
    whole = listed(task.label(prices, levels, atr))
    shorter = Prices(*(column[:length] for column in (prices.minute, prices.high, prices.low, prices.close)))
    assert listed(task.label(shorter, levels[:length], atr[:length])) == [
        sample for sample in whole if sample[3] <= prices.minute[length - 1]
    ]


@every_task
@settings(deadline=None, max_examples=50)
@given(seeds, st.integers(0, 119))
def test_no_label_reads_beyond_its_end(task: Task, seed: int, t: int) -> None:
    prices, levels, atr = market(seed)
    spoiled, beyond = (
        [column.copy() for column in (prices.high, prices.low, prices.close)],
        prices.minute > prices.minute[t],
    )
    for column in spoiled:
        column[beyond] = np.random.default_rng(seed).choice([1.0, 200.0], beyond.sum())
    changed = levels.copy()
    changed[beyond] = 150.0
    before = [sample for sample in listed(task.label(prices, levels, atr)) if sample[3] <= prices.minute[t]]
    after = [
        sample
        for sample in listed(task.label(Prices(prices.minute, *spoiled), changed, atr))
        if sample[3] <= prices.minute[t]
    ]
    assert before == after


@every_task
@settings(deadline=None, max_examples=50)
@given(seeds)
def test_a_mirrored_market_mirrors_its_labels(task: Task, seed: int) -> None:
    prices, levels, atr = market(seed)
    upside_down = Prices(prices.minute, 300 - prices.low, 300 - prices.high, 300 - prices.close)
    mirrored = listed(task.label(upside_down, 300 - levels[:, ::-1], atr))
    expected = [(row, -side, outcome, end) for row, side, outcome, end in listed(task.label(prices, levels, atr))]
    assert sorted(mirrored) == sorted(expected)

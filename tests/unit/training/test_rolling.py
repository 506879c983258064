from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mikrobot.models.intervals import GRID, cell
from mikrobot.training.rolling import BANDS, FEWEST_KNOWN, Predictions, band, intervals, selective, windows

DAY = np.timedelta64(1, "D")
MINUTE = np.timedelta64(1, "m")


def calibrated(days: int, seed: int = 1, per_day: int = 480) -> Predictions:
    """Predictions that mean what they say, many of them near 0 or 1; each known five minutes later."""
    rng = np.random.default_rng(seed)
    probability = rng.beta(0.3, 0.5, days * per_day)
    time = np.datetime64("2024-03-04", "us") + np.arange(days * per_day) * (1440 // per_day) * MINUTE
    return Predictions(probability, rng.random(len(probability)) < probability, time, time + 5 * MINUTE)


def test_a_window_holds_what_was_known_before_its_day_and_no_more() -> None:
    judged = calibrated(12)
    seen = 0
    for window in windows(judged, days=6):
        (day,) = np.unique(judged.time[window.chosen].astype("datetime64[D]"))
        known = (judged.end < day) & (judged.end >= day - 6 * DAY)
        for counts, own in ((window.true, judged.outcome), (window.false, ~judged.outcome)):
            np.testing.assert_array_equal(counts, np.bincount(cell(judged.probability[known & own]), minlength=GRID))
        seen += len(window.chosen)
    assert seen == 7 * 480  # 2,000 outcomes are known after five days


def test_a_label_that_ends_after_midnight_is_not_known_on_the_next_day() -> None:
    judged = calibrated(8)
    late = replace(judged, end=judged.time + 2 * DAY)
    sizes = [int((window.true + window.false).sum()) for window in windows(late)]
    assert sizes == [2400, 2880 - 480 + 480][: len(sizes)]
    assert len(sizes) == 1


def test_history_fills_the_first_windows() -> None:
    whole = calibrated(12)
    split = 8 * 480
    before, after = (
        Predictions(*(column[part] for column in (whole.probability, whole.outcome, whole.time, whole.end)))
        for part in (slice(0, split), slice(split, None))
    )
    assert sum(len(window.chosen) for window in windows(after, before)) == len(after.outcome)
    assert list(windows(after)) == []


def test_a_promise_is_kept_on_days_to_come() -> None:
    found = selective(calibrated(60))
    assert [(each["band"]["precision"], each["band"]["recall"]) for each in found] == list(BANDS)
    for each in found:
        assert each["precision"] > each["band"]["precision"]
        assert each["recall_covered"] > each["band"]["recall"]
        assert 0.2 < each["coverage"] < 1
        assert each["recall_all"] < each["recall_covered"]
    coverages = [each["coverage"] for each in found]
    assert coverages == sorted(coverages, reverse=True)


def test_predictions_that_know_nothing_cover_nothing() -> None:
    judged = calibrated(20)
    blind = replace(judged, outcome=np.random.default_rng(2).random(len(judged.outcome)) < 0.4)
    for each in selective(blind):
        assert each["coverage"] < 0.02


def test_the_day_judged_chooses_nothing() -> None:
    judged = calibrated(12)
    last = judged.time >= np.datetime64("2024-03-15")
    turned = replace(judged, outcome=judged.outcome ^ last)
    one, other = (selective(each)[1]["band"] for each in (judged, turned))
    assert one == other
    assert selective(judged)[1]["precision"] != selective(turned)[1]["precision"]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 0.95), st.floats(0.5, 0.95))
def test_a_band_keeps_its_promise_on_the_window_and_none_covers_more(
    seed: int, precision: float, recall: float
) -> None:
    rng = np.random.default_rng(seed)
    true, false = np.zeros((2, GRID), np.int64)
    cells = np.sort(rng.choice(GRID, 8, replace=False))
    true[cells], false[cells] = rng.integers(0, 30, 8), rng.integers(0, 30, 8)

    def kept(low: int, high: int) -> int:
        """Samples covered, if the promise is kept."""
        hits, misses, lost = true[high:].sum(), false[high:].sum(), true[:low].sum()
        if hits + misses < 20 or hits < precision * (hits + misses) or lost > hits * (1 / recall - 1):
            return -1
        return int(hits + misses + (true + false)[:low].sum())

    edges = [0, *(cells + 1)]
    best = max(kept(low, high) for high in cells for low in edges if low <= high)
    low, high = band(true, false, precision, recall, fewest=20)
    assert (best < 0) == (high == np.inf)
    if high < np.inf:
        assert kept(round(low * GRID), round(high * GRID)) == best


def test_intervals_cover_what_they_promise() -> None:
    found = intervals(calibrated(60))
    for name in ("coverage", "coverage_true", "coverage_false"):
        assert found[name] == pytest.approx(0.9, abs=0.02)
    assert 0.3 < found["decided"] < 1
    assert found["accuracy"] > 0.85
    assert found["ece"] < 0.02
    assert 0 < found["width"] < 0.05


def test_too_little_history_gives_no_figures() -> None:
    few = calibrated(3)
    assert len(few.outcome) < FEWEST_KNOWN
    assert intervals(few) == {"samples": 0, "promised": 0.9}
    assert {each["coverage"] for each in selective(few)} == {None}

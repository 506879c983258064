from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mikrobot.models.conformal import GRID, cell
from mikrobot.training.rolling import BANDS, FEWEST_KNOWN, Predictions, band, intervals, selective, windows

DAY = np.timedelta64(1, "D")
MINUTE = np.timedelta64(1, "m")


def calibrated(days: int, seed: int = 1, per_day: int = 480) -> Predictions:
    """Calibrated predictions, many of them near 0 or 1; each outcome is known five minutes later."""
    rng = np.random.default_rng(seed)
    probability = rng.beta(0.3, 0.5, days * per_day)
    time = np.datetime64("2024-03-04", "us") + np.arange(days * per_day) * (1440 // per_day) * MINUTE
    return Predictions(probability, rng.random(len(probability)) < probability, time, time + 5 * MINUTE)


def test_a_window_holds_what_was_known_before_its_day_and_no_more() -> None:
    judged = calibrated(12)
    counted = 0
    for window in windows(judged, days=6):
        (day,) = np.unique(judged.time[window.chosen].astype("datetime64[D]"))
        in_window = (judged.end < day) & (judged.end >= day - 6 * DAY)
        for counts, own in ((window.true, judged.outcome), (window.false, ~judged.outcome)):
            cells = cell(judged.probability[in_window & own])
            np.testing.assert_array_equal(counts, np.bincount(cells, minlength=GRID))
        counted += len(window.chosen)
    assert counted == 7 * 480  # 2,000 outcomes are known after five days


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


def test_a_band_reaches_its_targets_on_later_days() -> None:
    bands = selective(calibrated(60))
    assert [(result.band.precision, result.band.recall) for result in bands] == list(BANDS)
    for result in bands:
        assert result.precision > result.band.precision
        assert result.recall_covered > result.band.recall
        assert 0.2 < result.coverage < 1
        assert result.recall_all < result.recall_covered
    coverages = [result.coverage for result in bands]
    assert coverages == sorted(coverages, reverse=True)


def test_predictions_without_information_cover_nothing() -> None:
    judged = calibrated(20)
    blind = replace(judged, outcome=np.random.default_rng(2).random(len(judged.outcome)) < 0.4)
    for result in selective(blind):
        assert result.coverage < 0.02


def test_the_day_judged_chooses_nothing() -> None:
    judged = calibrated(12)
    last = judged.time >= np.datetime64("2024-03-15")
    turned = replace(judged, outcome=judged.outcome ^ last)
    one, other = (selective(result)[1].band for result in (judged, turned))
    assert one == other
    assert selective(judged)[1].precision != selective(turned)[1].precision


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 0.95), st.floats(0.5, 0.95))
def test_a_band_reaches_its_targets_on_the_window_and_none_covers_more(
    seed: int, precision: float, recall: float
) -> None:
    rng = np.random.default_rng(seed)
    true, false = np.zeros((2, GRID), np.int64)
    cells = np.sort(rng.choice(GRID, 8, replace=False))
    true[cells], false[cells] = rng.integers(0, 30, 8), rng.integers(0, 30, 8)

    def covered(low: int, high: int) -> int:
        """Return the covered samples if the band reaches its targets, else -1."""
        hits, misses, lost = true[high:].sum(), false[high:].sum(), true[:low].sum()
        if hits + misses < 20 or hits < precision * (hits + misses) or lost > hits * (1 / recall - 1):
            return -1
        return int(hits + misses + (true + false)[:low].sum())

    edges = [0, *(cells + 1)]
    best = max(covered(low, high) for high in cells for low in edges if low <= high)
    low, high = band(true, false, precision, recall, fewest=20)
    assert (best < 0) == (high == np.inf)
    if high < np.inf:
        assert covered(round(low * GRID), round(high * GRID)) == best


def test_intervals_have_their_nominal_coverage() -> None:
    summary = intervals(calibrated(60))
    for name in ("coverage", "coverage_true", "coverage_false"):
        assert summary[name] == pytest.approx(0.9, abs=0.02)
    assert 0.3 < summary["decided"] < 1
    assert summary["accuracy"] > 0.85
    assert summary["ece"] < 0.02
    assert 0 < summary["width"] < 0.05


def test_too_little_history_gives_no_figures() -> None:
    few = calibrated(3)
    assert len(few.outcome) < FEWEST_KNOWN
    assert intervals(few) == {"samples": 0, "promised": 0.9}
    assert {result.coverage for result in selective(few)} == {None}

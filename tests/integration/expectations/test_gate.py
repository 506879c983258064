import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from expectations import quality_gate
from expectations.quality_gate import check, check_ingested
from mikrobot.domain.errors import GateError
from mikrobot.domain.market import BAR_COLUMNS, close_times
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline

ROWS = 3_000


@pytest.fixture
def bars() -> pd.DataFrame:
    return _walk(ROWS)


@pytest.fixture(scope="module")
def computed() -> pd.DataFrame:
    walk = _walk(ROWS)
    frame = pd.DataFrame(FeaturePipeline(["EURUSD"]).compute("EURUSD", walk), columns=list(CATALOG.columns))
    frame.insert(0, "symbol", "EURUSD")
    frame.insert(1, "close_time", close_times(walk))
    return frame


@pytest.fixture
def rows(computed: pd.DataFrame) -> pd.DataFrame:
    return computed.copy()


def _walk(n: int) -> pd.DataFrame:
    random = np.random.default_rng(5)
    close = 1.1 * np.exp(np.cumsum(random.normal(0, 2e-4, n)))
    open_ = np.r_[1.1, close[:-1]]
    frame = pd.DataFrame(
        {
            "open_time": pd.date_range("2024-03-01", periods=n, freq="min", tz="UTC").as_unit("us"),
            "open": open_,
            "high": np.maximum(open_, close) * 1.0001,
            "low": np.minimum(open_, close) * 0.9999,
            "close": close,
            "volume": np.nan,
            "spread": 0.00008,
            "trades": np.nan,
            "taker_volume": np.nan,
        }
    )
    return frame[list(BAR_COLUMNS)]


def test_sound_bars_pass_whole(bars: pd.DataFrame) -> None:
    checked = check(bars, "bars")
    assert checked.passed
    assert checked.failed == ()
    assert checked.expectations == 28
    pd.testing.assert_frame_equal(checked.good, bars)
    assert checked.bad.empty
    assert checked.reasons.empty


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("high", 0.9, "high not below low; high not below open; high not below close"),
        ("low", 1.3, "high not below low; open not below low; close not below low"),
        ("close", -1.1, "close positive and finite; close not below low"),
        ("close", np.inf, "close positive and finite; high not below close"),
        ("open", 0.0, "open positive and finite; open not below low"),
        ("close", np.nan, "close known"),
        ("high", 2.2, "high within 20 % of the bars around it"),
        ("volume", -1.0, "volume not negative and finite, where known"),
        ("spread", -0.1, "spread not negative and finite, where known"),
        ("spread", np.inf, "spread not negative and finite, where known"),
        ("trades", -1.0, "trades not negative and finite, where known"),
        ("taker_volume", np.inf, "taker_volume not negative and finite, where known"),
    ],
)
def test_a_bad_bar_is_separated_with_its_reasons(bars: pd.DataFrame, column: str, value: float, reason: str) -> None:
    bars.loc[700, column] = value
    checked = check(bars, "bars")
    assert checked.passed
    assert list(checked.bad.index) == [700]
    assert checked.reasons.to_dict() == {700: reason}
    pd.testing.assert_frame_equal(checked.good, bars.drop(index=700))


def test_reasons_keep_the_index_the_frame_came_with(bars: pd.DataFrame) -> None:
    bars.index = bars.index + 10_000
    bars.loc[[10_005, 12_000], "low"] = 9.0
    checked = check(bars, "bars")
    assert list(checked.bad.index) == [10_005, 12_000]
    assert list(checked.reasons.index) == [10_005, 12_000]


def test_a_price_that_jumps_and_stays_is_no_bad_tick(bars: pd.DataFrame) -> None:
    bars.loc[1500:, ["open", "high", "low", "close"]] *= 0.5
    checked = check(bars, "bars")
    assert checked.bad.empty


def test_a_bar_off_the_minute_is_bad(bars: pd.DataFrame) -> None:
    bars.loc[3, "open_time"] += pd.Timedelta("7s")
    assert check(bars, "bars").reasons.to_dict() == {3: "open_time on a whole minute"}


def test_the_gate_fails_only_above_the_allowed_share(bars: pd.DataFrame) -> None:
    bars.loc[: ROWS // 100 - 1, "high"] = 0.5
    assert check(bars, "bars", allowed_share=0.01).passed
    bars.loc[ROWS // 100, "high"] = 0.5
    assert not check(bars, "bars", allowed_share=0.01).passed


def test_one_bad_bar_of_a_short_backfill_passes_unless_none_is_allowed(bars: pd.DataFrame) -> None:
    short = bars.head(30).copy()
    short.loc[7, "high"] = 0.5
    assert check_ingested(short, 0.01).passed
    assert not check(short, "bars", allowed_share=0.01).passed
    assert not check_ingested(short, 0).passed
    assert not check_ingested(short.loc[[7]], 0.01).passed
    short.loc[8, "high"] = 0.5
    assert not check_ingested(short, 0.01).passed


def test_duplicate_times_fail_the_frame_and_name_the_rows(bars: pd.DataFrame) -> None:
    bars.loc[20, "open_time"] = bars.loc[19, "open_time"]
    checked = check(bars, "bars", allowed_share=1)
    assert not checked.passed
    assert checked.reasons.to_dict() == {19: "open_time unique", 20: "open_time unique; open_time increasing"}


def test_times_out_of_order_fail_the_frame(bars: pd.DataFrame) -> None:
    checked = check(bars.iloc[::-1], "bars", allowed_share=1)
    assert not checked.passed
    assert "open_time increasing" in checked.failed


def test_a_missing_column_fails_the_frame(bars: pd.DataFrame) -> None:
    checked = check(bars.drop(columns="spread"), "bars")
    assert not checked.passed
    assert checked.failed == ("the columns of a bar frame",)


def test_an_empty_frame_fails(bars: pd.DataFrame) -> None:
    checked = check(bars.head(0), "bars")
    assert not checked.passed
    assert checked.failed == ("at least one row",)


def test_prices_that_are_text_are_refused_by_name(bars: pd.DataFrame) -> None:
    bars["close"] = bars["close"].astype(str)
    with pytest.raises(GateError, match="close"):
        check(bars, "bars")


def test_computed_feature_rows_pass_warm_up_included(rows: pd.DataFrame) -> None:
    checked = check(rows, "features")
    assert checked.passed
    assert checked.failed == ()
    assert checked.bad.empty
    assert rows.loc[0, "m1_rsi_14"] is not None
    assert np.isnan(rows.loc[0, "m1_rsi_14"])


def test_a_value_missing_after_its_warm_up_is_bad_and_before_it_is_not(rows: pd.DataFrame) -> None:
    rows.loc[[13, 14], "m1_rsi_14"] = np.nan
    assert check(rows, "features").reasons.to_dict() == {14: "m1_rsi_14 known after 14 bars"}


def test_a_column_that_is_missing_altogether_fails_the_gate(rows: pd.DataFrame) -> None:
    rows["m1_rsi_14"] = np.nan
    checked = check(rows, "features")
    assert not checked.passed
    assert len(checked.bad) == ROWS - 14


def test_an_unknown_spread_makes_no_row_bad(rows: pd.DataFrame) -> None:
    rows["m1_spread_atr"] = np.nan
    assert check(rows, "features").bad.empty


@pytest.mark.parametrize("value", [100.5, -0.1, np.inf])
def test_a_value_out_of_its_range_is_bad(rows: pd.DataFrame, value: float) -> None:
    rows.loc[2_000, "m1_rsi_14"] = value
    assert check(rows, "features").reasons.to_dict() == {2_000: "m1_rsi_14 finite and within [0, 100]"}


def test_infinity_is_out_of_a_range_without_bounds(rows: pd.DataFrame) -> None:
    rows.loc[5, "m1_return_1"] = -np.inf
    assert check(rows, "features").reasons.to_dict() == {5: "m1_return_1 finite and within [-inf, inf]"}


def test_feature_columns_in_another_order_fail_the_frame(rows: pd.DataFrame) -> None:
    swapped = ["symbol", "close_time", *reversed(CATALOG.columns)]
    assert check(rows[swapped], "features").failed == ("the columns of the catalog",)


def test_an_invalid_expectation_is_an_error_not_a_silent_gap(
    bars: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = quality_gate.suites.read("bars")
    suite["expectations"][-1]["kwargs"] = {"column": "spread", "min_value": "none"}
    monkeypatch.setattr(quality_gate.suites, "read", lambda _: suite)
    with pytest.raises(GateError, match="invalid"):
        check(bars, "bars")


def test_the_gate_prints_nothing_and_opens_no_connection(tmp_path: Path, bars: pd.DataFrame) -> None:
    bars.to_parquet(tmp_path / "bars.parquet")
    program = f"""
import socket, sys
sys.addaudithook(lambda event, args: sys.exit(f"{{event}} {{args}}") if event.startswith("socket.connect") else None)
import pandas as pd
from expectations.quality_gate import check
check(pd.read_parquet({str(tmp_path / "bars.parquet")!r}), "bars")
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_the_extremes_of_columns_find_what_each_expectation_finds(
    rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(11)
    columns = random.choice(list(CATALOG.columns), 40, replace=False)
    for column, damage in zip(columns[:24], (np.nan, np.inf, -np.inf, 1e300, -1e300, np.nan) * 4, strict=True):
        rows.loc[random.choice(ROWS, 5, replace=False), column] = damage
    rows["m1_rsi_14"] = rows["m1_rsi_14"].astype("float32")
    rows[columns[24]] = np.nan
    suite = quality_gate.suites.read("features")
    asked = {*columns, "m1_rsi_14", None}
    suite["expectations"] = [e for e in suite["expectations"] if e["kwargs"].get("column") in asked]
    monkeypatch.setattr(quality_gate.suites, "read", lambda _: suite)
    screened = check(rows, "features", allowed_share=1)
    monkeypatch.setattr(quality_gate, "_BOUNDED", {})
    alone = check(rows, "features", allowed_share=1)
    assert len(alone.failed) >= 10
    assert screened.failed == alone.failed
    assert screened.reasons.to_dict() == alone.reasons.to_dict()
    assert (screened.passed, screened.expectations) == (alone.passed, alone.expectations)


def test_an_expectation_with_exceptions_is_run_by_itself(rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = quality_gate.suites.read("features")
    (bounded,) = (e for e in suite["expectations"] if e["description"].startswith("m1_rsi_14 finite"))
    bounded["kwargs"]["mostly"] = 0.9
    monkeypatch.setattr(quality_gate.suites, "read", lambda _: suite)
    rows.loc[2_000, "m1_rsi_14"] = 100.5
    assert check(rows, "features").failed == ()


@pytest.mark.parametrize(
    ("limits", "passed"),
    [
        ({"min_value": ROWS}, True),
        ({"min_value": ROWS + 1}, False),
        ({"max_value": ROWS}, True),
        ({"max_value": ROWS - 1}, False),
    ],
)
def test_the_number_of_rows_is_held_to_its_limits(
    rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, limits: dict[str, int], passed: bool
) -> None:
    suite = quality_gate.suites.read("features")
    (counted,) = (e for e in suite["expectations"] if e["type"] == "expect_table_row_count_to_be_between")
    counted["kwargs"] = limits
    monkeypatch.setattr(quality_gate.suites, "read", lambda _: suite)
    assert check(rows, "features").passed is passed


@pytest.mark.parametrize("order", [1, -1])
def test_two_ranges_of_a_column_both_hold(rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, order: int) -> None:
    suite = quality_gate.suites.read("features")
    ranges = [
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "m1_rsi_14", "min_value": 0, "max_value": highest},
            "description": f"m1_rsi_14 up to {highest}",
            "severity": "warning",
        }
        for highest in (90, 200)
    ]
    suite["expectations"] = ranges[::order]
    monkeypatch.setattr(quality_gate.suites, "read", lambda _: suite)
    rows["m1_rsi_14"] = 50.0
    rows.loc[2_000, "m1_rsi_14"] = 95.0
    assert check(rows, "features").reasons.to_dict() == {2_000: "m1_rsi_14 up to 90"}

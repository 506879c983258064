import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

from mikrobot.domain.errors import DataError, StoreError
from mikrobot.features.catalog import CATALOG
from mikrobot.monitoring.drift import MINIMUM_ROWS, SHOWN, compare

COLUMNS = ("m1_rsi_14", "m1_return_1", "m1_volatility_15", "m1_spread_atr", "m1_bollinger_20_percent_b")


def rows(seed: int, n: int = 2_000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, len(COLUMNS))), columns=COLUMNS)
    frame.loc[rng.random(n) < 0.2, "m1_spread_atr"] = np.nan
    return frame


def test_rows_of_one_distribution_are_stable(tmp_path: Path) -> None:
    drift = compare(rows(1), rows(2), COLUMNS, tmp_path / "drift.html")
    assert (drift.verdict, drift.share, drift.drifted) == ("stable", 0.0, ())
    assert set(drift.scores) == set(COLUMNS)
    assert all(0.0 <= score < 0.1 for score in drift.scores.values())


def test_moved_columns_are_named_largest_first(tmp_path: Path) -> None:
    moved = rows(2)
    moved["m1_return_1"] += 1.0
    moved["m1_rsi_14"] += 3.0
    drift = compare(rows(1), moved, COLUMNS, tmp_path / "drift.html", share=0.5)
    assert drift.drifted == ("m1_rsi_14", "m1_return_1")
    assert drift.share == pytest.approx(2 / 5)
    assert drift.verdict == "stable"


def test_the_verdict_is_drift_at_the_limit(tmp_path: Path) -> None:
    moved = rows(2)
    moved["m1_return_1"] += 1.0
    moved["m1_rsi_14"] += 3.0
    assert compare(rows(1), moved, COLUMNS, tmp_path / "drift.html", share=0.4).verdict == "drift"


def test_the_scores_are_those_of_evidently_s_own_comparison(tmp_path: Path) -> None:
    reference, current = rows(1), rows(2)
    current["m1_return_1"] *= 1.3
    drift = compare(reference, current, COLUMNS, tmp_path / "drift.html")
    definition = DataDefinition(numerical_columns=list(COLUMNS))
    newest, older = (Dataset.from_pandas(frame, data_definition=definition) for frame in (current, reference))
    metrics = Report([DataDriftPreset(columns=list(COLUMNS), method="psi", threshold=0.1)]).run(newest, older).dict()
    theirs = {
        metric["config"]["column"]: metric["value"]
        for metric in metrics["metrics"]
        if metric["config"]["type"].endswith(":ValueDrift")
    }
    assert drift.scores == pytest.approx(theirs, abs=1e-12)
    assert list(drift.scores) == sorted(theirs, key=lambda name: -theirs[name])


def test_the_page_states_the_verdict_and_shows_the_columns_that_drifted_most(tmp_path: Path) -> None:
    reference, current = rows(1), rows(2)
    current["m1_return_1"] += 1.0
    current["m1_ema_200"] = reference["m1_ema_200"] = 1.0
    drift = compare(reference, current, (*COLUMNS, "m1_ema_200"), tmp_path / "drift.html")
    page = " ".join(drift.report.read_text(encoding="utf-8").split())
    assert "<h1>Feature drift: stable</h1>" in page
    assert "1 of 5 compared columns have drifted (20 %)" in page
    assert f"<td>m1_return_1</td><td>{drift.scores['m1_return_1']:.3f}</td>" in page
    assert "<td>m1_ema_200</td><td>moves with the price level</td>" in page


def test_a_comparison_of_every_column_gives_a_page_of_the_largest_alone(tmp_path: Path) -> None:
    rng, names = np.random.default_rng(3), [spec.name for spec in CATALOG.specs if not spec.moves_with]
    reference, current = (pd.DataFrame(rng.normal(size=(400, len(names))), columns=names) for _ in range(2))
    current[names[-1]] += 3.0
    drift = compare(reference, current, names, tmp_path / "drift.html")
    assert len(drift.scores) == len(names) > SHOWN
    assert next(iter(drift.scores)) == names[-1]
    assert drift.report.stat().st_size < 6_000_000


def test_only_the_page_of_a_simulated_market_has_a_banner(tmp_path: Path) -> None:
    page, banner = tmp_path / "drift.html", '<div class="market">SIMULATED market'
    compare(rows(1), rows(2), COLUMNS, page, simulated=True)
    simulated = page.read_text(encoding="utf-8")
    assert banner in simulated.partition("<body>")[2][:100]
    assert "<title>SIMULATED · Feature drift</title>" in simulated
    compare(rows(1), rows(2), COLUMNS, page)
    real = page.read_text(encoding="utf-8")
    assert banner not in real
    assert "<title>Feature drift</title>" in real


def test_price_levels_are_left_out_with_the_reason(tmp_path: Path) -> None:
    reference, current = rows(1), rows(2)
    reference["m1_ema_200"], current["m1_ema_200"] = 1.08, 1.31
    reference["m1_atr_14"], current["m1_atr_14"] = reference["m1_rsi_14"], current["m1_rsi_14"] + 9
    drift = compare(reference, current, (*COLUMNS, "m1_ema_200", "m1_atr_14"), tmp_path / "drift.html")
    assert drift.verdict == "stable"
    assert set(drift.left_out) == {"m1_ema_200", "m1_atr_14"}
    assert "price" in drift.left_out["m1_ema_200"]


@pytest.mark.parametrize("side", [0, 1])
def test_a_column_that_differs_by_rounding_only_is_left_out(tmp_path: Path, side: int) -> None:
    frames = rows(1), rows(2)
    frames[side]["m1_rsi_14"] = np.where(np.arange(len(frames[side])) % 2 == 0, 50.0, np.nextafter(50.0, 51.0))
    drift = compare(*frames, COLUMNS, tmp_path / "drift.html")
    assert drift.left_out == {"m1_rsi_14": "constant except for rounding"}


def test_columns_without_values_or_spread_are_left_out_with_the_reason(tmp_path: Path) -> None:
    reference, current = rows(1), rows(2)
    reference["m1_rsi_14"] = np.nan
    current["m1_return_1"] = np.nan
    reference["m1_bollinger_20_percent_b"] = 0.5
    drift = compare(reference, current, COLUMNS, tmp_path / "drift.html")
    assert drift.left_out == {
        "m1_rsi_14": "no value in the reference rows",
        "m1_return_1": "no value in the current rows",
        "m1_bollinger_20_percent_b": "constant in the reference rows",
    }


def test_long_histories_are_thinned_over_their_whole_span(tmp_path: Path) -> None:
    reference = rows(1, 60_000)
    reference.loc[30_000:, "m1_rsi_14"] += 3.0
    current = rows(2)
    drift = compare(reference, current, COLUMNS, tmp_path / "drift.html")
    assert drift.drifted == ("m1_rsi_14",)


def test_the_report_needs_no_network(tmp_path: Path) -> None:
    report = compare(rows(1), rows(2), COLUMNS, tmp_path / "new folder" / "drift.html").report
    html = report.read_text()
    assert "m1_volatility_15" in html
    assert not re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//", html)
    assert [path.name for path in report.parent.iterdir()] == ["drift.html"]


@pytest.mark.parametrize("side", ["reference", "current"])
def test_too_few_rows_are_refused(tmp_path: Path, side: str) -> None:
    frames = {"reference": rows(1), "current": rows(2)} | {side: rows(3, MINIMUM_ROWS - 1)}
    with pytest.raises(DataError, match=f"{side} rows, found {MINIMUM_ROWS - 1}"):
        compare(**frames, columns=COLUMNS, report=tmp_path / "drift.html")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="current rows have no column m1_rsi_14"):
        compare(rows(1), rows(2).drop(columns="m1_rsi_14"), COLUMNS, tmp_path / "drift.html")


def test_an_infinity_is_located(tmp_path: Path) -> None:
    current = rows(2)
    current.loc[17, "m1_return_1"] = np.inf
    with pytest.raises(DataError, match="infinity in m1_return_1, row 17"):
        compare(rows(1), current, COLUMNS, tmp_path / "drift.html")


def test_an_error_is_raised_if_no_column_can_be_compared(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="m1_ema_200: moves with the price level"):
        compare(
            rows(1).assign(m1_ema_200=1.08), rows(2).assign(m1_ema_200=1.1), ("m1_ema_200",), tmp_path / "drift.html"
        )


def test_an_unwritable_folder_raises_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        compare(rows(1), rows(2), COLUMNS, tmp_path / "file" / "drift.html")

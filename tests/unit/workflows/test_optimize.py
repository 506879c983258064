"""A parameter search on made-up bars: no later bar reaches it, and its result is judged on unseen bars."""

import json
import re
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from mikrobot.cli.optimization_tables import tables
from mikrobot.domain.errors import UsageError
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings, load
from mikrobot.workflows.backtest import backtest
from mikrobot.workflows.optimize import ENOUGH_TRADES, Wanted, optimize
from mikrobot.workflows.search_ranges import Narrowed

BARS, LONG = 6_000, 46_000
WANTED = Wanted(trials=5, folds=2, metric="return_pct", narrowed=(Narrowed("simple_break.minutes", 5.0, 60.0),))


def written(folder: Path, frame: pd.DataFrame) -> Path:
    folder.mkdir()
    frame.rename(columns={"open_time": "ts"}).to_parquet(folder / "BTCUSDT_M1.parquet", index=False)
    return folder / "BTCUSDT_M1.parquet"


@pytest.fixture(scope="module")
def market(bars: Any) -> pd.DataFrame:
    return bars(LONG, price=60_000.0, step=2e-3).assign(spread=0.1)


@pytest.fixture(scope="module")
def file(market: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("optimize") / "short", market.head(BARS))


def searched(file: Path, wanted: Wanted = WANTED, settings: Settings | None = None, **given: Any) -> dict[str, Any]:
    span = {"start": None, "end": None, **given}
    return optimize(
        settings or Settings(), SystemClock(), [file], None,
        wanted=wanted, say=lambda line: None, **span,
    )  # fmt: skip


@pytest.fixture(scope="module")
def result(file: Path) -> dict[str, Any]:
    return searched(file)


def turned(frame: pd.DataFrame, since: datetime) -> pd.DataFrame:
    """Return the same bars with every move after a time in the other direction."""
    later = frame["open_time"] >= since
    level = 2 * frame.loc[~later, "close"].iloc[-1]
    changed = frame.copy()
    for name, mirrored in {"open": "open", "high": "low", "low": "high", "close": "close"}.items():
        changed.loc[later, name] = level - frame.loc[later, mirrored]
    return changed


def test_later_bars_change_nothing_that_was_chosen_or_traded_before(
    result: dict[str, Any], market: pd.DataFrame, tmp_path: Path
) -> None:
    *before, last = result["folds"]
    since = datetime.fromisoformat(last["traded"]["from"])
    other = searched(written(tmp_path / "other", turned(market.head(BARS), since)))
    *before_there, last_there = other["folds"]
    assert before_there == before
    for name in ("searched", "traded", "parameters", "in_sample", "first_trial_in_sample"):
        assert last_there[name] == last[name]
    assert last_there["out_of_sample"] != last["out_of_sample"]
    assert other["out_of_sample"]["chosen"] != result["out_of_sample"]["chosen"]


def test_a_piece_is_traded_as_a_backtest_with_the_chosen_parameters_trades_it(
    result: dict[str, Any], file: Path
) -> None:
    for fold in result["folds"]:
        parameters = {f"simple_break.{name}": value for name, value in fold["parameters"].items()}
        start, end = (datetime.fromisoformat(fold["traded"][side]) for side in ("from", "to"))
        traded = backtest(
            Settings(strategy_parameters=parameters), SystemClock(), [file], None,
            start=start, end=end, say=lambda line: None,
        )  # fmt: skip
        assert fold["out_of_sample"] == {"return_pct": traded["return_pct"], "trades": traded["trades"]}


def test_the_best_trial_is_chosen_and_the_first_one_has_the_default_parameters(
    result: dict[str, Any], file: Path
) -> None:
    settings = Settings(strategy_parameters={"simple_break.stop_atr": 3.0})
    one = searched(file, Wanted(1, 2, "return_pct"), settings)
    assert one["parameters"] == one["default"] == {"entry_probability": 0.55, "stop_atr": 3.0, "minutes": 30}
    assert one["out_of_sample"]["chosen"] == one["out_of_sample"]["default"]
    assert set(one["out_of_sample"]["difference"].pop("costs").values()) == {"0.00"}
    assert set(one["out_of_sample"]["difference"].values()) <= {0, None}
    for fold in result["folds"]:
        assert fold["in_sample"]["return_pct"] >= fold["first_trial_in_sample"]["return_pct"]
    assert any(fold["parameters"] != result["default"] for fold in result["folds"])
    assert all(5 <= fold["parameters"]["minutes"] <= 60 for fold in result["folds"])


def test_the_same_seed_gives_the_same_document_and_another_one_does_not(result: dict[str, Any], file: Path) -> None:
    again, other = searched(file), searched(file, settings=Settings(seed=8))
    for document in (again, other):
        document.pop("seconds")
    assert again == {name: value for name, value in result.items() if name != "seconds"}
    assert other["folds"] != result["folds"]


def test_figures_out_of_sample_come_first_and_a_short_history_is_no_evidence(result: dict[str, Any]) -> None:
    json.dumps(result, allow_nan=False)
    assert list(result)[:4] == ["out_of_sample", "folds", "trials", "deflated_sharpe"]
    assert result["trials"] == {"each_search": 5, "searches": 3}
    assert result["deflated_sharpe"]["probability"] is None
    assert re.fullmatch(r"\d days of returns, 30 are needed", result["deflated_sharpe"]["reason"])
    assert not result["evidence"]
    assert "This is no evidence that the parameters are better than chance: there is no deflated" in result["verdict"]
    assert result["out_of_sample"]["chosen"]["trades"] == sum(
        fold["out_of_sample"]["trades"] for fold in result["folds"]
    )


def test_the_line_for_the_settings_is_read_as_the_parameters(
    result: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mikrobot.toml").write_text(f"{result['setting']}\n")
    assert load().strategy_parameters == {f"simple_break.{name}": v for name, v in result["parameters"].items()}


def test_a_month_of_a_strategy_without_skill_has_a_deflated_sharpe_ratio_that_is_no_evidence(
    market: pd.DataFrame, tmp_path: Path
) -> None:
    result = searched(written(tmp_path / "long", market), Wanted(3, 1, "expectancy_r"))
    judged = result["deflated_sharpe"]
    assert (judged["trials"], judged["reason"]) == (3, None)
    assert judged["expected_without_skill"] > 0
    assert 0 <= judged["probability"] < 0.95
    assert f"the deflated Sharpe ratio is {judged['probability']:.2f}, below 0.95" in result["verdict"]
    assert result["out_of_sample"]["chosen"]["trades"] >= ENOUGH_TRADES
    assert "trades out of sample" not in result["verdict"]


def test_the_tables_show_both_accounts_each_fold_and_the_reason_of_a_missing_value(result: dict[str, Any]) -> None:
    shown = Console(width=300, record=True, file=StringIO())
    for table in tables(result):
        shown.print(table)
    text = shown.export_text()
    outside = result["out_of_sample"]
    for which in ("chosen", "default"):
        assert f"{outside[which]['return_pct']:.4g}" in text
    assert all(f"minutes {fold['parameters']['minutes']}" in text for fold in result["folds"])
    assert result["deflated_sharpe"]["reason"] in text
    assert "5 in each of 3 searches" in text


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(trials=0), "expected at least 1 of --trials, found 0"),
        (Wanted(folds=0), "expected at least 1 of --folds, found 0"),
        (Wanted(metric="profit"), "there is no metric 'profit'; the metrics are sharpe, return_pct, expectancy_r"),
        (Wanted(folds=99, metric="return_pct"), r"has \d+ bars, expected at least 200; give more bars or fewer"),
        (Wanted(folds=2), r"with \d days of returns, 30 are needed for the metric sharpe; give more bars, fewer"),
    ],
    ids=["trials", "folds", "metric", "bars", "days"],
)
def test_what_cannot_be_searched_is_refused_in_one_line(file: Path, wanted: Wanted, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        searched(file, wanted)
    assert "\n" not in str(refused.value)


def test_two_strategies_at_once_are_refused(file: Path) -> None:
    with pytest.raises(UsageError, match="one strategy is searched at a time, found simple_break, m5_bos"):
        searched(file, settings=Settings(strategies=("simple_break", "m5_bos")))

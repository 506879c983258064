"""Backtest with the live code: it uses no later data, and the rules alone follow their definition."""

import csv
import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from mikrobot.cli.tables import backtest_table
from mikrobot.domain.errors import StoreError, UsageError
from mikrobot.domain.trading import OrderIntent, Side
from mikrobot.live.trader import ATR
from mikrobot.market.replay import ReplaySource
from mikrobot.models.task import Task
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.workflows.backtest import OWN, backtest
from mikrobot.workflows.backtest_files import COLUMNS, Files, predictions_of
from mikrobot.workflows.backtest_market import _start
from mikrobot.workflows.backtest_outlooks import by_model, by_rules
from mikrobot.workflows.registered import Answering


@pytest.fixture
def files(tmp_path: Path, bars: Any) -> dict[int, Path]:
    """Return the files of the whole market and of its first half, by number of bars, each in its own folder."""
    whole, paths = bars(4_000).assign(spread=1e-5), {}
    for rows in (2_000, 4_000):
        paths[rows] = tmp_path / str(rows) / "EURUSD_M1.parquet"
        paths[rows].parent.mkdir()
        whole.head(rows).rename(columns={"open_time": "ts"}).to_parquet(paths[rows], index=False)
    return paths


def traded(file: Path, settings: Settings | None = None, files: Files | None = None, **given: Any) -> dict[str, Any]:
    span, chosen = {"start": None, "end": None, **given}, settings or Settings()
    return backtest(
        chosen, SystemClock(), [file], None,
        start=span["start"], end=span["end"], say=lambda line: None, files=files or Files(),
    )  # fmt: skip


def test_a_symbol_without_a_bar_in_the_span_is_named(files: dict[int, Path], bars: Any) -> None:
    later = bars(500, start=datetime(2024, 6, 3, tzinfo=UTC)).assign(spread=1e-5).rename(columns={"open_time": "ts"})
    path = files[2_000].with_name("GBPUSD_M1.parquet")
    later.to_parquet(path, index=False)
    lines: list[str] = []
    end = datetime(2024, 3, 5, tzinfo=UTC)
    result = backtest(Settings(), SystemClock(), [files[2_000], path], None, start=None, end=end, say=lines.append)
    assert result["data"]["symbols"] == ["EURUSD"]
    assert result["data"]["to"] == end.isoformat()
    assert "GBPUSD has no bar in the traded span; its files have 2024-06-03 to 2024-06-03" in lines


def test_it_returns_every_figure_of_the_contract_as_plain_json(files: dict[int, Path]) -> None:
    result = traded(files[4_000])
    json.dumps(result, allow_nan=False)
    assert {
        "trades", "pnl", "return_pct", "sharpe", "sortino", "max_drawdown_pct", "profit_factor", "win_rate",
        "expectancy_r", "costs", "ambiguous_share", "bars_per_s", "decisions", "by_symbol", "benchmark",
    } <= result.keys()  # fmt: skip
    assert result["trades"] > 10
    assert result["decisions"] == 4_000
    assert result["by_symbol"]["EURUSD"]["pnl"] == result["pnl"]


def test_the_report_and_the_trade_list_hold_what_the_figures_are_of(files: dict[int, Path], tmp_path: Path) -> None:
    page, table = tmp_path / "new" / "report.html", tmp_path / "new" / "trades.csv"
    result = traded(files[4_000], Settings(profile="ftmo"), Files(page, table))
    assert result["files"] == {"report": str(page), "trades": str(table)}
    with table.open(encoding="utf-8", newline="") as lines:
        listed = list(csv.DictReader(lines))
    assert tuple(listed[0]) == COLUMNS
    assert len(listed) == result["trades"]
    assert sum(Decimal(trade["pnl"]) for trade in listed) == Decimal(result["pnl"])
    assert all(Decimal(trade["gross"]) - Decimal(trade["fees"]) == Decimal(trade["pnl"]) for trade in listed)
    assert [trade["entered_at"] for trade in listed] == sorted(trade["entered_at"] for trade in listed)
    assert np.mean([float(trade["r"]) for trade in listed]) == pytest.approx(result["expectancy_r"], abs=1e-4)
    html = page.read_text(encoding="utf-8")
    assert "profile ftmo · entry probability 0.55 · swing 5 · run backtest" in html
    assert f"{result['decisions']:,}</b>" in html
    assert "Why signals were not traded" in html
    assert html.count(f'<td class="n">{result["trades"]}</td>') >= 1
    assert sorted(path.name for path in page.parent.iterdir()) == ["report.html", "trades.csv"]


def test_asking_for_files_changes_nothing_of_what_is_traded(files: dict[int, Path], tmp_path: Path) -> None:
    plain, written = traded(files[2_000]), traded(files[2_000], files=Files(tmp_path / "r.html", tmp_path / "t.csv"))
    aside = ("bars_per_s", "files")
    assert {k: v for k, v in plain.items() if k not in aside} == {k: v for k, v in written.items() if k not in aside}


def test_files_that_cannot_be_written_are_refused_before_anything_is_computed(
    files: dict[int, Path], tmp_path: Path
) -> None:
    data = files[2_000]
    for unwritable, complaint in (
        (Files(report=tmp_path), "--report .* is a folder"),
        (Files(trades=data), "--trades .* holds the bars to read"),
        (Files(tmp_path / "one", tmp_path / "one"), "--report and --trades are both"),
    ):
        with pytest.raises(UsageError, match=complaint):
            traded(data, files=unwritable)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match="cannot be written"):
        traded(data, files=Files(report=tmp_path / "file" / "report.html"))


def test_the_journal_of_a_backtest_shows_the_level_and_the_probability_of_the_model() -> None:
    at = datetime(2024, 3, 4, 9, 0, tzinfo=UTC)
    order = OrderIntent("o", "d", "EURUSD", Side.SELL, Decimal(1), Decimal("1.1"), Decimal("1.0"), at, at)
    outlooks = pd.DataFrame(
        {"atr": 0.001, "above": 1.06, "below": 1.04, "up": 0.2, "down": 0.7}, index=pd.DatetimeIndex([at])
    )
    spec: Any = SimpleNamespace(task=Task("bos", 15), name="bos", version="3", feature_hash="abc")
    answering = Answering(SimpleNamespace(spec=spec), "bos")
    (prediction,) = predictions_of([order], {"EURUSD": outlooks}, {"EURUSD": answering})
    assert (prediction.probability, prediction.side, prediction.close_time) == (0.7, Side.SELL, at)
    assert prediction.features == {"m1_break_15_above": 1.06, "m1_break_15_below": 1.04}


def test_a_figure_of_too_few_days_is_null_with_its_reason(files: dict[int, Path]) -> None:
    result = traded(files[4_000])
    buy_and_hold = result["benchmark"]["buy and hold"]
    assert result["sharpe"] is result["sortino"] is buy_and_hold["sharpe"] is None
    assert re.fullmatch(r"\d days of returns, 30 are needed", result["reasons"]["sharpe"])
    assert result["reasons"].keys() == {name for name in OWN if result[name] is None}
    assert buy_and_hold["reasons"].keys() == {"sharpe"}
    assert result["max_drawdown_pct"] == pytest.approx(result["by_symbol"]["EURUSD"]["max_drawdown_pct"], rel=1e-9)
    shown = Console(width=200, record=True, file=StringIO())
    shown.print(backtest_table(result))
    assert result["reasons"]["sharpe"] in shown.export_text()


def test_bars_that_come_later_change_nothing_of_what_was_traded(files: dict[int, Path], bars: Any) -> None:
    end = bars(2_000)["open_time"].iloc[-1].to_pydatetime() + timedelta(minutes=1)
    half, cut = traded(files[2_000]), traded(files[4_000], end=end)
    aside = ("bars_per_s", "data")
    assert {k: v for k, v in half.items() if k not in aside} == {k: v for k, v in cut.items() if k not in aside}


def test_a_span_without_bars_is_refused(files: dict[int, Path], bars: Any) -> None:
    late = bars(4_000)["open_time"].iloc[-1].to_pydatetime() + timedelta(days=1)
    with pytest.raises(UsageError, match="no bar closes after"):
        traded(files[4_000], start=late)


def test_files_that_end_before_a_model_was_trained_are_refused_with_the_two_times(files: dict[int, Path]) -> None:
    source = ReplaySource([files[2_000]])
    (_, end) = source.span("EURUSD")
    spec = SimpleNamespace(name="bos", version="3", source="simulated", trained_until=end + timedelta(days=1))
    answering: Any = SimpleNamespace(model=SimpleNamespace(spec=spec))
    learned, last = (f"{at:%Y-%m-%d %H:%M}" for at in (spec.trained_until, end))
    message = f"bos version 3 learned from simulated bars up to {learned}, and the files end at {last}; .*--rules-only"
    with pytest.raises(UsageError, match=message):
        _start(source, [answering], None)


def test_the_rules_follow_the_levels_of_the_swing_that_is_set(files: dict[int, Path]) -> None:
    narrow, wide = traded(files[4_000]), traded(files[4_000], Settings(swing=15))
    assert narrow["pnl"] != wide["pnl"]
    assert min(narrow["orders"], wide["orders"]) > 10


@pytest.mark.parametrize("swing", [5, 15])
def test_a_model_is_traded_on_the_levels_that_it_was_trained_on(swing: int) -> None:
    task = Task("bos", swing)
    names = list(dict.fromkeys((ATR, *Task("bos", 5).columns, *Task("bos", 15).columns)))
    rows = pd.DataFrame(np.arange(3.0 * len(names)).reshape(3, -1), columns=names)
    spec = SimpleNamespace(task=task, columns=task.columns, version="3", symbols=("EURUSD",))
    model: Any = SimpleNamespace(spec=spec, predict=lambda values: np.full((len(values), 2), 0.6))
    outlooks = by_model(Answering(model, "bos"), rows, ())
    assert set(outlooks["by"]) == {"bos 3, learned from EURUSD"}
    assert outlooks[["above", "below"]].to_numpy().tolist() == rows[list(task.columns)].to_numpy().tolist()


def test_the_rules_follow_a_close_beyond_the_level_of_the_close_before() -> None:
    rows = pd.DataFrame({ATR: 1.0, "above": [105.0, 105.0, 110.0], "below": [95.0, 95.0, np.nan]})
    outlooks = by_rules(pd.DataFrame({"close": [106.0, 106.0, 94.0]}), rows, ("above", "below"), ())
    assert outlooks["up"].tolist() == [0.0, 1.0, 0.0]
    assert outlooks["down"].tolist() == [0.0, 0.0, 1.0]
    assert outlooks["above"].tolist()[1:] == [105.0, 105.0]

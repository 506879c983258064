"""History traded by the live code: nothing later is known, and the rules alone are what they say."""

import json
import re
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from mikrobot.app.backtest import OWN, backtest, by_rules, table
from mikrobot.app.trader import ABOVE, ATR, BELOW
from mikrobot.domain.errors import UsageError
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings


@pytest.fixture
def files(tmp_path: Path, bars: Any) -> dict[int, Path]:
    """The same market, once to its end and once only half of it, each in a folder of its own."""
    whole, paths = bars(4_000).assign(spread=1e-5), {}
    for rows in (2_000, 4_000):
        paths[rows] = tmp_path / str(rows) / "EURUSD_M1.parquet"
        paths[rows].parent.mkdir()
        whole.head(rows).rename(columns={"open_time": "ts"}).to_parquet(paths[rows], index=False)
    return paths


def traded(file: Path, **given: Any) -> dict[str, Any]:
    span = {"start": None, "end": None, **given}
    return backtest(Settings(), SystemClock(), [file], None, span["start"], span["end"], lambda line: None)


def test_it_tells_every_figure_of_the_contract_as_plain_json(files: dict[int, Path]) -> None:
    found = traded(files[4_000])
    json.dumps(found, allow_nan=False)
    assert {
        "trades", "pnl", "return_pct", "sharpe", "sortino", "max_drawdown_pct", "profit_factor", "win_rate",
        "expectancy_r", "costs", "ambiguous_share", "bars_per_s", "decisions", "by_symbol", "benchmark",
    } <= found.keys()  # fmt: skip
    assert found["trades"] > 10
    assert found["decisions"] == 4_000
    assert found["by_symbol"]["EURUSD"]["pnl"] == found["pnl"]


def test_a_figure_of_too_few_days_is_null_with_its_reason(files: dict[int, Path]) -> None:
    found = traded(files[4_000])
    buy_and_hold = found["benchmark"]["buy and hold"]
    assert found["sharpe"] is found["sortino"] is buy_and_hold["sharpe"] is None
    assert re.fullmatch(r"\d days of returns, 30 are needed", found["reasons"]["sharpe"])
    assert found["reasons"].keys() == {name for name in OWN if found[name] is None}
    assert buy_and_hold["reasons"].keys() == {"sharpe"}
    assert found["max_drawdown_pct"] == pytest.approx(found["by_symbol"]["EURUSD"]["max_drawdown_pct"], rel=1e-9)
    shown = Console(width=200, record=True, file=StringIO())
    shown.print(table(found))
    assert found["reasons"]["sharpe"] in shown.export_text()


def test_bars_that_come_later_change_nothing_of_what_was_traded(files: dict[int, Path], bars: Any) -> None:
    end = bars(2_000)["open_time"].iloc[-1].to_pydatetime() + timedelta(minutes=1)
    half, cut = traded(files[2_000]), traded(files[4_000], end=end)
    aside = ("bars_per_s", "data")
    assert {k: v for k, v in half.items() if k not in aside} == {k: v for k, v in cut.items() if k not in aside}


def test_a_span_without_bars_is_refused(files: dict[int, Path], bars: Any) -> None:
    late = bars(4_000)["open_time"].iloc[-1].to_pydatetime() + timedelta(days=1)
    with pytest.raises(UsageError, match="no bar closes after"):
        traded(files[4_000], start=late)


def test_the_rules_follow_a_close_beyond_the_level_of_the_close_before() -> None:
    rows = pd.DataFrame({ATR: 1.0, ABOVE: [105.0, 105.0, 110.0], BELOW: [95.0, 95.0, np.nan]})
    found = by_rules(pd.DataFrame({"close": [106.0, 106.0, 94.0]}), rows)
    assert found["up"].tolist() == [0.0, 1.0, 0.0]
    assert found["down"].tolist() == [0.0, 0.0, 1.0]
    assert found["above"].tolist()[1:] == [105.0, 105.0]

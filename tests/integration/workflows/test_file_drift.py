"""The command drift on bar files whose change is known, as a user calls it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from mikrobot.cli.main import main

START = datetime(2025, 1, 1, tzinfo=UTC)
DAYS, CHANGED = 40, 34
"""Days of the file, and the day from which its volatility is doubled."""


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of a random walk whose volatility doubles."""
    rng = np.random.default_rng(5)
    count = DAYS * 1440
    volatility = np.where(np.arange(count) < CHANGED * 1440, 4e-4, 8e-4)
    close = 60_000 * np.exp(np.cumsum(volatility * rng.normal(size=count)))
    opened = np.append(60_000, close[:-1])
    reach = volatility * close * np.abs(rng.normal(size=(2, count)))
    frame = pd.DataFrame(
        {
            "ts": pd.date_range(START, periods=count, freq="min"),
            "open": opened, "high": np.maximum(opened, close) + reach[0], "low": np.minimum(opened, close) - reach[1],
            "close": close, "volume": rng.gamma(2, 10, count),
        }
    )  # fmt: skip
    file = tmp_path_factory.mktemp("bars") / "BTCUSDT_M1.parquet"
    frame.to_parquet(file)
    return file


def call(*arguments: object) -> tuple[int, str, str]:
    """Return the exit code, the standard output and the standard error of a command."""
    result = CliRunner().invoke(main, ["drift", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_each_window_is_judged_and_a_doubled_volatility_is_drift(bars: Path) -> None:
    asked = ("--data", bars, "--reference", "2025-01-03..2025-01-31", "--window", "1d")
    code, shown, _ = call(*asked, "--json")
    assert code == 0
    printed = json.loads(shown)
    windows = printed["windows"]
    assert [window["from"][:10] for window in windows][:2] == ["2025-01-31", "2025-02-01"]
    assert [window["verdict"] for window in windows[:4]] == ["stable"] * 4
    changed = next(number for number, window in enumerate(windows) if window["from"].startswith("2025-02-04"))
    assert "drift" in [window["verdict"] for window in windows[changed : changed + 3]]
    assert printed["verdicts"] == sum(window["onset"] for window in windows) == 1
    onset = next(window for window in windows if window["onset"])
    assert any("volatility" in reason for reason in onset["reasons"])
    assert printed["fixed_limit_verdicts"] == sum(window["fixed_limit"] == "drift" for window in windows)


def test_the_table_shows_the_verdict_next_to_that_of_the_fixed_limit(bars: Path) -> None:
    code, shown, _ = call("--data", bars, "--reference", "2025-01-03..2025-01-31", "--window", "1d")
    assert code == 0
    assert "new drift" in shown
    assert "1 verdicts in 10 windows" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--reference", "2025-01-01"), "'2025-01-01' is no span of days; give it as 2018-07-01..2019-07-01"),
        (("--reference", "2025-02-01..2025-01-01"), "2025-02-01 is not before 2025-01-01"),
        (("--reference", "2024-01-01..2025-01-20"), "do not lie within them"),
        (("--reference", "2025-01-01..2025-01-20"), "has 2 windows of 7 days with 200 rows; give at least 12"),
        (("--reference", "2025-01-01..2025-01-20", "--window", "x"), "'x' is no number of days from 1 to 365"),
    ],
)
def test_what_cannot_be_judged_is_refused(bars: Path, arguments: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(main, ["drift", "--data", str(bars), *arguments])
    assert result.exit_code in (1, 2)
    assert message in result.stderr

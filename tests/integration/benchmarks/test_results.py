"""The document of results: that every figure of a run finds its place, on a small made-up run."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.studies import results
from benchmarks.studies.results import StudiedMarket
from mikrobot import settings as configuration
from mikrobot.domain.errors import DataError

DAYS = {"train_from": "2024-03-04", "validation_from": "2024-03-25", "judged_from": "2024-04-02"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five weeks of a random walk as each of four symbols."""
    ts = pd.date_range("2024-03-04", "2024-04-09", freq="1min", inclusive="left", tz="UTC")
    for number, symbol in enumerate(("EURUSD", "GBPUSD", "BTCUSDT", "ETHUSDT")):
        rng = np.random.default_rng(number)
        steps = 1e-4 * rng.normal(size=(len(ts), 4)).cumsum(axis=1)
        close = np.exp(steps[:, -1].cumsum())
        path = close[:, None] * np.exp(steps - steps[:, -1:])
        opened = np.concatenate([[1.0], close[:-1]])
        prices = np.column_stack([path, opened])
        pd.DataFrame(
            {"ts": ts, "open": opened, "high": prices.max(1), "low": prices.min(1), "close": close, "volume": 1.0}
        ).to_parquet(tmp_path / f"{symbol}_M1.parquet")
    return tmp_path


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for symbol in ("EURUSD", "BTCUSDT"):
        monkeypatch.setattr(results, symbol, StudiedMarket(symbol, **DAYS, judged_until="2024-04-09"))
    kept = ("n5 h5 close", "nowcast")
    monkeypatch.setattr(results, "STUDIES", {name: results.STUDIES[name] for name in kept})
    monkeypatch.setattr(results, "GROUPS", {"time": ("minute",)})
    monkeypatch.setattr(results, "OMISSION_DAYS", (21, 6))
    spans = {"EURUSD": ("GBPUSD", "2024-03-25", "2024-04-02"), "BTCUSDT": ("ETHUSDT", "2024-03-25", "2024-04-02")}
    monkeypatch.setattr(results, "STRANGERS", spans)
    monkeypatch.setattr("mikrobot.training.learners.MOST_ROUNDS", 5)


@pytest.mark.soak
@pytest.mark.usefixtures("short")
def test_a_run_fills_the_document_and_finds_no_edge_in_walks(folder: Path) -> None:
    progress: list[str] = []
    settings = configuration.load()
    figures = results.run(folder, settings, progress.append)
    assert json.loads(json.dumps(figures)) == figures
    assert progress == [
        f"{symbol}: {what}"
        for symbol in ("EURUSD", "BTCUSDT")
        for what in ("n5 h5 close", "nowcast", "controls", "transfer", "omissions", "trials")
    ]
    for studies in figures["studies"].values():
        over = studies["n5 h5 close"]["uplift"]["over_forecast"]["auc"]
        assert over["low"] < 0.005
    text = results.document(figures, settings)
    for row in (
        "| EURUSD nowcast |",
        "| BTCUSDT n5 h5 close, gaussian |",
        "GBPUSD, 2024-03-25",
        "| all, seed 9 |",
        "| without time |",
        "| EURUSD: minutes around news |",
        "| ETHUSDT: recent moves of BTCUSDT |",
    ):
        assert row in text
    shown = figures["studies"]["EURUSD"]["nowcast"]["by_minutes_left"]["1"]["metrics"]["auc"]
    assert f"| {shown:.4f} |" in text


def test_a_folder_without_the_bars_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected EURUSD_M1\.parquet in .*, found none"):
        results.bars_of(tmp_path, "EURUSD", "2024-03-04", "2024-03-05")

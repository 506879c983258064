"""`mikrobot features`: rows of a bar file, computed in pieces, and written completely or not at all."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import talib
from click.testing import CliRunner

from mikrobot.cli.main import main
from mikrobot.domain.errors import BarError, StoreError, UsageError
from mikrobot.domain.market import Timeframe
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.market.replay import read_bars
from mikrobot.market.simulated import SimulatedSource
from mikrobot.runtime import ManualClock
from mikrobot.workflows import export_features

END = datetime(2025, 2, 1, tzinfo=UTC)
DAYS = 20


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Write bars of a lead and its follower over three pieces; the follower has gaps and the lead begins earlier."""
    folder = tmp_path_factory.mktemp("bars")
    source = SimulatedSource(("BTCUSDT", "ETHUSDT", "EURUSD"), 7, ManualClock(END))
    names = {"ts": "open_time", "taker_buy_volume": "taker_volume"}
    paths = {}
    for symbol, days in (("BTCUSDT", DAYS + 9), ("ETHUSDT", DAYS), ("EURUSD", 2)):
        bars = source.history(symbol, END - timedelta(days=days), END - timedelta(days=0 if days > 2 else 1))
        if symbol == "ETHUSDT":
            bars = bars[np.random.default_rng(5).random(len(bars)) > 0.05]
        paths[symbol] = folder / f"{symbol}_M1.parquet"
        bars.rename(columns={new: old for old, new in names.items()}).to_parquet(paths[symbol], row_group_size=5_000)
    return paths


def whole(files, timeframe=Timeframe.M1, lead=True):
    lead_rows = FeaturePipeline(["BTCUSDT"]).lead_rows(*read_bars(files["BTCUSDT"])) if lead else None
    return FeaturePipeline(["ETHUSDT"]).frame(*read_bars(files["ETHUSDT"]), lead_rows, timeframe)


@pytest.mark.parametrize("timeframe", [Timeframe.M1, Timeframe.M5])
@pytest.mark.parametrize("lead", [True, False])
def test_a_file_in_pieces_holds_what_one_frame_would(files, tmp_path, timeframe, lead):
    out = tmp_path / "rows.parquet"
    written = export_features.write_rows(files["ETHUSDT"], out, timeframe, files["BTCUSDT"] if lead else None)
    expected = whole(files, timeframe, lead)
    assert (written.symbol, written.lead, written.rows) == ("ETHUSDT", "BTCUSDT" if lead else None, len(expected))
    rows = pd.read_parquet(out)
    assert list(rows.columns) == ["symbol", "close_time", *CATALOG.columns]
    pd.testing.assert_frame_equal(rows, expected, check_exact=True)
    assert rows["m1_lead_return_1"].notna().mean() == pytest.approx(1.0 if lead else 0.0, abs=0.01)


def test_five_minute_rows_are_one_a_bar_and_equal_talib_on_those_bars(files, tmp_path):
    export_features.write_rows(files["ETHUSDT"], tmp_path / "rows.parquet", Timeframe.M5, None)
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    _, bars = read_bars(files["ETHUSDT"])
    grouped = bars.groupby(bars["open_time"].dt.floor("5min"))
    m5 = grouped.agg({"high": "max", "low": "min", "close": "last"})
    assert (grouped["open_time"].max() - m5.index < pd.Timedelta("4min")).sum() > 100, (
        "some have lost their last minute"
    )
    assert rows["close_time"].tolist() == (m5.index + pd.Timedelta("5min")).tolist()[: len(rows)]
    assert len(m5) - len(rows) <= 1
    expected = talib.ATR(*(m5[name].to_numpy() for name in ("high", "low", "close")), 14)[: len(rows)]
    np.testing.assert_allclose(rows["m5_atr_14"], expected, rtol=1e-9)
    np.testing.assert_allclose(rows["m1_return_1"].iloc[-1], np.log(bars["close"]).diff().iloc[-1], rtol=1e-9)


def test_memory_is_that_of_a_piece(files, tmp_path, monkeypatch):
    folded = []
    frame, lead_rows = FeaturePipeline.frame, FeaturePipeline.lead_rows

    def counted(step):
        def fold(self, symbol, bars, *arguments):
            folded.append(len(bars))
            return step(self, symbol, bars, *arguments)

        return fold

    monkeypatch.setattr(FeaturePipeline, "frame", counted(frame))
    monkeypatch.setattr(FeaturePipeline, "lead_rows", counted(lead_rows))
    export_features.write_rows(files["ETHUSDT"], tmp_path / "rows.parquet", Timeframe.M1, files["BTCUSDT"])
    week = export_features.PIECE // timedelta(minutes=1)
    assert max(folded) <= week < DAYS * 1440 / 2
    assert pq.read_metadata(tmp_path / "rows.parquet").num_row_groups == 3


def test_a_broken_file_leaves_the_old_output_and_no_other_file(files, tmp_path):
    bars = pd.read_parquet(files["ETHUSDT"])
    bars.loc[bars.index[-1], "close"] = -1.0
    bars.to_parquet(tmp_path / "ETHUSDT_M1.parquet")
    out = tmp_path / "rows.parquet"
    out.write_text("earlier")
    with pytest.raises(BarError, match=r"ETHUSDT_M1\.parquet, row"):
        export_features.write_rows(tmp_path / "ETHUSDT_M1.parquet", out, Timeframe.M1, None)
    assert out.read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ETHUSDT_M1.parquet", "rows.parquet"]


def test_wrong_uses_are_refused(files, tmp_path):
    out = tmp_path / "rows.parquet"
    with pytest.raises(UsageError, match="--lead holds EURUSD, but ETHUSDT is led by BTCUSDT"):
        export_features.write_rows(files["ETHUSDT"], out, Timeframe.M1, files["EURUSD"])
    with pytest.raises(UsageError, match="--lead holds EURUSD, but BTCUSDT is led by no other symbol"):
        export_features.write_rows(files["BTCUSDT"], out, Timeframe.M1, files["EURUSD"])
    with pytest.raises(UsageError, match="holds the bars to read"):
        export_features.write_rows(files["ETHUSDT"], files["ETHUSDT"], Timeframe.M1, None)
    with pytest.raises(UsageError, match="expected bars of one symbol, found BTCUSDT, ETHUSDT, EURUSD"):
        export_features.write_rows(files["ETHUSDT"].parent, out, Timeframe.M1, None)
    with pytest.raises(BarError, match="no such file"):
        export_features.write_rows(tmp_path / "EURUSD_M1.parquet", out, Timeframe.M1, None)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match=r"cannot be written \(.*\); give --out"):
        export_features.write_rows(files["EURUSD"], tmp_path / "file" / "rows.parquet", Timeframe.M1, None)
    assert not out.exists()


def test_the_command_reports_what_it_wrote(files, tmp_path):
    out = tmp_path / "rows.parquet"
    options = {"--out": out, "--timeframe": "M5", "--lead": files["BTCUSDT"]}
    arguments = [str(part) for option in options.items() for part in option]
    result = CliRunner().invoke(main, ["features", str(files["ETHUSDT"]), *arguments])
    assert f"{pq.read_metadata(out).num_rows:,} M5 rows of ETHUSDT, led by BTCUSDT in {out}" in result.stderr

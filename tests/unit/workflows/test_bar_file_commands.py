import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from mikrobot.analytics.charts import bar_file
from mikrobot.analytics.charts.style import plotly_script
from mikrobot.cli.main import main
from mikrobot.domain.errors import BarError, UsageError
from mikrobot.market.reading import Reading
from mikrobot.market.replay import read_bars
from mikrobot.workflows.import_files import PROVENANCE, import_files
from mikrobot.workflows.inspect_files import Inspected, Refused, facts, inspect, write_page

HEADER = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"


def mt5_file(path: Path, times: pd.DatetimeIndex, prices: str = "1.10000\t1.10020\t1.09990\t1.10010") -> Path:
    body = [f"{time:%Y.%m.%d\t%H:%M:%S}\t{prices}\t7\t0\t8" for time in times.tz_convert("Europe/Athens")]
    path.write_text("\n".join([HEADER, *body]))
    return path


def week(*spans: tuple[str, int]) -> pd.DatetimeIndex:
    parts = [pd.date_range(start, periods=minutes, freq="min", tz="UTC") for start, minutes in spans]
    return parts[0].append(parts[1:])


def one(path: Path, reading: Reading | None = None) -> Inspected:
    (inspected,) = inspect([path], reading or Reading())
    assert isinstance(inspected, Inspected), inspected
    return inspected


def test_a_file_is_described(tmp_path: Path) -> None:
    path = mt5_file(
        tmp_path / "EURUSD.csv", week(("2025-01-03 21:00", 60), ("2025-01-05 22:00", 30), ("2025-01-05 22:33", 9))
    )
    inspected = one(path)
    assert (inspected.file.format, inspected.file.symbol, inspected.file.clock) == ("mt5", "EURUSD", "EET")
    assert inspected.file.evidence == "1 weekend from and to 17:00 New York"
    assert (inspected.file.volume, inspected.file.spread) == ("ticks", "points")
    assert inspected.spread == pytest.approx({"p5": 8e-5, "p50": 8e-5, "p95": 8e-5})
    assert inspected.bars == 99
    assert (f"{inspected.first:%Y-%m-%d %H:%M}", f"{inspected.last:%Y-%m-%d %H:%M}") == (
        "2025-01-03 21:00",
        "2025-01-05 22:41",
    )
    assert inspected.gaps == {"up to 5 min": 1, "up to 1 h": 0, "up to 24 h": 0, "over 24 h": 0}
    assert (f"{inspected.longest_gap[0]:%H:%M}", inspected.longest_gap[1]) == ("22:29", 3)
    assert inspected.zero_volume_share == 0


def test_a_weekend_is_a_gap_of_crypto_and_not_of_foreign_exchange(tmp_path: Path) -> None:
    times = week(("2025-01-03 21:00", 60), ("2025-01-05 22:00", 60))
    prices = "93576.00\t93610.90\t93537.50\t93610.90"
    assert sum(one(mt5_file(tmp_path / "EURUSD.csv", times)).gaps.values()) == 0
    inspected = one(mt5_file(tmp_path / "BTCUSDT.csv", times, prices), Reading(clock="EET"))
    assert inspected.gaps["over 24 h"] == 1
    assert inspected.longest_gap[1] == 48 * 60


def test_spikes_flat_bars_and_bars_without_volume_are_counted(tmp_path: Path) -> None:
    times = pd.date_range("2025-01-06 10:00", periods=100, freq="min", tz="UTC")
    bars = pd.DataFrame({"ts": times, "open": 1.1, "high": 1.1001, "low": 1.1, "close": 1.1, "volume": 5.0})
    bars.loc[10, "high"] = 1.15
    bars.loc[20:29, "high"] = 1.1
    bars.loc[:24, "volume"] = 0.0
    path = tmp_path / "EURUSD.parquet"
    bars.to_parquet(path)
    inspected = one(path)
    assert (inspected.spikes, inspected.flat_share, inspected.zero_volume_share) == (1, 0.1, 0.25)
    assert inspected.spread == {}
    assert dict(facts(inspected))["bars without volume"] == "25.00%, unit base"


def test_a_file_without_volume_and_with_a_long_gap_is_put_into_words(tmp_path: Path) -> None:
    times = pd.date_range("2025-01-06 10:00", periods=200, freq="min", tz="UTC")
    times = times[:100].append(times[100:] + pd.Timedelta(days=3))
    path = tmp_path / "BTCUSDT.parquet"
    pd.DataFrame({"ts": times, "open": 9e4, "high": 9.1e4, "low": 8.9e4, "close": 9e4}).to_parquet(path)
    words = dict(facts(one(path)))
    assert words["gaps while open"] == "1 of over 24 h; the longest 4,320 min after 2025-01-06 11:39"
    assert words["bars without volume"] == "unknown, the file has no volume"


def test_each_file_that_would_be_refused_is_named_and_the_others_are_described(tmp_path: Path) -> None:
    good = mt5_file(tmp_path / "EURUSD.csv", week(("2025-01-03 21:00", 60), ("2025-01-05 22:00", 30)))
    bad = tmp_path / "GBPUSD.csv"
    bad.write_text("a,b\n1,2\n")
    described, refused = inspect([good, bad], Reading())
    assert isinstance(described, Inspected)
    assert isinstance(refused, Refused)
    assert "no known format of bars: it begins with 'a,b'" in refused.reason


def test_an_imported_file_is_read_back_equal_and_carries_its_provenance(tmp_path: Path) -> None:
    path = mt5_file(tmp_path / "EURUSDm.csv", week(("2025-01-03 21:00", 60), ("2025-01-05 22:00", 30)))
    (written,) = import_files([path], tmp_path / "out", Reading())
    assert (written.symbol, written.bars) == ("EURUSD", 90)
    pd.testing.assert_frame_equal(read_bars(written.path)[1], read_bars(path)[1])
    (origin,) = json.loads(pq.read_schema(written.path).metadata[PROVENANCE])
    assert (origin["path"], origin["format"], origin["clock"]) == (str(path), "mt5", "EET")


def test_an_imported_file_carries_the_notes_of_its_own_symbol_only(tmp_path: Path) -> None:
    shown = mt5_file(tmp_path / "EURUSD.csv", week(("2025-01-03 21:00", 60), ("2025-01-05 22:00", 30)))
    assumed = mt5_file(tmp_path / "GBPUSD.csv", week(("2025-01-07 08:00", 30)))
    first, second = import_files([shown, assumed], tmp_path / "out", Reading())
    assert (first.symbol, first.notes) == ("EURUSD", ())
    assert len(second.notes) == 1


def test_nothing_is_overwritten_and_nothing_written_where_a_file_is_refused(tmp_path: Path) -> None:
    path = mt5_file(tmp_path / "EURUSD.csv", week(("2025-01-03 21:00", 60), ("2025-01-05 22:00", 30)))
    import_files([path], tmp_path / "out", Reading())
    with pytest.raises(UsageError, match=r"EURUSD_M1.parquet is there already; move it away"):
        import_files([path], tmp_path / "out", Reading())
    bad = tmp_path / "GBPUSD.csv"
    bad.write_text("a,b\n1,2\n")
    with pytest.raises(BarError):
        import_files([path, bad], tmp_path / "other", Reading())
    assert not (tmp_path / "other").exists()


def test_the_page_shows_each_file_with_its_charts_and_each_refusal(tmp_path: Path) -> None:
    good = mt5_file(tmp_path / "EURUSD.csv", week(("2025-01-03 21:00", 60), ("2025-01-05 22:05", 30)))
    bad = tmp_path / "GBPUSD <b>.csv"
    bad.write_text("a,b\n1,2\n")
    entries = inspect([good, bad], Reading())
    write_page(tmp_path / "page.html", entries, Reading())
    text = (tmp_path / "page.html").read_text()
    assert text.count('class="plotly-graph-div"') == 3
    assert "1 weekend from and to 17:00 New York" in text
    assert "no known format of bars" in text
    assert "GBPUSD &lt;b&gt;.csv" in text
    assert "https://" not in text.replace(plotly_script(), "")


def test_the_calendar_counts_the_open_minutes_without_a_bar(tmp_path: Path) -> None:
    times = week(("2025-01-03 21:00", 60), ("2025-01-05 22:05", 30), ("2025-01-05 22:40", 20))
    drawn: list[pd.Series] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bar_file, "gaps_figure", lambda missing: drawn.append(missing) or "")
        write_page(tmp_path / "page.html", inspect([mt5_file(tmp_path / "EURUSD.csv", times)], Reading()), Reading())
    assert {f"{day:%A}": count for day, count in drawn[0].items()} == {"Friday": 0, "Saturday": 0, "Sunday": 10}


def ticks_file(folder: Path) -> Path:
    """Three days of quotes of EURUSD, four a minute."""
    times = pd.date_range("2025-01-06 00:00:05", periods=3 * 1440 * 4, freq="15s", tz="UTC")
    bids = [1.03 + 0.0001 * ((number * 7) % 23) for number in range(len(times))]
    lines = [f"{time.isoformat()},{bid:.5f},{bid + 8e-5:.5f}" for time, bid in zip(times, bids, strict=True)]
    path = folder / "EURUSD_ticks.csv"
    path.write_text("\n".join(["ts,bid,ask", *lines]))
    return path


def command(*words: object) -> str:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_ticks_are_aggregated_by_every_command_that_reads_bar_files(tmp_path: Path) -> None:
    path, out = ticks_file(tmp_path), tmp_path / "bars"
    (inspected,) = json.loads(command("inspect", path, "--ticks", "--json"))
    assert (inspected["file"]["format"], inspected["bars"]) == ("ticks", 3 * 1440)
    command("import", path, "--ticks", "--out", out)
    (imported,) = out.iterdir()
    bars = read_bars(imported)[1]
    assert len(bars) == 3 * 1440
    assert bars["volume"].eq(4).all()
    assert bars["spread"].median() == pytest.approx(8e-5)
    rows = {}
    for name, words in {"ticks": (path, "--ticks"), "bars": (imported,)}.items():
        command("features", *words, "--out", tmp_path / f"{name}.parquet")
        rows[name] = pd.read_parquet(tmp_path / f"{name}.parquet")
    pd.testing.assert_frame_equal(rows["ticks"], rows["bars"])
    traded = [
        json.loads(command("backtest", "--rules-only", "--json", "--data", *words))
        for words in ((path, "--ticks"), (imported,))
    ]
    assert traded[0]["decisions"] == traded[1]["decisions"] > 0
    assert traded[0]["pnl"] == traded[1]["pnl"]


@pytest.mark.parametrize("words", [("inspect",), ("features", "--out", "rows.parquet"), ("import", "--out", "bars")])
def test_ticks_without_the_option_are_refused_with_it_named(words: tuple[str, ...], tmp_path: Path) -> None:
    name, *options = words
    options = [str(tmp_path / option) if option in ("rows.parquet", "bars") else option for option in options]
    result = CliRunner().invoke(main, [name, str(ticks_file(tmp_path)), *options])
    assert result.exit_code == 1
    assert "give --ticks to aggregate them to M1" in result.stdout + result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["EURUSD_ticks.csv"]

"""An instrument inferred from its name and its bars."""

from decimal import Decimal as D
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.errors import UnknownSymbol
from mikrobot.domain.instruments import entries, registry
from mikrobot.market.inference import infer, off_grid
from mikrobot.market.replay import ReplaySource


def bars(tick: float, price: float, volume_step: float = 0.1, spread: float | None = None) -> pd.DataFrame:
    """Return a day of M1 bars whose prices are on a grid; closes bounce over a spread of four ticks."""
    rng = np.random.default_rng(5)
    bid = np.rint(price / tick) + np.cumsum(rng.integers(-1, 2, 1440))
    close = bid + 4 * rng.integers(0, 2, 1440)
    opened = np.concatenate(([close[0]], close[:-1]))
    decimals = max(-D(str(tick)).normalize().as_tuple().exponent, 0)
    high, low = np.maximum(opened, close) + 1, np.minimum(opened, close) - 1
    columns = {
        name: np.round(values * tick, decimals + 2)
        for name, values in (("open", opened), ("high", high), ("low", low), ("close", close))
    }
    return pd.DataFrame({
        "ts": pd.date_range("2024-05-06", periods=1440, freq="min", tz="UTC"),
        **columns,
        "volume": np.round(rng.integers(1, 100_000, 1440) * volume_step, 8),
        "spread": np.nan if spread is None else spread,
    })  # fmt: skip


def inferred(folder: Path, name: str, frame: pd.DataFrame) -> entries.Entry:
    frame.to_parquet(folder / name)
    source = ReplaySource([folder / name])
    (symbol,) = source.symbols()
    assert registry.entry(symbol) == source.inferred[symbol]
    assert any(f"{symbol} is in no table of instruments" in note for note in source.notes)
    return source.inferred[symbol]


@pytest.mark.parametrize(
    ("tick", "price"),
    [(0.0001, 1.2), (0.01, 43.0), (0.5, 900.0), (0.25, 4000.0), (0.00000001, 0.00001234), (1, 39_000)],
)
def test_the_tick_is_the_grid_of_the_prices(tick: float, price: float, tmp_path: Path) -> None:
    entry = inferred(tmp_path, "SUIUSDT-1m-2024-05.parquet", bars(tick, price))
    assert entry.instrument.tick == D(str(tick))
    assert (entry.instrument.base, entry.instrument.quote, entry.instrument.asset) == ("SUI", "USDT", "crypto")
    assert entry.instrument.size_step == D("0.1")
    assert entry.instrument.session == "always"
    assert "tick: grid of the prices" in entry.source


def test_the_spread_of_a_coin_without_quotes_is_estimated_by_roll(tmp_path: Path) -> None:
    """The trades bounce over four ticks, by which Roll's estimate is about four ticks."""
    entry = inferred(tmp_path, "SUIUSDT.parquet", bars(0.0001, 1.2))
    assert D("0.0003") <= entry.instrument.spread <= D("0.0005")
    assert "spread: Roll (1984)" in entry.source


def test_a_quoted_spread_is_the_median_of_the_bars(tmp_path: Path) -> None:
    entry = inferred(tmp_path, "NOKSEK_M1.parquet", bars(0.00001, 0.98, spread=0.00042))
    assert (entry.instrument.spread, entry.instrument.lot) == (D("0.00042"), 100_000)
    assert "spread: median of the quoted ones" in entry.source
    assert "spread" not in entry.assumed
    assert {"lot", "leverage"} <= set(entry.assumed)


def test_bids_without_a_spread_take_one_that_is_usual_for_the_class(tmp_path: Path) -> None:
    entry = inferred(tmp_path, "NOKSEK_M1.parquet", bars(0.00001, 0.98))
    assert entry.instrument.spread == registry.usual_spread("fx") * entry.instrument.tick
    assert "as is usual for fx" in entry.source


def test_prices_without_a_grid_have_a_tick_of_six_digits(tmp_path: Path) -> None:
    frame = bars(0.0001, 1.2)
    frame[["open", "high", "low", "close"]] *= 1.0000123456789
    entry = inferred(tmp_path, "SUIUSDT.parquet", frame)
    assert entry.instrument.tick == D("0.00001")
    assert "the prices are on no grid" in entry.source


def test_the_same_bars_give_the_same_entry_and_its_toml_reads_back(tmp_path: Path) -> None:
    first = inferred(tmp_path, "SUIUSDT.parquet", bars(0.0001, 1.2))
    assert inferred(tmp_path, "SUIUSDT.parquet", bars(0.0001, 1.2)) == first
    (tmp_path / "instruments.toml").write_text(entries.to_toml(first))
    registry.use_file(tmp_path / "instruments.toml")
    assert registry.instrument("SUIUSDT") == first.instrument
    source = ReplaySource([tmp_path / "SUIUSDT.parquet"])
    assert not source.inferred
    assert source.notes == []


def test_a_name_without_a_shape_is_refused() -> None:
    with pytest.raises(UnknownSymbol, match="unknown symbol 'SPAIN35'"):
        infer("SPAIN35", pd.DataFrame({name: [1.0] for name in ("open", "high", "low", "close", "volume", "spread")}))


def test_prices_finer_than_the_tick_are_reported() -> None:
    traded = registry.instrument("XAUUSD")
    assert off_grid(traded, bars(0.01, 2000.0)) == ""
    assert "90% of the prices of XAUUSD are finer than its tick 0.01" in off_grid(
        traded, pd.DataFrame({"close": [2000 + number * 0.001 for number in range(100)]})
    )

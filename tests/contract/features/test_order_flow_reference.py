"""Order flow compared with plain formulas, on generated bars and on real bars with trades and taker volume."""

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.market import BAR_COLUMNS
from mikrobot.features.catalog import CATALOG
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.library.habit import relative_volume
from mikrobot.features.library.order_flow import (
    relative_trades,
    taker_balance,
    taker_share,
    taker_share_ema,
    trade_size,
)
from mikrobot.features.pipeline import FeaturePipeline

from .conftest import SHARED, generated

ORDER_FLOW = Catalog(
    relative_trades(), trade_size(length=60), taker_share(), taker_share_ema(length=60), taker_balance(length=60)
)
FILE = SHARED / "crypto/FILUSDT_PERP_M1_with_trades_2023.parquet"


@pytest.fixture(scope="module", params=["made up", "FILUSDT"])
def both(request):
    """Bars, and their feature rows without the prefix of the timeframe."""
    if request.param == "made up":
        frame = generated(seed=29, bars=12_000)
    elif FILE.exists():
        named = {"ts": "open_time", "taker_buy_volume": "taker_volume"}
        frame = pd.read_parquet(FILE).rename(columns=named).assign(spread=np.nan).head(20_000)[list(BAR_COLUMNS)]
    else:
        pytest.skip(f"no {FILE}")
    rows = FeaturePipeline(["FILUSDT"], ORDER_FLOW).frame("FILUSDT", frame)
    return frame, rows.rename(columns=lambda name: name.removeprefix("m1_"))


def assert_equal(column: pd.Series, expected: pd.Series) -> None:
    assert expected.notna().sum() > 5_000
    np.testing.assert_allclose(column, expected, rtol=1e-9, atol=1e-12)


def test_the_share_of_the_takers_and_its_average(both):
    bars, rows = both
    share = (bars["taker_volume"] / bars["volume"]).where(bars["volume"] > 0)
    assert_equal(rows["taker_share"], share)
    traded, average = share.dropna(), np.nan
    averages = pd.Series(np.nan, index=bars.index)
    for i, (bar, value) in enumerate(traded.items()):
        if i == 59:
            average = traded.iloc[:60].mean()
        elif i > 59:
            average = average * 59 / 61 + value * 2 / 61
        averages[bar] = average
    assert_equal(rows["taker_share_ema_60"], averages)


def test_the_balance_of_the_takers_is_bought_less_sold_over_all(both):
    bars, rows = both
    sold = bars["volume"] - bars["taker_volume"]
    total = bars["volume"].rolling(60).sum()
    assert_equal(rows["taker_balance_60"], (bars["taker_volume"] - sold).rolling(60).sum() / total)


def test_the_size_of_a_trade_is_that_of_the_bar_over_that_of_the_window(both):
    bars, rows = both
    usual = bars["volume"].rolling(60).sum() / bars["trades"].rolling(60).sum()
    now = (bars["volume"] / bars["trades"]).where(bars["trades"] > 0)
    assert_equal(rows["trade_size_60"], now / usual)


def test_relative_trades_are_to_trades_what_relative_volume_is_to_volume(both):
    bars, rows = both
    frame = bars.assign(volume=bars["trades"], taker_volume=0.0)
    expected = FeaturePipeline(["FILUSDT"], Catalog(relative_volume())).compute("FILUSDT", frame)[:, 0]
    assert np.isfinite(expected).sum() > 2_000
    np.testing.assert_array_equal(rows["relative_trades"], expected)


def test_a_source_without_trades_or_takers_gives_missing_values_and_keeps_the_volume(both):
    bars, _ = both
    frame = bars.assign(trades=np.nan, taker_volume=np.nan)
    rows = FeaturePipeline(["FILUSDT"], ORDER_FLOW).compute("FILUSDT", frame)
    assert np.isnan(rows).all()
    assert all("the source" in spec.may_be_missing for spec in ORDER_FLOW.specs)


def test_what_is_tested_here_is_in_the_catalog():
    assert set(ORDER_FLOW.columns) <= set(CATALOG.columns)

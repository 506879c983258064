"""Volume features on hostile volumes: a mix of zero, unknown, tiny and huge ones."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from mikrobot.domain.market import bars_of
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.library import profile as profiles
from mikrobot.features.library.habit import relative_volume
from mikrobot.features.library.indicators import atr
from mikrobot.features.library.profile import profile
from mikrobot.features.library.volume import accumulation, money_flow, obv, obv_balance, volume_roc, vwap
from mikrobot.features.pipeline import FeaturePipeline

CATALOG = Catalog(
    atr(length=14),
    vwap(width=2.0),
    obv(),
    accumulation(),
    obv_balance(length=7),
    money_flow(length=5),
    volume_roc(length=3),
    relative_volume(),
    profile(length=20),
)
UNKNOWN = float("nan")
BARS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, -1, 3, -40, 900]),  # move of the close, ticks
        st.sampled_from([0, 0, 1, 25]),  # wicks, ticks
        st.sampled_from([1, 1, 1, 15, 700, 4_000]),  # minutes since the bar before
        st.sampled_from([0.0, 0.0, UNKNOWN, 1e-8, 3e-8, 0.1, 7.0, 1e12]) | st.floats(1e-12, 1e18),
    ),
    min_size=30,
    max_size=80,
)


def frame_of(moves: list[tuple[float, ...]], price: float) -> pd.DataFrame:
    moved = pd.DataFrame(moves * 3, columns=["move", "wick", "minutes", "volume"])
    tick = price * 1e-4
    close = (price + tick * moved["move"].cumsum()).clip(price * 1e-2, price * 1e2)
    times = pd.Timestamp("2024-03-08 20:00", tz="UTC") + pd.to_timedelta(moved["minutes"].cumsum(), unit="min")
    return pd.DataFrame(
        {
            "open_time": times.astype("datetime64[us, UTC]"),
            "open": close,
            "high": close + tick * moved["wick"],
            "low": (close - tick * moved["wick"]).clip(price * 1e-3),
            "close": close,
            "volume": moved["volume"],
            **dict.fromkeys(("spread", "trades", "taker_volume"), UNKNOWN),
        }
    )


@settings(max_examples=60, deadline=None)
@given(BARS, st.sampled_from([1e-8, 1.1, 1e6]), st.sampled_from(["EURUSD", "BTCUSDT"]))
def test_values_stay_in_range_and_are_the_same_streamed(moves, price, symbol):
    frame = frame_of(moves, price)
    rows = FeaturePipeline([symbol], CATALOG).compute(symbol, frame)
    assert not np.isinf(rows).any()
    for spec, values in zip(CATALOG.specs, rows.T, strict=True):
        present = values[~np.isnan(values)]
        assert ((present >= spec.low) & (present <= spec.high)).all(), spec.name
    assert np.isnan(rows[frame["volume"].isna()][:, 1:]).all()
    streaming = FeaturePipeline([symbol], CATALOG)
    streamed = np.array([streaming.update(bar).copy() for bar in bars_of(symbol, frame)])
    assert streamed.tobytes() == rows.tobytes()


@settings(max_examples=60, deadline=None)
@given(BARS, st.sampled_from([1e-8, 1.1, 1e6]))
def test_a_profile_kept_up_equals_one_counted_again(moves, price):
    pipeline = FeaturePipeline(["A"], CATALOG)
    pipeline.compute("A", frame_of(moves, price))
    kept = pipeline.states["m1_profile_20"].copy()
    if kept["width"][0] == 0:
        return  # the window has not filled
    again = kept.copy()
    profiles.build(again[0], False)
    assert kept["rows"].sum() == kept["total"]
    if kept["total"] > 0 and again["per_volume"] == kept["per_volume"]:
        assert counted(again[0]) == counted(kept[0])


def counted(state) -> tuple[dict[int, int], int]:
    held = {int(state["origin"]) + i: int(units) for i, units in enumerate(state["rows"]) if units}
    return held, int(state["origin"] + state["peak"])

"""Input that the pipeline refuses without a change of its state."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.errors import BarError, DataError, UnknownSymbol
from mikrobot.domain.market import BAR_COLUMNS, Bar, Timeframe
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.library.indicators import ema
from mikrobot.features.pipeline import FeaturePipeline

SMALL = Catalog(ema(length=2))
NAN, INF = float("nan"), float("inf")
FIRST = datetime(2024, 1, 2, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
GOOD = Bar("EURUSD", FIRST + MINUTE, 1.10, 1.20, 1.00, 1.15, 5.0, 0.0001, 4.0, 2.5)

REFUSED = {
    "nan price": (replace(GOOD, close=NAN), "close nan", "finite, positive prices"),
    "infinite price": (replace(GOOD, high=INF), "high inf", "finite, positive prices"),
    "zero price": (replace(GOOD, low=0.0), "low 0.0", "finite, positive prices"),
    "negative price": (replace(GOOD, open=-1.1), "open -1.1", "finite, positive prices"),
    "high below low": (replace(GOOD, high=0.9), "high 0.9", "low <= open, close <= high"),
    "open above high": (replace(GOOD, open=1.3), "open 1.3", "low <= open, close <= high"),
    "close below low": (replace(GOOD, close=0.99), "close 0.99", "low <= open, close <= high"),
    "negative volume": (replace(GOOD, volume=-1.0), "volume -1.0", "volume >= 0"),
    "infinite volume": (replace(GOOD, volume=INF), "volume inf", "volume >= 0"),
    "volume beyond float64": (replace(GOOD, volume=1e300), "volume 1e+300", "from 1e-12 to"),
    "volume of nothing": (replace(GOOD, volume=5e-324), "volume 5e-324", "from 1e-12 to"),
    "infinite spread": (replace(GOOD, spread=-INF), "spread -inf", "finite spread"),
    "negative trades": (replace(GOOD, trades=-1.0), "trades -1.0", "trades >= 0"),
    "infinite trades": (replace(GOOD, trades=INF), "trades inf", "trades >= 0"),
    "negative taker volume": (replace(GOOD, taker_volume=-0.1), "taker_volume -0.1", "from 0 to the volume"),
    "infinite taker volume": (replace(GOOD, taker_volume=INF), "taker_volume inf", "from 0 to the volume"),
    "takers bought more than there was": (
        replace(GOOD, taker_volume=5.00001),
        "taker_volume 5.00001",
        "from 0 to the volume",
    ),
    "duplicate": (replace(GOOD, open_time=FIRST), "after 2024-01-02T10:00:00+00:00", "each bar once"),
    "backwards": (replace(GOOD, open_time=FIRST - MINUTE), "after 2024-01-02T10:00:00+00:00", "in time order"),
    "off the minute": (replace(GOOD, open_time=FIRST + timedelta(seconds=90)), "10:01:30", "whole minute"),
    "off the second": (
        replace(GOOD, open_time=FIRST + timedelta(minutes=1, microseconds=1)),
        ".000001",
        "whole minute",
    ),
    "before 1970": (replace(GOOD, open_time=datetime(1969, 1, 1, tzinfo=UTC)), "1969-01-01", "after 1970"),
}
ONLY_A_BAR = {
    "other timeframe": (replace(GOOD, timeframe=Timeframe.M5), "M5", "expected an M1 bar"),
    "no time zone": (replace(GOOD, open_time=datetime(2024, 1, 2, 10, 1)), "2024-01-02 10:01:00", "time zone"),
    "not a number": (replace(GOOD, close="1.15"), "close='1.15'", "numbers"),
    "no price": (replace(GOOD, close=None), "close=None", "numbers"),
}


@pytest.fixture
def pipeline():
    started = FeaturePipeline(["BTCUSDT", "EURUSD"], SMALL)
    started.update(replace(GOOD, open_time=FIRST))
    return started


def frame_of(*bars: Bar) -> pd.DataFrame:
    frame = pd.DataFrame([[getattr(bar, name) for name in BAR_COLUMNS] for bar in bars], columns=list(BAR_COLUMNS))
    return frame.astype({"open_time": "datetime64[us, UTC]"})


def values(bar: Bar) -> tuple[float, ...]:
    return tuple(getattr(bar, name) for name in BAR_COLUMNS[1:])


@pytest.mark.parametrize("case", REFUSED | ONLY_A_BAR)
def test_a_bad_bar_is_refused_by_name_time_and_value_and_the_next_good_one_is_taken(pipeline, case):
    bad, value, expected = (REFUSED | ONLY_A_BAR)[case]
    before = pipeline.snapshot("EURUSD")
    with pytest.raises(BarError) as refused:
        pipeline.update(bad)
    message = str(refused.value)
    assert "EURUSD" in message
    assert str(bad.open_time) in message
    assert value in message
    assert expected in message
    assert "\n" not in message
    assert pipeline.snapshot("EURUSD") == before
    assert pipeline.update(GOOD).tolist() == [pytest.approx(1.15)]


@pytest.mark.parametrize("case", REFUSED)
def test_a_frame_with_a_bad_bar_is_refused_whole(pipeline, case):
    bad, _, expected = REFUSED[case]
    later = replace(GOOD, open_time=FIRST + 2 * MINUTE)
    before = pipeline.snapshot("EURUSD")
    with pytest.raises(BarError, match=expected.replace("(", r"\(")) as refused:
        pipeline.compute("EURUSD", frame_of(GOOD if bad.open_time > GOOD.open_time else bad, bad, later))
    assert "EURUSD row" in str(refused.value)
    assert pipeline.snapshot("EURUSD") == before
    assert len(pipeline.compute("EURUSD", frame_of(GOOD, later))) == 2


@pytest.mark.parametrize("case", [case for case in REFUSED if not case.startswith("off the second")])
def test_raw_numbers_are_refused_alike(pipeline, case):
    bad, _, expected = REFUSED[case]
    before = pipeline.snapshot("EURUSD")
    with pytest.raises(BarError) as refused:
        pipeline.update_raw(1, int(bad.open_time.timestamp()), *values(bad))
    assert expected in str(refused.value)
    assert "EURUSD M1 bar" in str(refused.value)
    assert pipeline.snapshot("EURUSD") == before


@pytest.mark.parametrize("index", [2, -1, 10**6])
def test_an_index_that_is_no_symbol_is_refused(pipeline, index):
    with pytest.raises(UnknownSymbol, match=f"index {index}"):
        pipeline.update_raw(index, 1_704_189_660, *values(GOOD))


def test_a_symbol_that_was_not_named_is_refused(pipeline):
    with pytest.raises(UnknownSymbol, match="symbols, BTCUSDT, EURUSD; found 'GBPUSD'"):
        pipeline.update(replace(GOOD, symbol="GBPUSD"))
    with pytest.raises(UnknownSymbol, match="GBPUSD"):
        pipeline.compute("GBPUSD", frame_of(GOOD))


def test_a_refused_bar_of_one_symbol_leaves_the_others_alone(pipeline):
    before = pipeline.snapshot("BTCUSDT")
    with pytest.raises(BarError):
        pipeline.update(replace(GOOD, close=NAN))
    assert pipeline.snapshot("BTCUSDT") == before


@pytest.mark.parametrize(
    "bar",
    [
        replace(GOOD, volume=NAN, spread=NAN, trades=NAN, taker_volume=NAN),
        replace(GOOD, volume=0.0, spread=-0.0002, trades=0.0, taker_volume=0.0),
        replace(GOOD, volume=0.3, taker_volume=0.1 + 0.2),
        replace(GOOD, volume=NAN, taker_volume=1.0),
        replace(GOOD, open=1, high=2, low=1, close=1),
        replace(GOOD, open=np.float64(1.1), volume=np.float32(3), taker_volume=3),
        replace(GOOD, open=1e-8, high=1e-8, low=1e-8, close=1e-8),
        replace(GOOD, open=1e6, high=1e6, low=1e6, close=1e6),
        replace(GOOD, open_time=GOOD.open_time.astimezone(timezone(timedelta(hours=2)))),
        replace(GOOD, open_time=pd.Timestamp(GOOD.open_time)),
        replace(GOOD, open_time=GOOD.open_time + timedelta(days=5)),
    ],
)
def test_a_sound_bar_is_taken_however_it_is_written(pipeline, bar):
    assert pipeline.update(bar).tolist() == [pytest.approx((1.15 + bar.close) / 2)]


def test_a_decimal_price_is_no_float(pipeline):
    with pytest.raises(BarError, match="numbers"):
        pipeline.update(replace(GOOD, close=Decimal("1.15")))


def test_a_frame_needs_every_column(pipeline):
    with pytest.raises(BarError, match="missing spread"):
        pipeline.compute("EURUSD", frame_of(GOOD).drop(columns="spread"))


def test_a_frame_in_local_time_is_refused(pipeline):
    frame = frame_of(GOOD).assign(open_time=lambda f: f.open_time.dt.tz_localize(None))
    with pytest.raises(BarError, match="tz_localize"):
        pipeline.compute("EURUSD", frame)


def test_a_frame_without_a_time_somewhere_is_refused_by_row(pipeline):
    frame = frame_of(GOOD, replace(GOOD, open_time=FIRST + 2 * MINUTE))
    frame.loc[1, "open_time"] = pd.NaT
    with pytest.raises(BarError, match=r"EURUSD row 1: .* NaT"):
        pipeline.compute("EURUSD", frame)


def test_a_frame_of_words_is_refused_by_column(pipeline):
    with pytest.raises(BarError, match="column close"):
        pipeline.compute("EURUSD", frame_of(GOOD).assign(close="high"))


def test_a_frame_of_five_minute_bars_is_refused(pipeline):
    fives = frame_of(*(replace(GOOD, open_time=FIRST + 5 * i * MINUTE) for i in range(1, 30)))
    with pytest.raises(BarError, match="29 bars which all open on five-minute marks"):
        pipeline.compute("EURUSD", fives)


def test_times_of_any_resolution_and_zone_are_the_same_instants(pipeline):
    frame = frame_of(GOOD).assign(open_time=lambda f: f.open_time.dt.tz_convert("EET").dt.as_unit("ms"))
    rows = pipeline.frame("EURUSD", frame)
    assert rows["close_time"].dtype == "datetime64[us, UTC]"
    assert rows["close_time"].tolist() == [GOOD.close_time]


def test_an_empty_frame_gives_no_rows(pipeline):
    assert pipeline.compute("EURUSD", frame_of()).shape == (0, 1)


@pytest.mark.parametrize(
    "spoil", [lambda s: b"0" * 12 + s[12:], lambda s: s[:-1], lambda s: s + b"0", lambda s: b"\xff"]
)
def test_a_foreign_or_torn_snapshot_is_refused(pipeline, spoil):
    before = pipeline.snapshot("EURUSD")
    with pytest.raises(DataError, match=r"EURUSD: expected a snapshot of .* rebuild the state"):
        pipeline.restore("EURUSD", spoil(before))
    assert pipeline.snapshot("EURUSD") == before


@pytest.mark.parametrize(
    ("minutes", "row", "expected"),
    [
        ((1, 2, 2, 3), 2, "after 2024-01-02T10:02:00.*each bar once"),
        ((1, 3, 2), 2, "after 2024-01-02T10:03:00.*in time order"),
    ],
)
def test_a_frame_out_of_order_inside_is_refused_by_row(pipeline, minutes, row, expected):
    before = pipeline.snapshot("EURUSD")
    frame = frame_of(*(replace(GOOD, open_time=FIRST + m * MINUTE) for m in minutes))
    with pytest.raises(BarError, match=f"EURUSD row {row} M1 bar 2024-01-02T10:02:00.*{expected}"):
        pipeline.compute("EURUSD", frame)
    assert pipeline.snapshot("EURUSD") == before

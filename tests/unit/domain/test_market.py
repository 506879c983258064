from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mikrobot.domain.errors import UnknownSymbol
from mikrobot.domain.market import (
    BAR_COLUMNS,
    INSTRUMENTS,
    Bar,
    Instrument,
    Timeframe,
    close_times,
    empty_bars,
    instrument,
)

instruments = st.sampled_from(sorted(INSTRUMENTS.values(), key=lambda instrument: instrument.symbol))
prices = st.floats(min_value=0.01, max_value=200_000)
sizes = st.floats(min_value=0, max_value=10_000)
NOISE = Decimal("0.000001")  # of a step: distance from the grid at which a float still counts as on it


@given(instruments, prices, st.sampled_from(["nearest", "up", "down"]))
def test_a_quantized_price_lies_on_the_tick_grid_and_stays_there(
    traded: Instrument, price: float, rounding: str
) -> None:
    quantized = traded.quantize(price, rounding)
    assert quantized % traded.tick == 0
    assert traded.quantize(quantized, rounding) == quantized
    assert traded.quantize(float(quantized), rounding) == quantized


@given(instruments, prices)
def test_up_never_lowers_and_down_never_raises_a_price(traded: Instrument, price: float) -> None:
    exact, noise = Decimal(repr(price)), traded.tick * NOISE
    assert exact - noise <= traded.quantize(price, "up") < exact + traded.tick
    assert exact - traded.tick < traded.quantize(price, "down") <= exact + noise
    assert abs(traded.quantize(price) - exact) <= traded.tick / 2


@given(instruments, st.integers(1, 10_000_000), st.integers(0, 500))
def test_the_sum_of_two_grid_prices_in_floats_is_still_on_the_grid(traded: Instrument, bid: int, spread: int) -> None:
    summed = float(bid * traded.tick) + float(spread * traded.tick)
    for rounding in ("nearest", "up", "down"):
        assert traded.quantize(summed, rounding) == (bid + spread) * traded.tick


@given(instruments, sizes)
def test_a_quantized_size_is_on_the_grid_and_never_larger(traded: Instrument, lots: float) -> None:
    quantized = traded.quantize_size(lots)
    assert quantized % traded.size_step == 0
    assert Decimal(repr(lots)) - traded.size_step < quantized <= Decimal(repr(lots)) + traded.size_step * NOISE


def test_a_decimal_is_exact_so_the_slightest_excess_rounds_up() -> None:
    assert instrument("EURUSD").quantize(Decimal("1.1000000000001"), "up") == Decimal("1.10001")


@pytest.mark.parametrize("price", [0.0, -1.1, float("nan"), float("inf"), Decimal("NaN"), Decimal(0)])
def test_a_price_that_is_not_positive_and_finite_is_refused(price: float | Decimal) -> None:
    with pytest.raises(ValueError, match=r"EURUSD: a price is finite and at least one tick of 0\.00001, not"):
        instrument("EURUSD").quantize(price)


def test_a_price_never_rounds_to_zero() -> None:
    with pytest.raises(ValueError, match="at least one tick"):
        instrument("EURUSD").quantize(0.000004, "down")
    assert instrument("EURUSD").quantize(0.000004, "up") == Decimal("0.00001")


@pytest.mark.parametrize("lots", [-0.01, float("nan"), float("inf"), Decimal("-1")])
def test_a_size_that_is_negative_or_not_finite_is_refused(lots: float | Decimal) -> None:
    with pytest.raises(ValueError, match="EURUSD: a size is finite and not negative"):
        instrument("EURUSD").quantize_size(lots)


def test_yen_pairs_have_a_pip_of_a_hundredth() -> None:
    assert (instrument("USDJPY").pip, instrument("USDJPY").tick) == (Decimal("0.01"), Decimal("0.001"))
    assert (instrument("EURUSD").pip, instrument("EURUSD").tick) == (Decimal("0.0001"), Decimal("0.00001"))


@pytest.mark.parametrize("traded", INSTRUMENTS.values(), ids=lambda instrument: instrument.symbol)
def test_every_instrument_is_named_by_its_currencies_and_quotes_on_its_own_grid(traded: Instrument) -> None:
    assert traded.symbol == traded.base + traded.quote
    assert traded.spread % traded.tick == 0
    assert min(traded.tick, traded.pip, traded.lot, traded.size_step, traded.spread) > 0


def test_an_unknown_symbol_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownSymbol, match="unknown symbol 'EURUDS'; known are EURUSD, GBPUSD"):
        instrument("EURUDS")


def test_a_bar_is_known_one_timeframe_after_it_opens() -> None:
    opened = datetime(2024, 3, 10, 23, 55, tzinfo=UTC)
    bar = Bar("EURUSD", opened, 1.1, 1.1, 1.1, 1.1, timeframe=Timeframe.M5)
    assert bar.close_time == datetime(2024, 3, 11, tzinfo=UTC)
    frame = pd.DataFrame({"open_time": pd.DatetimeIndex([opened]).as_unit("us")})
    assert close_times(frame, Timeframe.M5).tolist() == [bar.close_time]


def test_an_empty_bar_frame_has_the_columns_and_types_of_a_full_one() -> None:
    frame = empty_bars()
    assert tuple(frame.columns) == BAR_COLUMNS
    assert str(frame["open_time"].dtype) == "datetime64[us, UTC]"
    assert {str(frame[name].dtype) for name in BAR_COLUMNS[1:]} == {"float64"}
    assert len(frame) == 0

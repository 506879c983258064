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

instruments = st.sampled_from(sorted(INSTRUMENTS.values(), key=lambda known: known.symbol))
prices = st.floats(min_value=0.01, max_value=200_000)
sizes = st.floats(min_value=0, max_value=10_000)
NOISE = Decimal("0.000001")  # of a step: what a float may be off the grid and still be on it


@given(instruments, prices, st.sampled_from(["nearest", "up", "down"]))
def test_a_quantized_price_lies_on_the_tick_grid_and_stays_there(
    known: Instrument, price: float, rounding: str
) -> None:
    quantized = known.quantize(price, rounding)
    assert quantized % known.tick == 0
    assert known.quantize(quantized, rounding) == quantized
    assert known.quantize(float(quantized), rounding) == quantized


@given(instruments, prices)
def test_up_never_lowers_and_down_never_raises_a_price(known: Instrument, price: float) -> None:
    exact, noise = Decimal(repr(price)), known.tick * NOISE
    assert exact - noise <= known.quantize(price, "up") < exact + known.tick
    assert exact - known.tick < known.quantize(price, "down") <= exact + noise
    assert abs(known.quantize(price) - exact) <= known.tick / 2


@given(instruments, st.integers(1, 10_000_000), st.integers(0, 500))
def test_the_sum_of_two_grid_prices_in_floats_is_still_on_the_grid(known: Instrument, bid: int, spread: int) -> None:
    summed = float(bid * known.tick) + float(spread * known.tick)
    for rounding in ("nearest", "up", "down"):
        assert known.quantize(summed, rounding) == (bid + spread) * known.tick


@given(instruments, sizes)
def test_a_quantized_size_is_on_the_grid_and_never_larger(known: Instrument, lots: float) -> None:
    quantized = known.quantize_size(lots)
    assert quantized % known.size_step == 0
    assert Decimal(repr(lots)) - known.size_step < quantized <= Decimal(repr(lots)) + known.size_step * NOISE


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


@pytest.mark.parametrize("known", INSTRUMENTS.values(), ids=lambda known: known.symbol)
def test_every_instrument_is_named_by_its_currencies_and_quotes_on_its_own_grid(known: Instrument) -> None:
    assert known.symbol == known.base + known.quote
    assert known.spread % known.tick == 0
    assert min(known.tick, known.pip, known.lot, known.size_step, known.spread) > 0


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

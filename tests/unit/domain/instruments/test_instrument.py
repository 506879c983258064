from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mikrobot.domain.errors import UnknownSymbol
from mikrobot.domain.instruments.instrument import Instrument
from mikrobot.domain.instruments.registry import instrument, symbols

instruments = st.sampled_from([instrument(symbol) for symbol in sorted(symbols())])
prices = st.floats(min_value=0.01, max_value=200_000)
sizes = st.floats(min_value=0, max_value=10_000)
NOISE = Decimal("0.000001")  # of a step: distance from the grid at which a float still counts as on it


@given(instruments, prices, st.sampled_from(["nearest", "up", "down"]))
def test_a_quantized_price_lies_on_the_tick_grid_and_stays_there(
    traded: Instrument, price: float, rounding: str
) -> None:
    assume(price >= traded.tick)
    quantized = traded.quantize(price, rounding)
    assert quantized % traded.tick == 0
    assert traded.quantize(quantized, rounding) == quantized
    assert traded.quantize(float(quantized), rounding) == quantized


@given(instruments, prices)
def test_up_never_lowers_and_down_never_raises_a_price(traded: Instrument, price: float) -> None:
    assume(price >= traded.tick)
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


def test_an_unknown_symbol_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UnknownSymbol, match="unknown symbol 'EURUDS'; the nearest is EURUSD"):
        instrument("EURUDS")

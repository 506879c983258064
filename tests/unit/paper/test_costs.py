from dataclasses import replace
from decimal import Decimal

import pytest

from mikrobot.domain.errors import BarError, UsageError
from mikrobot.domain.market import INSTRUMENTS, Instrument, instrument
from mikrobot.domain.trading import Side
from mikrobot.paper import costs

EURUSD, USDJPY, BTCUSDT = instrument("EURUSD"), instrument("USDJPY"), instrument("BTCUSDT")


def test_the_spread_of_the_bar_goes_before_the_typical_one() -> None:
    assert costs.spread(EURUSD, 0.00031) == Decimal("0.00031")
    assert costs.spread(EURUSD, 0.0) == 0
    assert costs.spread(EURUSD, float("nan")) == Decimal("0.00008")


def test_a_spread_between_ticks_is_rounded_up_but_float_noise_is_not() -> None:
    assert costs.spread(EURUSD, 0.000121) == Decimal("0.00013")
    assert costs.spread(EURUSD, 12 * 1e-5) == Decimal("0.00012")  # 0.00012000000000000002 in floats


@pytest.mark.parametrize("quoted", [-0.0001, float("inf")])
def test_an_impossible_spread_is_refused(quoted: float) -> None:
    with pytest.raises(BarError, match="EURUSD: expected a spread of 0 or more"):
        costs.spread(EURUSD, quoted)


def test_a_taker_sells_at_bid_and_buys_at_ask_rounded_against_it() -> None:
    assert costs.executed(EURUSD, Side.SELL, 1.100016, Decimal("0.00010")) == Decimal("1.10001")
    assert costs.executed(EURUSD, Side.BUY, 1.100014, Decimal("0.00010")) == Decimal("1.10012")


def test_dollar_and_tether_amounts_count_as_they_are() -> None:
    assert costs.to_account(EURUSD, Decimal("12.34"), Decimal("1.1")) == Decimal("12.34")
    assert costs.to_account(BTCUSDT, Decimal("12.34"), Decimal(60_000)) == Decimal("12.34")


@pytest.mark.parametrize(("symbol", "price"), [("USDJPY", "150.000"), ("USDCAD", "1.35000"), ("USDCHF", "0.88000")])
def test_an_amount_of_another_currency_is_divided_by_the_price_of_its_dollar_pair(symbol: str, price: str) -> None:
    assert costs.to_account(instrument(symbol), Decimal(price) * 200, Decimal(price)) == 200


def test_every_known_instrument_can_be_converted() -> None:
    for known in INSTRUMENTS.values():
        assert costs.to_account(known, Decimal(1), Decimal(2)) > 0


def test_a_pair_without_the_dollar_is_refused_with_a_remedy() -> None:
    eurjpy: Instrument = replace(USDJPY, symbol="EURJPY", base="EUR")
    with pytest.raises(UsageError, match=r"EURJPY: JPY cannot be converted to the account's USD.*trade pairs quoted"):
        costs.to_account(eurjpy, Decimal(1), Decimal(160))


def test_the_notional_of_a_dollar_pair_is_its_size() -> None:
    """One lot of USDJPY is 100,000 dollars at any price; of EURUSD at 1.1, 110,000; half a bitcoin, half its price."""
    assert costs.notional(USDJPY, Decimal(1), Decimal("150.000")) == 100_000
    assert costs.notional(EURUSD, Decimal(1), Decimal("1.10000")) == 110_000
    assert costs.notional(BTCUSDT, Decimal("0.5"), Decimal("60000.00")) == 30_000


def test_fx_pays_by_the_lot_and_crypto_by_the_notional() -> None:
    """0.37 lots x 3.50 = 1.295, half to even: 1.30. 0.01 BTC x 61,250.00 x 0.1 % = 0.6125: 0.61."""
    assert costs.fee(EURUSD, Decimal("0.37"), Decimal("1.1")) == Decimal("1.30")
    assert costs.fee(BTCUSDT, Decimal("0.01"), Decimal("61250.00")) == Decimal("0.61")


@pytest.mark.parametrize(
    ("known", "side", "lots", "entry", "closing", "dollars"),
    [
        # (1.10150 - 1.10020) x 100,000 = 130.00
        (EURUSD, Side.BUY, "1", "1.10020", "1.10150", "130.00"),
        # (1.10020 - 1.10150) x -1 x 30,000 = -39.00 for the short
        (EURUSD, Side.SELL, "0.3", "1.10020", "1.10150", "-39.00"),
        # (149.850 - 150.008) x 88,000 = -13,904 yen; / 149.850 = -92.786... dollars
        (USDJPY, Side.BUY, "0.88", "150.008", "149.850", "-92.79"),
        # (60,000.00 - 59,850.01) x 0.55533 = 83.29394...
        (BTCUSDT, Side.SELL, "0.55533", "60000.00", "59850.01", "83.29"),
    ],
)
def test_a_profit_is_worked_out_in_dollars(
    known: Instrument, side: Side, lots: str, entry: str, closing: str, dollars: str
) -> None:
    gained = costs.profit(known, side, Decimal(lots), Decimal(entry), Decimal(closing))
    assert str(gained) == dollars

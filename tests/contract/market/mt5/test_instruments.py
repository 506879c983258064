"""Instruments by the `symbol_info` of a broker, and the names that brokers give them."""

import json
from decimal import Decimal

import pytest

from mikrobot.domain.errors import FeedError, SettingsError, UnknownSymbol, UsageError
from mikrobot.domain.instruments import registry
from mikrobot.market.mt5.symbol_info import FIELDS, entry_of

INFO = {
    "name": "EURUSD", "digits": 5, "point": 1e-05, "spread": 7, "trade_tick_size": 1e-05,
    "trade_contract_size": 100000.0, "trade_mode": 4,
    "volume_min": 0.01, "volume_step": 0.01, "currency_base": "EUR", "currency_profit": "USD",
    "swap_mode": 1, "swap_long": -7.41, "swap_short": 2.2, "swap_rollover3days": 3,
}  # fmt: skip
YEN = {"point": 0.001, "trade_tick_size": 0.001, "currency_profit": "JPY"}
GOLD = INFO | {"point": 0.01, "trade_tick_size": 0.01, "trade_contract_size": 100.0, "currency_base": "XAU"}


@pytest.fixture(autouse=True)
def _no_venue():
    yield
    registry.use_venue({})


def test_the_broker_precedes_the_table_and_the_file_of_the_user(broker, tmp_path):
    started = broker()  # with the instruments of the tables
    own = tmp_path / "instruments.toml"
    own.write_text("[EURUSD]\ntick = 0.0001\npip = 0.0001\nspread = 0.0002\nleverage = 7\nlot = 5\n")
    registry.use_file(own)
    assert registry.instrument("EURUSD").lot == 5
    registry.use_venue(started.source.instruments())
    entry = registry.entry("EURUSD")
    assert (entry.instrument.tick, entry.instrument.lot, entry.origin) == (Decimal("0.00001"), 100_000, "venue")
    assert (entry.instrument.leverage, entry.instrument.spread) == (7, Decimal("0.0002"))


def test_what_the_broker_does_not_list_stays_as_the_file_has_it(tmp_path):
    own = tmp_path / "instruments.toml"
    own.write_text("[EURUSD]\nleverage = 7\n")
    registry.use_file(own)
    entry = entry_of("EURUSD", INFO | {"volume_step": 0.1, "volume_min": 0.2})
    traded = entry.instrument
    assert (traded.leverage, traded.size_step, traded.min_size) == (7, Decimal("0.1"), Decimal("0.2"))
    assert (traded.swap.long, traded.swap.short, traded.swap.triple_day) == (Decimal("-7.41"), Decimal("2.2"), 2)
    assert "leverage" not in entry.assumed


def test_the_listing_is_recorded_with_the_run():
    registry.use_venue({"EURUSD": entry_of("EURUSD", INFO)})
    written = json.loads(json.dumps(registry.recordable(["EURUSD"])))
    registry.use_venue({})
    assert registry.instrument("EURUSD").swap is None
    with registry.using(registry.recorded(written)):
        assert registry.instrument("EURUSD").swap.long == Decimal("-7.41")


@pytest.mark.parametrize(
    ("symbol", "info", "expected"),
    [
        ("EURUSD", {"point": 0.0001, "trade_tick_size": 0.0001}, {"tick": "0.0001", "pip": "0.0001"}),
        ("EURUSD", {"trade_tick_size": 0.0}, {"tick": "0.00001"}),
        ("USDJPY", YEN, {"pip": "0.01", "quote": "JPY"}),
        ("US30", {"point": 0.01, "trade_tick_size": 0.25, "trade_contract_size": 5.0}, {"tick": "0.25", "lot": "5"}),
        ("GER40", {"point": 0.1, "trade_tick_size": 0.1, "currency_profit": "USD"}, {"quote": "USD", "base": "GER40"}),
        ("NOKSEK", {"currency_profit": "SEK"}, {"asset": "fx", "base": "NOK", "quote": "SEK", "spread": "0.00007"}),
        ("SPAIN35", {"point": 1.0, "trade_tick_size": 1.0, "currency_profit": "EUR"}, {"asset": "index"}),
        ("EURUSD", {"swap_rollover3days": 5}, {"swap_day": "4"}),
        ("EURUSD", {"swap_mode": 0}, {"swap_long": "0"}),
    ],
)  # fmt: skip
def test_values_of_brokers(symbol, info, expected):
    traded = entry_of(symbol, INFO | info).instrument
    shown = {name: str(getattr(traded, name, "")) for name in ("asset", "base", "quote")}
    shown |= {name: f"{getattr(traded, name):f}" for name in ("tick", "pip", "lot", "spread")}
    shown |= {"swap_day": str(traded.swap.triple_day), "swap_long": f"{traded.swap.long:f}"}
    assert {name: shown[name] for name in expected} == expected


def test_a_swap_of_points_is_converted_to_tenths_of_a_pip():
    traded = entry_of("EURUSD", INFO | {"point": 0.0001, "trade_tick_size": 0.0001, "swap_long": -0.5}).instrument
    assert traded.swap.long == Decimal("-5")


def test_a_swap_of_another_kind_stays_that_of_the_table():
    assert entry_of("XAUUSD", GOLD | {"swap_mode": 5}).instrument.swap == registry.instrument("XAUUSD").swap


@pytest.mark.parametrize("mode", [0, 3])
def test_a_symbol_in_which_no_position_is_opened_is_refused(mode):
    with pytest.raises(FeedError, match="EURUSD: the broker opens no positions in it at present"):
        entry_of("EURUSD", INFO | {"trade_mode": mode})


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["point", "trade_contract_size", "volume_step", "volume_min"])
def test_an_impossible_value_is_named(name, value):
    with pytest.raises(FeedError, match=f"EURUSD: the broker lists {name} as .*; expected a number"):
        entry_of("EURUSD", INFO | {name: value})


def test_a_size_that_is_off_its_grid_is_named():
    with pytest.raises(
        SettingsError, match=r"symbol_info of MetaTrader 5: entry EURUSD: min_size is .*multiple of the size_step"
    ):
        entry_of("EURUSD", INFO | {"volume_min": 0.015})


def test_the_fields_are_those_that_are_read():
    assert FIELDS.keys() == INFO.keys()


@pytest.mark.parametrize("suffix", ["m", ".r", "pro", "_i", "-ECN", "+", "#"])
def test_a_symbol_is_found_with_the_suffix_of_the_broker(broker, suffix):
    started = broker(listed=("EURUSD", "GBPUSD"), suffix=suffix)
    assert started.source.first_open("EURUSD").year == 2025
    assert started.source.instruments()["EURUSD"].instrument.symbol == "EURUSD"


def test_a_symbol_that_the_broker_lists_twice_is_that_of_the_market_watch(broker):
    started = broker(listed=("EURUSD",), suffix="m")
    quotes = started.module._quotes
    quotes["EURUSD.r"] = quotes["EURUSDm"]
    with pytest.raises(UsageError, match=r"EURUSD: the broker lists EURUSD\.r, EURUSDm; show the one to trade"):
        started.source.first_open("EURUSD")
    started.module.symbol_select("EURUSD.r", True)
    assert started.another("EURUSD").first_open("EURUSD").year == 2025


def test_a_symbol_that_the_broker_does_not_list_is_named_and_the_others_go_on(broker):
    started = broker("EURUSD", "GBPUSD", listed=("EURUSD",))
    with pytest.raises(UnknownSymbol, match="GBPUSD: the broker lists no such symbol; View > Symbols"):
        started.source.first_open("GBPUSD")
    assert started.last_open("EURUSD")

"""The contract of every entry of the shipped tables of instruments."""

import tomllib
from decimal import Decimal
from importlib.resources import files

import pytest

from mikrobot.domain.instruments import entries, registry
from mikrobot.domain.instruments.entries import ASSET_CLASSES
from mikrobot.domain.instruments.rates import needs_rate, usual_rate
from mikrobot.domain.instruments.sessions import SESSIONS
from mikrobot.domain.instruments.shapes import AT_PAR
from mikrobot.market.names import symbols_in
from mikrobot.paper.venue import VENUE_RULES, contract_of

SYMBOLS = sorted(registry.symbols())

MAJORS = ["USD", "EUR", "GBP", "JPY", "CHF", "AUD", "NZD", "CAD"]

BEFORE = {
    "EURUSD": ("0.00001", "0.0001", 100_000, "0.01", "0.00008", None),
    "GBPUSD": ("0.00001", "0.0001", 100_000, "0.01", "0.00010", "EURUSD"),
    "USDJPY": ("0.001", "0.01", 100_000, "0.01", "0.008", "EURUSD"),
    "USDCHF": ("0.00001", "0.0001", 100_000, "0.01", "0.00012", "EURUSD"),
    "AUDUSD": ("0.00001", "0.0001", 100_000, "0.01", "0.00010", "EURUSD"),
    "USDCAD": ("0.00001", "0.0001", 100_000, "0.01", "0.00012", "EURUSD"),
    "BTCUSDT": ("0.01", "0.01", 1, "0.00001", "0.01", None),
    "ETHUSDT": ("0.01", "0.01", 1, "0.0001", "0.01", "BTCUSDT"),
    "ADAUSDT": ("0.0001", "0.0001", 1, "0.1", "0.0001", "BTCUSDT"),
    "FILUSDT": ("0.001", "0.001", 1, "0.01", "0.001", "BTCUSDT"),
}
"""Tick, pip, lot, size step, spread and lead of the instruments of version 0.2, whose results must not change."""


def test_the_tables_have_what_people_trade() -> None:
    of_class = {asset: [s for s in SYMBOLS if registry.instrument(s).asset == asset] for asset in ASSET_CLASSES}
    pairs = {frozenset((first, second)) for first in MAJORS for second in MAJORS if first != second}
    assert pairs <= {frozenset((s[:3], s[3:])) for s in of_class["fx"]}
    assert {"XAUUSD", "XAGUSD"} <= set(of_class["metal"])
    indices = {"US30", "US500", "NAS100", "GER40", "UK100", "JP225", "FRA40", "EU50", "AUS200", "HK50"}
    assert indices <= set(of_class["index"])
    assert {"USOIL", "UKOIL"} <= set(of_class["energy"])
    assert sum(s.endswith("USDT") for s in of_class["crypto"]) >= 40


@pytest.mark.parametrize("symbol", sorted(BEFORE))
def test_the_first_instruments_keep_their_numbers(symbol: str) -> None:
    traded = registry.instrument(symbol)
    tick, pip, lot, step, spread, lead = BEFORE[symbol]
    assert (str(traded.tick), str(traded.size_step)) == (tick, step)
    assert (traded.pip, traded.lot, traded.spread, traded.lead) == (Decimal(pip), lot, Decimal(spread), lead)
    assert traded.leverage == VENUE_RULES[traded.market].leverage


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_amounts_are_positive_and_on_their_grids(symbol: str) -> None:
    traded = registry.instrument(symbol)
    assert min(traded.tick, traded.pip, traded.lot, traded.size_step, traded.spread, traded.leverage) > 0
    assert traded.spread % traded.tick == traded.pip % traded.tick == traded.min_size % traded.size_step == 0
    assert traded.size_step <= traded.min_size <= traded.lot * 1000
    assert traded.spread <= 1000 * traded.tick
    assert 0 <= traded.maker_fee <= traded.taker_fee < Decimal("0.01")


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_its_lead_exists_in_its_class_and_follows_no_other(symbol: str) -> None:
    traded = registry.instrument(symbol)
    if traded.lead is not None:
        lead = registry.instrument(traded.lead)
        assert (lead.symbol, lead.asset, lead.lead) == (traded.lead, traded.asset, None)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_its_source_is_named_and_what_has_none_is_marked(symbol: str) -> None:
    entry = registry.entry(symbol)
    assert "http" in entry.source or "ESMA" in entry.source
    assert set(entry.assumed) <= set(entries.FIELDS)
    assert entry.origin == "table"


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_each_of_its_names_is_recognised_and_belongs_to_it_alone(symbol: str) -> None:
    entry = registry.entry(symbol)
    owners = [other for other in SYMBOLS for alias in registry.entry(other).aliases if alias in entry.aliases]
    assert owners == [symbol] * len(entry.aliases)
    for name in (symbol, *entry.aliases):
        assert symbols_in(f"{name}_M1_2024.csv") == [symbol]
        assert registry.instrument(name) == entry.instrument
        assert name == symbol or name not in SYMBOLS


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_its_entry_is_read_back_from_toml_and_json(symbol: str) -> None:
    entry = registry.entry(symbol)
    table = tomllib.loads(entries.to_toml(entry), parse_float=Decimal)[symbol]
    assert entries.of(symbol, table, "test", origin="table") == entry
    assert registry.recorded(registry.recordable([symbol])) == {symbol: entry}


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_its_currency_is_the_dollar_or_has_a_rate_in_the_tables(symbol: str) -> None:
    if needs_rate(symbol):
        rate = registry.instrument(usual_rate(registry.instrument(symbol).quote))
        assert {rate.base, rate.quote} & set(AT_PAR)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_venue_lists_it_with_its_grid_hours_and_margin(symbol: str) -> None:
    traded, contract = registry.instrument(symbol), contract_of(symbol)
    assert contract.step == traded.size_step * traded.lot
    assert contract.spread * contract.tick == traded.spread
    assert contract.session == traded.session in SESSIONS
    account = VENUE_RULES[traded.market]
    assert account.leverage / contract.margin_rate == traded.leverage


def test_the_tables_are_part_of_the_package() -> None:
    tables = files("mikrobot.domain.instruments") / "tables"
    assert sorted(table.name for table in tables.iterdir()) == sorted(f"{asset}.toml" for asset in ASSET_CLASSES)

"""Symbols in names: suffixes, prefixes and marks of brokers, new symbols by their shape, words that are none."""

from pathlib import Path

import pytest

from mikrobot.domain.errors import BarError, UnknownSymbol
from mikrobot.domain.instruments import registry
from mikrobot.market.names import symbol_of, symbols_in


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("EURUSD.m.csv", "EURUSD"),
        ("EURUSDm.csv", "EURUSD"),
        ("#EURUSD.csv", "EURUSD"),
        ("mEURUSD.csv", "EURUSD"),
        ("EURUSD1.csv", "EURUSD"),
        ("EUR_USD.csv", "EURUSD"),
        ("EURUSD+_M1.csv", "EURUSD"),
        ("FX_IDC_EURUSD, 1.csv", "EURUSD"),
        ("DAT_MT_EURUSD_M1_2018.csv", "EURUSD"),
        ("eurusd-m1-bid-2020-01-01-2020-02-01.csv", "EURUSD"),
        ("EURUSD_M1_30d.csv", "EURUSD"),
        ("EURUSD_24h_2020_H1.csv", "EURUSD"),
        ("BTC_USDT-1m.feather", "BTCUSDT"),
        ("BTC_USDT_USDT-1m-futures.feather", "BTCUSDT"),
        ("BTCUSDT_UMCBL.csv", "BTCUSDT"),
        ("BTCUSDTPERP.csv", "BTCUSDT"),
        ("Binance_BTCUSDT_minute.csv", "BTCUSDT"),
        ("SUIUSDT-1m-2024-05.zip", "SUIUSDT"),
        ("sui_usdt-1m.csv", "SUIUSDT"),
        ("FOOUSDT_1m.csv", "FOOUSDT"),
        ("BINANCE_SUIUSDT, 1.csv", "SUIUSDT"),
        ("STETHUSDT_1m.csv", "STETHUSDT"),
        ("WBTCUSDT_1m.csv", "WBTCUSDT"),
        ("1000SATSUSDT-1m.csv", "1000SATSUSDT"),
        ("NOKSEK_M1.csv", "NOKSEK"),
        ("XAUUSD_M1.csv", "XAUUSD"),
        ("GOLD.cash.csv", "XAUUSD"),
        ("OANDA_XAU_USD.csv", "XAUUSD"),
        ("WS30m.csv", "US30"),
        ("US301.csv", "US30"),
        ("USTEC_M1_2024.csv", "NAS100"),
        ("DE40.a.csv", "GER40"),
        ("XTIUSD.csv", "USOIL"),
        ("XAU_EUR_M1.csv", "XAUEUR"),
        ("OANDA_XAG_GBP.csv", "XAGGBP"),
        ("GOLDEUR.csv", "XAUEUR"),
        ("GOLD_USD.csv", "XAUUSD"),
        ("GER40EUR.csv", "GER40"),
        ("btcusd_1-min_data.csv", "BTCUSD"),
        ("BTC-USDT-SWAP_1m.csv", "BTCUSDT"),
    ],
)
def test_a_file_name_shows_its_symbol(name: str, symbol: str) -> None:
    assert symbol_of(Path(name)) == symbol


@pytest.mark.parametrize(
    "name",
    ["BTCUSDT_ETHUSDT_M1.csv", "SUIUSDT_BTCUSDT.csv", "EUR_USD_JPY.csv", "GBPUSD_EURUSDm.csv", "GOLD_SILVER.csv"],
)
def test_two_symbols_in_a_name_are_refused(name: str) -> None:
    with pytest.raises(BarError, match=f"{name}: its name has the symbols .* and "):
        symbol_of(Path(name))


@pytest.mark.parametrize(
    "name",
    [
        "data_24h_2020_H1.csv",
        "prices_usd.csv",
        "amateur.csv",
        "30d.csv",
        "US300.csv",
        "EURUSDJPY.csv",
        "USSC2000.IDXUSD_BID.csv",
    ],
)
def test_words_that_are_no_symbol_decide_nothing(name: str) -> None:
    with pytest.raises(UnknownSymbol, match=f"{name}: no symbol in the file name; name it like .* or give --symbol"):
        symbol_of(Path(name))


def test_the_names_of_the_users_file_are_recognised(tmp_path: Path) -> None:
    path = tmp_path / "instruments.toml"
    path.write_text('[SWE30]\nasset = "index"\nquote = "SEK"\ntick = 0.25\naliases = ["OMXS30"]\n')
    registry.use_file(path)
    assert symbols_in("OMXS30.cash_M1.csv") == symbols_in("SWE30m") == ["SWE30"]


def test_a_text_without_a_word_has_no_symbol() -> None:
    assert symbols_in("") == symbols_in("_") == []

"""The registry: the user's file, recorded instruments, leads, rates, and shapes of names."""

import os
from decimal import Decimal as D
from pathlib import Path

import pytest

from mikrobot import settings as configuration
from mikrobot.domain.errors import SettingsError, UsageError
from mikrobot.domain.instruments import entries, registry
from mikrobot.domain.instruments.rates import require_rates
from mikrobot.domain.instruments.shapes import Shape


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MIKROBOT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def file_of(text: str, name: str = "instruments.toml") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path.absolute()


def test_a_file_overrides_single_values_of_a_table_entry() -> None:
    before = registry.instrument("EURUSD")
    registry.use_file(file_of("[EURUSD]\nspread = 0.00002"))
    entry = registry.entry("EURUSD")
    assert (entry.instrument.spread, entry.origin) == (D("0.00002"), "file")
    assert entry.instrument.tick == before.tick
    assert "spread" not in entry.assumed
    registry.use_file(None)
    assert registry.instrument("EURUSD") == before


def test_a_file_adds_a_coin_by_its_tick_alone() -> None:
    registry.use_file(file_of("[SUIUSDT]\ntick = 0.0001\n"))
    traded = registry.instrument("SUIUSDT")
    assert (traded.base, traded.quote, traded.asset, traded.session) == ("SUI", "USDT", "crypto", "always")
    assert (traded.tick, traded.spread, traded.leverage) == (D("0.0001"), D("0.0001"), 10)
    assert {"spread", "leverage"} <= set(registry.entry("SUIUSDT").assumed)


def test_a_file_adds_an_index_with_another_name() -> None:
    registry.use_file(file_of('[SWE30]\nasset = "index"\nquote = "SEK"\ntick = 0.25\naliases = ["OMX30"]\n'))
    assert registry.instrument("OMX30").symbol == "SWE30"
    assert registry.instrument("SWE30").session == "cme"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[EURUSD]\nspred = 1", "entry EURUSD: spred is not a key of an instrument; the nearest is spread"),
        ("[EURUSD]\nspread = 0.000123", "entry EURUSD: spread is 0.000123; expected a multiple of the tick 0.00001"),
        ("[EURUSD]\ntick = true", "entry EURUSD: tick is True; expected a number above 0"),
        ("[EURUSD]\ntick = nan", "entry EURUSD: tick is NaN; expected a number above 0"),
        ("[EURUSD]\nlot = -1", "entry EURUSD: lot is -1; expected a number above 0"),
        ("[EURUSD]\nlot = 1e300", "expected a number above 0"),
        ("[EURUSD]\nleverage = 0.5", "entry EURUSD: leverage is 0.5; expected 1 or more"),
        ("[EURUSD]\ntaker_fee = 0.2", "taker_fee is 0.2; expected a share of the value of a fill"),
        ("[EURUSD]\nasset = 'forex'", "asset is 'forex'; expected fx or metal"),
        ("[EURUSD]\nsession = 'nyse'", "session is 'nyse'; expected fx or cme or always"),
        ("[EURUSD]\naliases = 'EU'", "aliases is 'EU'; expected a list of text"),
        ("[EURUSD]\nswap_long = 1\nswap_triple_day = 6", "swap_triple_day is 6; expected 0"),
        ("[SUIUSDT]\nspread = 0.1", "entry SUIUSDT: tick missing; add the smallest price step"),
        ("[SWE30]\ntick = 1", "entry SWE30: its name shows no asset class; add asset"),
        ("[SWE30]\ntick = 1\nasset = 'index'", "entry SWE30: quote missing"),
        ("[eurusd]\ntick = 1", r"entry eurusd: expected a symbol of capitals and digits; name it like \[EURUSD\]"),
        ("tick = 1", r"tick is not in an entry; begin one with \[SYMBOL\]"),
        ("[EURUSD", "is not TOML"),
        ("[EURUSD]\nquote = ''", "quote is ''; expected a currency or coin in capitals, as"),
        ("[GOLD]\nlot = 10", r"entry GOLD: this is another name of XAUUSD; begin it with \[XAUUSD\]"),
        ("[US30]\naliases = ['DOW', 'EURUSD']", "entry US30: its alias EURUSD is already that of EURUSD; remove it"),
        ("[US30]\naliases = ['X']\n[US500]\naliases = ['x']", "entry US500: its alias X is already that of US30"),
    ],
)
def test_a_wrong_entry_is_refused_by_file_entry_key_and_remedy(text: str, complaint: str) -> None:
    path = file_of(text)
    with pytest.raises(SettingsError, match=complaint) as refused:
        registry.use_file(path)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)
    assert registry.entry("EURUSD").origin == "table"


def test_the_file_beside_the_settings_is_used_and_passed_to_child_processes() -> None:
    path = file_of("[EURUSD]\nlot = 1000")
    settings = configuration.load()
    assert registry.instrument("EURUSD").lot == 1000
    assert settings.environment()["MIKROBOT_INSTRUMENTS"] == str(path)


def test_the_file_may_be_named_and_a_missing_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    file_of("[EURUSD]\nlot = 1000", "mine.toml")
    monkeypatch.setenv("MIKROBOT_INSTRUMENTS", "mine.toml")
    configuration.load()
    assert registry.instrument("EURUSD").lot == 1000
    monkeypatch.setenv("MIKROBOT_INSTRUMENTS", "other.toml")
    with pytest.raises(SettingsError, match=r"MIKROBOT_INSTRUMENTS names .*other\.toml', which is not a file"):
        configuration.load()


def test_recorded_instruments_come_before_the_file_and_end_with_their_block() -> None:
    recorded = registry.recorded(registry.recordable(["EURUSD"]))
    registry.use_file(file_of("[EURUSD]\nlot = 1000"))
    with registry.using(recorded):
        assert registry.instrument("EURUSD").lot == 100_000
    assert registry.instrument("EURUSD").lot == 1000
    registry.adopt(recorded)
    assert registry.instrument("EURUSD").lot == 100_000


@pytest.mark.parametrize(
    ("symbol", "shape"),
    [
        ("NOKSEK", Shape("fx", "NOK", "SEK")),
        ("XAUGBP", Shape("metal", "XAU", "GBP")),
        ("SUIUSDT", Shape("crypto", "SUI", "USDT")),
        ("1000SATSUSDT", Shape("crypto", "1000SATS", "USDT")),
        ("DOTUSD", Shape("crypto", "DOT", "USD")),  # not DO in TUSD
        ("ETHBNB", Shape("crypto", "ETH", "BNB")),
        ("FOOUSD", Shape("crypto", "FOO", "USD")),
        ("SPAIN35", None),
        ("USDUSD", None),
        ("2024", None),
        ("AMATEUR", None),
    ],
)
def test_a_name_shows_class_base_and_quote(symbol: str, shape: Shape | None) -> None:
    assert registry.guess(symbol) == shape


def test_symbols_with_their_rates_are_accepted() -> None:
    require_rates(["EURUSD", "USDJPY", "BTCUSDT", "XAUUSD"])
    require_rates(["EURGBP", "GBPUSD", "ETHBTC", "BTCUSDT"])
    with pytest.raises(
        UsageError, match=r"EURGBP is quoted in GBP, .* add a file of GBPUSD .*--data GBPUSD_M1\.parquet"
    ):
        require_rates(["EURGBP", "EURUSD"])


def test_the_entries_in_the_documentation_are_accepted_and_its_keys_are_all() -> None:
    text = (Path(__file__).parents[4] / "docs" / "data.md").read_text(encoding="utf-8")
    example = text.partition("## Instruments\n")[2].partition("```toml\n")[2].partition("```")[0]
    registry.use_file(file_of(example))
    assert registry.instrument("US30").lot == 5
    assert registry.instrument("OMXS30").quote == "SEK"
    table = text.partition("| key | meaning |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    keys = {key.strip(" `") for row in rows for key in row.split(",")}
    assert keys == set(entries.FIELDS)


def test_a_metal_in_another_currency_has_the_lot_of_the_one_in_dollars() -> None:
    registry.use_file(file_of("[XAGEUR]\ntick = 0.001\n[XAUGBP]\ntick = 0.01\n"))
    silver, gold = registry.instrument("XAGEUR"), registry.instrument("XAUGBP")
    assert (silver.lot, silver.leverage, silver.quote) == (5000, 10, "EUR")
    assert (gold.lot, gold.leverage) == (100, 20)

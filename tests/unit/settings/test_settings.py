import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from mikrobot.domain.errors import SettingsError
from mikrobot.domain.risk_profiles import RISK_PROFILES
from mikrobot.settings import OTHER_VARIABLES, Settings, load


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test its own working folder and no MIKROBOT_ variables."""
    for name in [name for name in os.environ if name.startswith("MIKROBOT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_without_anything_set_the_defaults_hold() -> None:
    settings = load()
    assert (settings.hours, settings.balance, settings.source) == (24, Decimal(10_000), None)
    assert settings.bento_url == "http://127.0.0.1:3300"


def test_the_file_overrides_the_default(tmp_path: Path) -> None:
    (tmp_path / "mikrobot.toml").write_text("hours = 6")
    assert load().hours == 6


def test_the_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mikrobot.toml").write_text("hours = 6\nhistory_days = 9")
    monkeypatch.setenv("MIKROBOT_HOURS", "3")
    assert (load().hours, load().history_days) == (3, 9)


def test_an_argument_overrides_the_environment_unless_it_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIKROBOT_HOURS", "3")
    assert load(hours=2).hours == 2
    assert load(hours=None).hours == 3


def test_the_file_may_be_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.toml").write_text('symbols = ["EURUSD"]')
    monkeypatch.setenv("MIKROBOT_CONFIG", str(tmp_path / "other.toml"))
    assert load().symbols == ("EURUSD",)


def test_a_file_that_is_named_but_absent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIKROBOT_CONFIG", "absent.toml")
    with pytest.raises(SettingsError, match=r"MIKROBOT_CONFIG names absent\.toml, which is not a file"):
        load()


def test_a_file_that_is_not_toml_is_refused_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "mikrobot.toml").write_text("hours = = 3")
    with pytest.raises(SettingsError, match=r"mikrobot\.toml is not TOML: .*line 1"):
        load()


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIKROBOT_HOURS", "")
    assert load().hours == 24


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("hours", 0, r"setting hours: Input should be greater than or equal to 1 \(found 0\); correct or remove it"),
        ("hours", 10**20 - 1, "setting hours: .* less than or equal to 87660 .found 99999999999999999999"),
        ("hours", True, "setting hours: Input should not be true or false"),
        (
            "source",
            "oanda",
            r"setting source: there is no source 'oanda'; the sources are .*, mt5, mt5-local .found 'oanda'.",
        ),
        ("entry_probability", 1.5, r"setting entry_probability: .* less than or equal to 1 \(found 1\.5\)"),
        ("entry_probability", float("nan"), "setting entry_probability: .* less than or equal to 1"),
        ("tuning_seconds", float("inf"), "setting tuning_seconds: .* less than or equal to 604800 .found inf"),
        ("tuning_seconds", float("nan"), "setting tuning_seconds: .* found nan|setting tuning_seconds: .*nan"),
        ("bento_port", 70_000, "setting bento_port: .* less than or equal to 65535"),
        ("balance", "NaN", "setting balance: .* finite number"),
        ("balance", "-1", "setting balance: .* greater than or equal to 1"),
        ("balance", "1e400", r"setting balance: .* less than or equal to 1000000000 \(found '1e400'\)"),
        ("balance", "10.001", "setting balance: .* no more than 2 decimal places"),
        ("swing", 7, r"setting swing: expected 5 or 15, the swings that have features \(found 7\)"),
        ("host", "999.1.1.1", "setting host: expected an IPv4 address of this machine, as 127.0.0.1, or localhost"),
        ("host", "::1", "setting host: expected an IPv4 address"),
        ("binance_url", "ftp://host", "setting binance_url: expected an address, as https://"),
        ("data_clocks", {"bars": 3}, r"setting data_clocks, item bars: .* valid string \(found 3\)"),
        ("data_clocks", ["EET"], "setting data_clocks: Input should be a valid dictionary"),
        ("data_clocks", "EET", 'setting data_clocks: expected a table of JSON, as {"bars/broker": "EET"}'),
        ("symbols", ("EURUSD", 5), r"setting symbols, item 1: .* valid string \(found 5\)"),
        ("symbols", ["EURUSD"] * 101, "setting symbols: .* at most 100 items"),
        ("home", "~nobody-here/state", "~nobody-here/state cannot be a path .* give another one"),
        ("home", "state\0", r"state.x00 cannot be a path .* give another one"),
        ("hour", 3, "setting hour is not a setting; the nearest known one is hours: rename or remove it"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name_and_value(field: str, value: object, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(**{field: value})


@pytest.mark.parametrize(
    "address",
    [
        "https://api binance.com/api", "https://api.binance.com/api?limit=5", "https://api.binance.com/api#klines",
        "https://api.binance.com:99999/api", "https://api..binance.com/api", "https://me:mine@api.binance.com/api",
        "https://api.binance.com/a pi", "https://<host>/api", "https:///api", "api.binance.com/api", "https://[::1/api",
    ],
)  # fmt: skip
def test_a_malformed_address_is_refused_when_the_settings_are_read(address: str) -> None:
    with pytest.raises(SettingsError, match="setting binance_url: expected an address, as https://"):
        load(binance_url=address)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000/api", "https://api1.binance.com/api/", "http://[::1]:80"])
def test_other_addresses_are_accepted(address: str) -> None:
    assert load(binance_url=address).binance_url == address


def test_clocks_of_folders_are_read_from_the_file_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mikrobot.toml").write_text('[data_clocks]\n"bars/broker" = "EET"\n')
    assert load().data_clocks == {str(tmp_path / "bars" / "broker"): "EET"}
    assert json.loads(load().environment()["MIKROBOT_DATA_CLOCKS"]) == load().data_clocks
    monkeypatch.setenv("MIKROBOT_DATA_CLOCKS", '{"bars": "UTC"}')
    assert load().data_clocks == {str(tmp_path / "bars"): "UTC"}


def test_a_clock_given_as_an_argument_overrides_those_of_folders(tmp_path: Path) -> None:
    (tmp_path / "mikrobot.toml").write_text('data_clock = "UTC"\n[data_clocks]\nbars = "EET"\n')
    assert (load().data_clock, load().data_clocks) == ("UTC", {str(tmp_path / "bars"): "EET"})
    assert (load(data_clock="NY+7").data_clock, load(data_clock="NY+7").data_clocks) == ("NY+7", {})


def test_a_number_that_python_does_not_print_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"setting hours: .* thousands of digits"):
        load(hours=10**5000)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root:hidden@host/",
        "postgresql:///postgres",
        "nonsense",
        "postgresql://me:hidden@[::1/db",
        "postgresql://me:hidden@host:99999/db",
        "postgresql://me:hidden@ho\nst/db",
        "postgresql://me:hidden@host..example/db",
        "postgresql://me:hidden@host/db?sslmode",
        "postgresql://me:hidden@host/db?sslmode=require&",
        f"postgresql://me:hidden@{'a' * 64}.example/db",
    ],
)
def test_a_database_that_is_no_url_of_postgresql_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("MIKROBOT_DATABASE_URL", url)
    expected = "MIKROBOT_DATABASE_URL: expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE; correct or remove it"
    with pytest.raises(SettingsError) as refusal:
        load()
    assert str(refusal.value) == expected
    assert "hidden" not in str(refusal.value.__cause__)


@pytest.mark.parametrize(
    "secret", ["hidden%zz", "hidden%", "hidden%00", "1#hidden", "1?hidden", "hidden@a", "1/hidden", "hid den"]
)
def test_a_password_that_the_driver_cannot_read_is_refused_with_the_way_to_write_it(secret: str) -> None:
    with pytest.raises(SettingsError, match=r"expected % @ / [?] # and a space as %25 ") as refusal:
        load(database_url=f"postgresql://me:{secret}@host/db")
    assert "hidden" not in str(refusal.value)


@pytest.mark.parametrize("url", ["postgres://me:pw@db.example:6543/db?sslmode=require", "postgresql://me@[::1]/db"])
def test_a_url_of_postgresql_is_taken_as_it_is(url: str) -> None:
    given = load(database_url=url).database_url
    assert given is not None
    assert given.get_secret_value() == url


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MIKROBOT_HOURS", "soon", r"MIKROBOT_HOURS: .* valid integer.*\(found 'soon'\); correct or remove it"),
        ("mikrobot_hours", "soon", "mikrobot_hours: .* valid integer"),
        ("MIKROBOT_SYMBOLS", "EURUSD,BTCUSDT", r'MIKROBOT_SYMBOLS: expected a JSON list, as \["EURUSD","BTCUSDT"\]'),
        ("MIKROBOT_SYMBOLS", "[" * 100_000, r"MIKROBOT_SYMBOLS: expected a JSON list.*\.\.\."),
        ("MIKROBOT_DATA", '{"a": 1}', "MIKROBOT_DATA: .* valid tuple"),
        ("MIKROBOT_BOGUS", "1", "the variable MIKROBOT_BOGUS is not a setting; the nearest known one is MIKROBOT_H"),
        ("MIKROBOT_HOUR", "", "the variable MIKROBOT_HOUR is not a setting; the nearest known one is MIKROBOT_HOURS"),
        ("mikrobot_bogus", "1", "the variable mikrobot_bogus is not a setting"),
        ("MIKROBOT_A\nB", "1", r"the variable MIKROBOT_A.nB is not a setting"),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=message) as refusal:
        load()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hours = 0", r"hours in {file}: Input should be greater than or equal to 1 \(found 0\); correct or remove it"),
        ("hours = true", r"hours in {file}: Input should not be true or false"),
        ("balance = 1e400", r"balance in {file}: Input should be a finite number \(found inf\)"),
        ('symbols = "EURUSD"', r"symbols in {file}: expected a JSON list"),
        ("hour = 3", "hour in {file} is not a setting; the nearest known one is hours: rename or remove it"),
        ("hours = = 3", "{file} is not TOML: .*line 1.*; correct or remove it"),
        (f"hours = {'9' * 5000}", "{file} is not TOML: .*4300 digits"),
        (f"symbols = {'[' * 50_000}", "{file} is not TOML: .*recursion"),
    ],
)
def test_a_wrong_key_is_refused_by_its_name_and_its_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mikrobot.toml").write_text(text)
    with pytest.raises(SettingsError, match=message.format(file=re.escape(str(tmp_path / "mikrobot.toml")))):
        load()


def test_equal_ports_are_refused_with_the_place_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIKROBOT_PREFECT_PORT", "5500")
    (tmp_path / "mikrobot.toml").write_text("bento_port = 5500")
    with pytest.raises(SettingsError) as refusal:
        load()
    assert str(refusal.value) == (
        f"MIKROBOT_PREFECT_PORT and the default of mlflow_port and bento_port in {tmp_path}/mikrobot.toml "
        "are the same port, 5500: give each service a port of its own"
    )


def test_the_port_of_the_bundled_server_is_free_for_others_where_it_is_not_used() -> None:
    assert load(postgres_port=4200, database_url="postgresql://me:pw@host/db").postgres_port == 4200


@pytest.mark.parametrize("variable", OTHER_VARIABLES)
def test_the_other_variables_of_the_program_are_known(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, __file__)
    if variable != "MIKROBOT_CONFIG":
        load()


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://api.binance.com/api", "binance"),
        ("https://data-api.binance.vision/api", "binance"),
        ("http://127.0.0.1:8310/api", "binance-local"),
        ("https://api.notbinance.com/api", "binance-local"),
    ],
)
def test_bars_of_another_server_are_never_those_of_binance(url: str, source: str) -> None:
    assert load(source="binance", binance_url=url).source == source
    assert load(source="replay", binance_url=url).source == "replay"


def test_a_local_venue_stands_for_binance_on_its_port() -> None:
    settings = load(venue="local", source="binance", venue_port=8400)
    assert settings.source == load(venue="local").source == "binance-local"
    assert settings.binance_url == "http://127.0.0.1:8400/api"
    assert settings.binance_stream_url == "ws://127.0.0.1:8400"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": "replay"}, "the local venue stands for Binance, not for replay: give --source binance"),
        ({"data": ("bars.parquet",)}, "the local venue of a run makes its own market: leave the bar files out"),
        ({"venue_port": 4200}, "setting venue_port are the same port, 4200"),
    ],
)
def test_a_local_venue_with_what_it_cannot_trade_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(venue="local", **given)


def test_futures_of_another_server_are_marked_by_their_own_address() -> None:
    assert load(source="binance-usdm").source == "binance-usdm"
    assert load(source="binance-usdm", binance_url="http://127.0.0.1:8310/api").source == "binance-usdm"
    local = load(source="binance-usdm", binance_futures_url="http://127.0.0.1:8310/fapi")
    assert local.source == "binance-usdm-local"


def test_members_of_a_combined_source_are_in_one_order_and_each_of_its_own_address() -> None:
    assert load(source="mt5+binance").source == "binance+mt5"
    assert load(source="mt5+binance", binance_url="http://127.0.0.1:8310/api").source == "mt5+binance-local"


def test_symbols_may_name_their_source_in_every_place_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIKROBOT_SYMBOLS", '["BTCUSDT", "EURUSD@mt5"]')
    settings = load(source="binance+mt5")
    assert (settings.symbols, settings.routes) == (("BTCUSDT", "EURUSD"), {"EURUSD": "mt5"})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": "x" * 5_000}, "there is no source 'x{80}'; the sources are"),
        ({"source": "binance+kraken"}, "setting source: there is no source 'kraken' in binance.kraken; .*correct or"),
        ({"source": "binance+binance-local", "binance_url": "http://127.0.0.1:8310/api"}, "has binance-local twice"),
        ({"symbols": ("EURUSD@oanda",)}, "there is no source 'oanda'; the sources are"),
        ({"source": "binance+mt5", "venue": "local"}, r"the local venue stands for Binance, not for binance\+mt5"),
    ],
)
def test_sources_that_cannot_be_joined_are_refused_in_one_line(given: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(**given)


def test_every_variable_that_the_program_names_is_known() -> None:
    root = Path(__file__).resolve().parents[3]
    folders = ("src", "bentos", "flows", "feature_repo", "expectations", "benchmarks", "docs")
    texts = [path for folder in folders for path in (root / folder).rglob("*.*") if path.suffix in (".py", ".md")]
    names = {name for path in texts for name in re.findall(r"\bMIKROBOT_[A-Z_]*[A-Z]\b", path.read_text())}
    assert len(names) > 5
    assert names - OTHER_VARIABLES.keys() <= {f"MIKROBOT_{name.upper()}" for name in Settings.model_fields}


def test_paths_are_made_absolute(tmp_path: Path) -> None:
    settings = load(home="state", data=("EURUSD.parquet", "~/bars"))
    assert settings.home == tmp_path / "state"
    assert settings.data == (tmp_path / "EURUSD.parquet", Path.home() / "bars")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load().hours = 3  # type: ignore[misc]


def test_a_password_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(database_url="postgresql://me:hunter2@host/db")
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()


@pytest.mark.parametrize("name", RISK_PROFILES)
def test_each_profile_can_be_chosen(name: str) -> None:
    assert load(profile=name).trading is RISK_PROFILES[name]


def test_a_copy_with_another_profile_trades_by_that_profile() -> None:
    settings = load(profile="session1")
    assert settings.trading is RISK_PROFILES["session1"]
    assert settings.model_copy(update={"profile": "ftmo"}).trading is RISK_PROFILES["ftmo"]


CHILD = """
import json
from mikrobot.settings import load
settings = load()
print(json.dumps([settings.model_dump_json(), settings.environment()]))
"""


def test_the_environment_gives_a_child_process_equal_settings(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mikrobot.toml").write_text("hours = 7")
    parent = load(
        home="state",
        profile="ftmo",
        database_url="postgresql://me:hunter2@host/db",
        source="replay",
        data=("a.parquet", "b c.parquet"),
        symbols=("EURUSD", "BTCUSDT"),
        balance=Decimal("12345.67"),
        entry_probability=0.1 + 0.2,
        probe_seconds=0.25,
    )
    base = {name: value for name, value in os.environ.items() if not name.startswith("MIKROBOT_")}
    output = subprocess.run(
        [sys.executable, "-c", CHILD],
        env=base | parent.environment(),
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert json.loads(output) == [parent.model_dump_json(), parent.environment()]
    assert parent.environment()["MIKROBOT_DATABASE_URL"] == "postgresql://host/db"


def test_settings_read_back_from_their_own_variables_are_equal_without_the_administrator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = load(symbols=("EURUSD",), balance="500.50", database_url="postgresql://me:pw@host/db")
    for name, value in first.environment().items():
        monkeypatch.setenv(name, value)
    assert load() == first.model_copy(update={"database_url": SecretStr("postgresql://host/db")})
    assert isinstance(load(), Settings)


def test_a_balance_is_written_without_an_exponent() -> None:
    assert str(load(balance="1e9").balance) == "1000000000"

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from mikrobot.domain.errors import SettingsError
from mikrobot.settings import RISK_PROFILES, Settings, load


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
        ("hours", 0, r"setting hours: Input should be greater than 0 \(found 0\)"),
        ("source", "oanda", r"setting source: .*expected one of simulated, replay, binance, mt5 \(found"),
        ("entry_probability", 1.5, r"setting entry_probability: .* less than or equal to 1 \(found 1\.5\)"),
        ("entry_probability", float("nan"), "setting entry_probability: .* less than or equal to 1"),
        ("bento_port", 70_000, "setting bento_port: .* less than or equal to 65535"),
        ("balance", "NaN", "setting balance: .* finite number"),
        ("balance", "-1", "setting balance: .* greater than 0"),
        ("swing", 7, r"setting swing: .*expected 5 or 15, the swings that have features \(found 7\)"),
        ("hour", 3, r"setting hour: Extra inputs are not permitted \(found 3\)"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name_and_value(field: str, value: object, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(**{field: value})


def test_a_wrong_variable_is_refused_by_the_name_of_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIKROBOT_HOURS", "soon")
    with pytest.raises(SettingsError, match=r"setting hours: .* valid integer.*\(found 'soon'\)"):
        load()


def test_a_list_that_is_not_json_is_refused_with_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIKROBOT_SYMBOLS", "EURUSD,BTCUSDT")
    with pytest.raises(SettingsError, match=r'"symbols".*as MIKROBOT_SYMBOLS=\["EURUSD","BTCUSDT"\]'):
        load()


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


def test_settings_read_back_from_their_own_variables_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(symbols=("EURUSD",), balance="500.50", database_url="postgresql://me:pw@host/db")
    for name, value in first.environment().items():
        monkeypatch.setenv(name, value)
    assert load() == first
    assert isinstance(load(), Settings)

"""A run is resumed by its own settings and on its own bars; whatever differs is refused in one line."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mikrobot.domain.errors import BarError, UsageError
from mikrobot.live.session import record_of
from mikrobot.market.bar_files import digests
from mikrobot.settings import Settings
from mikrobot.store.runs import Run, Segment
from mikrobot.workflows import resumption

NOON = datetime(2025, 3, 14, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, ...]:
    paths = tuple(tmp_path / f"{symbol}_M1.csv" for symbol in ("EURUSD", "BTCUSDT"))
    for path in paths:
        path.write_text("bars")
    return paths


def recorded(tmp_path: Path, data: tuple[Path, ...], **changed: Any) -> Run:
    """Return a run as `mikrobot run` records it."""
    settings = Settings(home=tmp_path, source="replay", data=data, symbols=("EURUSD", "BTCUSDT"), hours=2, **changed)
    source: Any = type("Source", (), {"name": "replay", "simulated": False})
    segment = Segment(settings.symbols, NOON - 9 * DAY, NOON - 2 * HOUR, NOON)
    run = record_of("20250314-120000", settings, source, [segment], started_at=NOON)
    run.settings[resumption.DIGESTS] = digests(data)
    return run


def test_nothing_given_and_the_same_given_are_accepted(tmp_path, data):
    run = recorded(tmp_path, data)
    resumption.require_same_settings(run, {"source": None, "hours": None})
    same = {"source": "replay", "data": data[::-1], "symbols": ("BTCUSDT", "EURUSD"), "hours": 2}
    resumption.require_same_settings(run, same)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"hours": 3}, "run 20250314-120000 has hours 2, not 3: "),
        ({"source": "simulated"}, "has source replay, not simulated: "),
        ({"data": (Path("/other/EURUSD_M1.csv"),)}, "not /other/EURUSD_M1.csv: "),
        ({"symbols": ("EURUSD",)}, "has symbols EURUSD, BTCUSDT, not EURUSD: "),
        ({"arms": ("careful:profile=ftmo",)}, "not careful:profile=ftmo: "),
        ({"data_clock": "EET"}, "has data_clock None, not EET: "),
    ],
)
def test_another_setting_is_refused(tmp_path, data, given, complaint):
    with pytest.raises(UsageError) as refusal:
        resumption.require_same_settings(recorded(tmp_path, data), given)
    assert complaint in str(refusal.value)
    assert "leave --resume out" in str(refusal.value)


def test_the_same_bars_are_accepted(tmp_path, data):
    resumption.require_same_bars(recorded(tmp_path, data))


def test_bars_that_have_changed_are_refused(tmp_path, data):
    run = recorded(tmp_path, data)
    data[1].write_text("other bars")
    with pytest.raises(UsageError, match=f"{data[1]} is not as it was when run 20250314-120000 began"):
        resumption.require_same_bars(run)


def test_a_file_that_has_left_a_folder_or_come_into_it_is_refused(tmp_path, data):
    run = recorded(tmp_path, (tmp_path,))
    data[0].rename(data[0].with_suffix(".txt"))
    with pytest.raises(UsageError, match=f"{data[0]} is not as it was"):
        resumption.require_same_bars(run)
    data[0].with_suffix(".txt").rename(data[0])
    (tmp_path / "GBPUSD_M1.csv").write_text("bars")
    with pytest.raises(UsageError, match=r"GBPUSD_M1\.csv is not as it was"):
        resumption.require_same_bars(run)


def test_bars_that_are_gone_are_refused(tmp_path, data):
    run = recorded(tmp_path, data)
    data[0].unlink()
    with pytest.raises(BarError, match="no such file or folder"):
        resumption.require_same_bars(run)


def test_the_settings_are_those_of_the_run_and_those_of_the_machine_the_current_ones(tmp_path, data, monkeypatch):
    run = recorded(tmp_path, data, balance=Decimal("5000.50"), entry_probability=0.3, bento_port=3301)
    monkeypatch.setenv("MIKROBOT_ENTRY_PROBABILITY", "0.9")
    monkeypatch.setenv("MIKROBOT_DATA_CLOCK", "EET")
    current = Settings(home=tmp_path / "moved", bento_port=3302)
    settings = resumption.settings_of(current, run)
    assert (settings.entry_probability, settings.balance, settings.hours) == (0.3, Decimal("5000.50"), 2)
    assert (settings.data, settings.data_clock) == (data, None)
    assert (settings.home, settings.bento_port) == (tmp_path / "moved", 3302)


def test_a_folder_without_a_database_has_nothing_to_resume(tmp_path):
    with pytest.raises(UsageError, match="there is no run to resume in"):
        resumption.require_home(Settings(home=tmp_path))
    assert list(tmp_path.iterdir()) == []

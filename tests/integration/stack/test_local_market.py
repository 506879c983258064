"""The local venue of a run: its market time, also after it was killed or taken down."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.request import urlopen

import pytest

from mikrobot.domain.errors import ServiceError
from mikrobot.live import pid_records
from mikrobot.live.steady_clock import market_clock
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.settings import Settings, on_venue
from mikrobot.stack import local_market, processes, service_table, wanted
from tests.killing import head_of, kill_9

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
CLOCK = SystemClock()


@pytest.fixture
def settings(install, tmp_path, free_port) -> Iterator[Settings]:
    with install(tmp_path) as installation:
        chosen = {"venue": "local", "venue_port": free_port()}
        yield on_venue(installation.settings.model_copy(update=chosen))


def ask(settings: Settings, path: str) -> Any:
    with urlopen(f"{settings.binance_url}/v3/{path}", timeout=10) as answer:
        return json.load(answer)


def venue_time(settings: Settings) -> datetime:
    return datetime.fromtimestamp(ask(settings, "time")["serverTime"] / 1000, UTC)


def assert_one_time(settings: Settings) -> None:
    """The venue and the clock of the live processes show the same instant."""
    clock = market_clock(settings, CLOCK)
    before, there, after = clock.now(), venue_time(settings), clock.now()
    assert before - timedelta(milliseconds=2) <= there <= after


def test_the_venue_has_the_market_time_of_the_live_processes_at_every_speed(settings: Settings) -> None:
    local_market.start(settings, NEW_YEAR, rate=1.0)
    assert_one_time(settings)
    assert venue_time(settings) >= NEW_YEAR
    local_market.accelerate(settings)
    assert_one_time(settings)
    began, first = CLOCK.now(), venue_time(settings)
    market_clock(settings, CLOCK).sleep(60)
    passed = venue_time(settings) - first
    assert timedelta(seconds=60) <= passed <= 60 * (CLOCK.now() - began)


def test_a_venue_that_was_killed_goes_on_at_the_market_time_with_the_same_prices(settings: Settings) -> None:
    local_market.start(settings, NEW_YEAR, rate=60.0)
    asked = f"klines?symbol=BTCUSDT&interval=1m&endTime={int(NEW_YEAR.timestamp()) * 1000}&limit=30"
    before = ask(settings, asked)
    killed = head_of("venue", settings.home)
    assert killed is not None
    kill_9(killed)
    wait_until(
        lambda: not processes.listening("127.0.0.1", settings.venue_port), "it still listens", CLOCK, timeout_s=20
    )
    assert wanted.read(settings.home).names == ("venue",)
    service = service_table.venue(wanted.read(settings.home).settings_of("venue"))
    processes.start(service, settings.home, settings.host)
    processes.await_ready(service, settings.home, CLOCK)
    assert_one_time(settings)
    assert ask(settings, asked) == before


def test_the_venue_ends_with_the_block_that_opened_it(settings: Settings) -> None:
    lines: list[str] = []
    with local_market.opened(settings, lines.append) as market:
        assert abs(market.now() - CLOCK.now()) < timedelta(seconds=60)
        assert pid_records.find("venue", settings.home) is not None
    assert "SIMULATED" in lines[0]
    assert pid_records.find("venue", settings.home) is None
    assert not processes.listening("127.0.0.1", settings.venue_port)


def test_a_port_in_use_is_named_with_the_setting_that_changes_it(settings: Settings, tmp_path) -> None:
    local_market.start(settings, NEW_YEAR, rate=1.0)
    other = settings.model_copy(update={"home": tmp_path / "other"})
    other.home.mkdir()
    with pytest.raises(ServiceError, match=f"port {settings.venue_port} is in use .* or set MIKROBOT_VENUE_PORT"):
        local_market.start(other, NEW_YEAR, rate=1.0)
    assert wanted.read(other.home).names == ()

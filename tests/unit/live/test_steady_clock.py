"""The clock that does not follow when the clock of the machine is set."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest

from mikrobot.live import steady_clock
from mikrobot.runtime import ManualClock, SystemClock, uptime_s
from mikrobot.settings import Settings

SECOND = timedelta(seconds=1)


def test_it_starts_as_the_clock_of_the_machine_and_advances_with_it(tmp_path):
    clock = steady_clock.anchored(tmp_path)
    first = clock.now()
    clock.sleep(0.05)
    assert clock.now() - first >= timedelta(seconds=0.05)
    assert abs(clock.now() - SystemClock().now()) < SECOND


def test_every_process_of_a_state_folder_has_the_same_time_whatever_the_clock_was_set_to(tmp_path):
    an_hour_ago = SystemClock().now() - timedelta(hours=1)
    first = steady_clock.anchor_at(an_hour_ago, tmp_path)
    assert steady_clock.anchored(tmp_path) == first
    assert abs(first.now() - an_hour_ago) < 10 * SECOND


def test_at_a_rate_hours_pass_in_minutes_for_every_process_of_the_folder(tmp_path):
    start, began = datetime(2025, 3, 14, tzinfo=UTC), uptime_s()
    steady_clock.anchor_at(start, tmp_path, rate=600)
    clock = steady_clock.anchored(tmp_path)
    clock.sleep(60)
    assert timedelta(seconds=60) <= clock.now() - start <= 600 * (uptime_s() - began) * SECOND


def test_an_anchor_of_another_start_of_the_machine_does_not_count(tmp_path):
    steady_clock.anchor_at(datetime(2020, 1, 1, tzinfo=UTC), tmp_path)
    path = tmp_path / "run" / "clock"
    path.write_text(json.dumps({**json.loads(path.read_text()), "boot": "another"}))
    assert abs(steady_clock.anchored(tmp_path).now() - SystemClock().now()) < SECOND


def test_after_it_is_forgotten_the_clock_of_the_machine_is_trusted_again(tmp_path):
    steady_clock.anchor_at(datetime(2020, 1, 1, tzinfo=UTC), tmp_path)
    steady_clock.forget(tmp_path)
    assert abs(steady_clock.anchored(tmp_path).now() - SystemClock().now()) < SECOND


@pytest.mark.parametrize(("difference", "expected"), [(0, 0), (5, 0), (-5, 0), (6, 6), (-3600, -3600)])
def test_a_difference_above_five_seconds_is_a_clock_that_was_set(difference, expected):
    steady = ManualClock(datetime(2025, 3, 14, tzinfo=UTC))
    assert steady_clock.set_by_s(steady, ManualClock(steady.time + difference * SECOND)) == expected


def test_the_market_time_of_a_local_venue_is_that_of_settings_that_trade_it(tmp_path):
    machine, on_venue = SystemClock(), Settings(home=tmp_path, venue="local")
    assert steady_clock.market_clock(on_venue, machine) is machine
    start, began = datetime(2030, 1, 1, tzinfo=UTC), uptime_s()
    steady_clock.anchor_at(start, tmp_path, 60, name=steady_clock.MARKET)
    passed = steady_clock.market_clock(on_venue, machine).now() - start
    assert timedelta(0) <= passed <= 60 * (uptime_s() - began) * SECOND
    assert steady_clock.market_clock(Settings(home=tmp_path), machine) is machine
    assert abs(steady_clock.anchored(tmp_path).now() - machine.now()) < SECOND


def test_processes_that_start_at_once_share_one_anchor(tmp_path):
    for number in range(20):
        home, start = tmp_path / str(number), Barrier(8)

        def clock(_: int, home: Path = home, start: Barrier = start) -> steady_clock.SteadyClock:
            start.wait()
            return steady_clock.anchored(home)

        with ThreadPoolExecutor(8) as threads:
            assert len(set(threads.map(clock, range(8)))) == 1

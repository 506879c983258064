"""A stack that stands for an hour at ten times the rate of the market uses no more memory and files at its end."""

from datetime import timedelta
from pathlib import Path

import pytest

from mikrobot.live import steady_clock
from mikrobot.runtime import SystemClock
from tests.chaos.hour import measure

pytestmark = pytest.mark.soak

RATE = 10
HOUR = timedelta(hours=1)


def test_an_hour_at_ten_times_the_rate_leaves_memory_files_and_logs_as_they_were(install, tmp_path: Path) -> None:
    with install(tmp_path) as installation:
        run = installation.run("run", "--once", "--source", "simulated", "--hours", 1, "--history-days", 10)
        assert run.returncode == 0, run.stderr
        steady_clock.anchor_at(SystemClock().now(), installation.home, RATE)
        assert installation.run("up").returncode == 0
        hour = measure(installation.settings, HOUR)
        print(hour)
    assert (hour.errors, hour.restarts) == ({}, [])
    assert hour.minutes >= 0.95 * RATE * (HOUR / timedelta(minutes=1))
    assert hour.total.memory_pct < 5
    own = [growth.descriptors for name, growth in hour.growths.items() if name != "postgres"]
    assert sum(own) <= 20  # each connection to PostgreSQL has about forty files open there, whoever connects

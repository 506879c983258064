from datetime import UTC, datetime, timedelta

import pytest

from mikrobot.domain.errors import ServiceError
from mikrobot.runtime import ManualClock, SystemClock, wait_until

NOON = datetime(2024, 3, 11, 12, tzinfo=UTC)


def test_a_manual_clock_moves_only_when_it_sleeps() -> None:
    clock = ManualClock(NOON)
    assert clock.now() == clock.now() == NOON
    clock.sleep(90)
    assert clock.now() == NOON + timedelta(seconds=90)


def test_the_system_clock_returns_utc_and_really_sleeps() -> None:
    clock = SystemClock()
    before = clock.now()
    clock.sleep(0.002)
    assert before.tzinfo is UTC
    assert clock.now() - before >= timedelta(seconds=0.002)


def test_waiting_ends_as_soon_as_it_is_ready() -> None:
    clock = ManualClock(NOON)
    wait_until(lambda: clock.now() >= NOON + timedelta(seconds=3), "MLflow did not answer", clock, timeout_s=60)
    assert timedelta(seconds=3) <= clock.now() - NOON < timedelta(seconds=3.2)


def test_waiting_fails_after_the_timeout_measured_by_the_given_clock() -> None:
    clock = ManualClock(NOON)
    with pytest.raises(ServiceError, match="MLflow did not answer within 60 s"):
        wait_until(lambda: False, "MLflow did not answer", clock, timeout_s=60)
    assert timedelta(seconds=60) <= clock.now() - NOON < timedelta(seconds=60.2)


def test_waiting_for_something_ready_takes_no_time() -> None:
    clock = ManualClock(NOON)
    wait_until(lambda: True, "MLflow did not answer", clock, timeout_s=0)
    assert clock.now() == NOON

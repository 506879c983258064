from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from mikrobot.live.steady_clock import SteadyClock
from mikrobot.runtime import SystemClock, rate_of, retry


@pytest.fixture(autouse=True)
def _without_waiting() -> Iterator[None]:
    stamina.set_testing(True, attempts=100, cap=True)
    yield
    stamina.set_testing(False)


class Flaky:
    """Fails so many times before it answers."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.calls, self.failures, self.error = 0, failures, error

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return "answer"


def test_the_named_error_is_repeated_until_the_call_answers() -> None:
    flaky = Flaky(3, ConnectionError("reset"))
    assert retry(on=ConnectionError)(flaky)() == "answer"
    assert flaky.calls == 4


def test_a_subclass_of_the_named_error_is_repeated() -> None:
    flaky = Flaky(1, ConnectionResetError("reset"))
    assert retry(on=ConnectionError)(flaky)() == "answer"


def test_any_other_error_is_raised_at_once() -> None:
    flaky = Flaky(1, KeyError("close"))
    with pytest.raises(KeyError):
        retry(on=ConnectionError)(flaky)()
    assert flaky.calls == 1


def test_the_last_error_is_raised_when_the_attempts_are_used_up() -> None:
    flaky = Flaky(9, TimeoutError("slow"))
    with pytest.raises(TimeoutError, match="slow"):
        retry(on=(ConnectionError, TimeoutError), attempts=3)(flaky)()
    assert flaky.calls == 3


def test_waits_count_by_the_clock_of_a_market_that_runs_faster() -> None:
    clock = SteadyClock(datetime(2025, 1, 1, tzinfo=UTC), rate=1000.0)
    waits: list[float] = []

    def keep(details: RetryDetails) -> None:
        waits.append(details.wait_for)

    stamina.set_testing(False)
    set_on_retry_hooks([keep])
    try:
        retry(on=ConnectionError, attempts=5, rate=rate_of(clock))(Flaky(4, ConnectionError("reset")))()
    finally:
        set_on_retry_hooks(None)
    assert len(waits) == 4
    assert max(waits) <= 6.0 / 1000
    assert rate_of(SystemClock()) == 1.0

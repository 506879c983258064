from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier, Event

import pytest

from mikrobot.domain.errors import ServiceError, ServingError
from mikrobot.runtime import Breaker, BreakerOpen, ManualClock


def answer() -> str:
    return "answer"


def fail() -> str:
    raise ServingError("no answer")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2024, 3, 11, 12, tzinfo=UTC))


@pytest.fixture
def breaker(clock: ManualClock) -> Breaker:
    return Breaker("BentoML", clock, failures=3, rest_s=30, successes=2)


def failing(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ServingError):
            breaker.call(fail)


def half_opened(breaker: Breaker, clock: ManualClock) -> Breaker:
    failing(breaker, breaker.failures)
    clock.sleep(breaker.rest_s)
    return breaker


def refused(breaker: Breaker, function: Callable[[], object] = answer) -> None:
    with pytest.raises(BreakerOpen):
        breaker.call(function)


def test_the_answer_and_the_error_of_a_call_pass_through(breaker: Breaker) -> None:
    assert breaker.call(answer) == "answer"
    failing(breaker, 1)
    assert breaker.state == "closed"


def test_it_opens_after_so_many_failures_in_a_row(breaker: Breaker) -> None:
    failing(breaker, 3)
    assert breaker.state == "open"


def test_a_success_resets_the_count_of_failures(breaker: Breaker) -> None:
    failing(breaker, 2)
    breaker.call(answer)
    failing(breaker, 2)
    assert breaker.state == "closed"


def test_open_it_refuses_without_calling_and_names_the_next_attempt(breaker: Breaker) -> None:
    failing(breaker, 3)
    called: list[bool] = []
    with pytest.raises(
        BreakerOpen, match="BentoML keeps failing; the next attempt is possible 30 s after its last failure"
    ):
        breaker.call(lambda: called.append(True))
    assert not called
    assert issubclass(BreakerOpen, ServiceError)


def test_it_is_half_open_exactly_when_the_rest_is_over(breaker: Breaker, clock: ManualClock) -> None:
    failing(breaker, 3)
    clock.sleep(29.999)
    assert breaker.state == "open"
    clock.sleep(0.001)
    assert breaker.state == "half_open"


def test_enough_successful_probes_close_it(breaker: Breaker, clock: ManualClock) -> None:
    half_opened(breaker, clock).call(answer)
    assert breaker.state == "half_open"
    breaker.call(answer)
    assert breaker.state == "closed"
    failing(breaker, 2)
    assert breaker.state == "closed"


def test_one_failed_probe_opens_it_for_a_whole_rest(breaker: Breaker, clock: ManualClock) -> None:
    half_opened(breaker, clock).call(answer)
    failing(breaker, 1)
    assert breaker.state == "open"
    clock.sleep(29)
    refused(breaker)
    clock.sleep(1)
    breaker.call(answer)
    assert breaker.state == "half_open"


def test_half_open_it_admits_one_probe_at_a_time(breaker: Breaker, clock: ManualClock) -> None:
    """Guard against a half-open breaker that admits any number of calls."""
    half_opened(breaker, clock)

    def probe() -> str:
        with pytest.raises(BreakerOpen, match="is being probed"):
            breaker.call(answer)
        return "probed"

    assert breaker.call(probe) == "probed"
    assert breaker.call(answer) == "answer"


def test_threads_that_arrive_together_get_one_probe_between_them(breaker: Breaker, clock: ManualClock) -> None:
    half_opened(breaker, clock)
    together, all_tried, admitted = Barrier(8), Event(), []

    def probe() -> None:
        admitted.append(True)
        all_tried.wait(10)

    def arrive() -> str:
        together.wait(10)
        try:
            breaker.call(probe)
        except BreakerOpen:
            return "refused"
        return "admitted"

    with ThreadPoolExecutor(8) as threads:
        arrivals = [threads.submit(arrive) for _ in range(8)]
        while sum(arrival.done() for arrival in arrivals) < 7 and len(admitted) < 2:
            pass
        all_tried.set()
    assert sorted(arrival.result() for arrival in arrivals) == ["admitted"] + ["refused"] * 7


@pytest.mark.parametrize("late", [answer, fail], ids=["success", "failure"])
def test_a_call_from_before_the_break_ends_without_effect_on_it(
    breaker: Breaker, clock: ManualClock, late: Callable[[], str]
) -> None:
    def overtaken() -> str:
        half_opened(breaker, clock)
        breaker.call(answer)
        return late()

    try:
        breaker.call(overtaken)
    except ServingError:
        assert late is fail
    assert breaker.state == "half_open"
    breaker.call(answer)
    assert breaker.state == "closed"


def test_an_interrupted_probe_does_not_block_the_next_for_ever(breaker: Breaker, clock: ManualClock) -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half_opened(breaker, clock).call(interrupted)
    clock.sleep(30)
    assert breaker.call(answer) == "answer"

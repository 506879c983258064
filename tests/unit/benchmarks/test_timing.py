"""What the benchmarks say, given the times; never the times themselves."""

import pytest

from benchmarks import suite, timing
from benchmarks.timing import Measurement, Timed, compared, rank
from mikrobot.domain.errors import UsageError

MEASURED = Measurement("online row, read", "ms", 0.25, 1250.0, "Feast", 1.0, "SELECT 1", 0.125)


class Watch:
    """A clock that only the timed calls move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        monkeypatch.setattr(timing, "perf_counter", lambda: self.seconds)

    def calls(self, *lasting: float) -> Timed:
        left = iter(lasting)
        return Timed("a call", lambda: self.spend(next(left)))

    def spend(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


def test_the_first_call_of_each_does_not_count(watch: Watch) -> None:
    measurement = compared("x", "ms", watch.calls(9, 1, 2), watch.calls(9, 3, 4), limit=watch.calls(9, 5, 6), rounds=2)
    assert (measurement.p50, measurement.peer_p50, measurement.limit_p50) == (1_000, 3_000, 5_000)
    assert measurement.p99 == 2_000


def test_a_call_on_many_items_is_divided_among_them(watch: Watch) -> None:
    measurement = compared(
        "x", "us", watch.calls(1, 1), watch.calls(2, 2), limit=watch.calls(3, 3), rounds=1, per=1_000
    )
    assert (measurement.p50, measurement.peer_p50, measurement.limit_p50) == (1_000, 2_000, 3_000)


def test_the_three_take_turns(watch: Watch) -> None:
    order: list[str] = []
    ours, peer, limit = (Timed(name, lambda name=name: order.append(name)) for name in ("ours", "peer", "limit"))
    compared("x", "ms", ours, peer, limit=limit, rounds=2)
    assert order == ["ours", "peer", "limit"] * 3


def test_what_prepares_a_call_is_not_timed(watch: Watch) -> None:
    slowly = Timed("a call", lambda: watch.spend(1), prepare=lambda: watch.spend(100))
    assert compared("x", "s", slowly, slowly, limit=slowly, rounds=3).p99 == 1


def test_a_rank_is_one_of_the_values() -> None:
    hundred = [float(number) for number in range(1, 101)]
    assert (rank(hundred, 0.5), rank(hundred, 0.99), rank([7.0], 0.99)) == (50, 99, 7)


def test_json_is_what_the_commands_promise() -> None:
    (measurement,) = suite.to_json([MEASURED])
    assert measurement == {
        "name": "online row, read",
        "ours": {"p50": 0.25, "p99": 1250.0, "unit": "ms"},
        "peer": {"name": "Feast", "p50": 1.0, "unit": "ms"},
        "ratio": 4.0,
        "limit": {"name": "SELECT 1", "p50": 0.125, "unit": "ms"},
        "machine": suite.machine(),
        "versions": suite.versions(),
    }


def test_markdown_has_a_row_a_measurement_under_the_machine() -> None:
    machine, _, heading, rules, row = suite.markdown([MEASURED]).splitlines()
    assert machine.startswith(suite.machine())
    assert "numba" in machine
    assert heading.count("|") == rules.count("|") == row.count("|")
    assert row == "| online row, read | 0.250 | 1,250 | ms | Feast | 1.00 | 4.00 | SELECT 1 | 0.125 |"


def test_an_unknown_benchmark_is_refused_before_any_is_run() -> None:
    with pytest.raises(
        UsageError,
        match=r"no benchmark speed; there are commands, files, features, models, stores, streams, serving, signal, ",
    ):
        suite.measure(["features", "speed"])

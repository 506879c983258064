"""The clock of a venue, measured over a network that delays each way by another time."""

from datetime import UTC, datetime, timedelta

import pytest

from mikrobot.market.venue_clock import EVERY, SAMPLES, VenueClock
from mikrobot.runtime import ManualClock

NOW = datetime(2025, 1, 10, 12, 0, 30, tzinfo=UTC)


class Network:
    """Answers with the venue's time after delays (there, back), in seconds; the last ones stay."""

    def __init__(self, clock, ahead_s, *delays):
        self.clock, self.ahead_s, self.delays, self.asked = clock, ahead_s, list(delays), 0

    def __call__(self):
        self.asked += 1
        there, back = self.delays.pop(0) if len(self.delays) > 1 else self.delays[0]
        self.clock.sleep(there)
        time = self.venue
        self.clock.sleep(back)
        return time

    @property
    def venue(self):
        return self.clock.now() + timedelta(seconds=self.ahead_s)


@pytest.mark.parametrize("ahead_s", [-3600.0, -0.4, 0.0, 0.4, 3600.0])
@pytest.mark.parametrize("delays", [[(0.0, 0.0)], [(0.2, 0.0)], [(0.0, 0.2)], [(0.3, 0.1), (0.01, 0.05), (0.5, 0.5)]])
def test_the_offset_is_right_within_half_of_the_shortest_round_trip(ahead_s, delays):
    clock = ManualClock(NOW)
    measured = VenueClock(Network(clock, ahead_s, *delays), clock).offset()
    shortest = min(there + back for there, back in delays)
    assert measured.round_trip.total_seconds() == pytest.approx(shortest)
    assert abs(measured.offset.total_seconds() - ahead_s) <= shortest / 2 + 1e-6


@pytest.mark.parametrize("ahead_s", [-3600.0, -0.6, -0.4, 0.0, 0.4, 0.6, 3600.0])
@pytest.mark.parametrize("delay", [(0.0, 0.0), (0.3, 0.0), (0.0, 0.3)])
def test_a_time_is_never_reached_before_the_venue_has_it(ahead_s, delay):
    """freqtrade#11139: a forming bar counts as closed because the clock is off, slow or fast."""
    clock = ManualClock(NOW)
    network = Network(clock, ahead_s, delay)
    venue_clock = VenueClock(network, clock)
    assert venue_clock.reached() <= network.venue
    assert network.venue - venue_clock.reached() <= timedelta(seconds=sum(delay) + 0.5)


@pytest.mark.parametrize(("ahead_s", "decides"), [(-0.5, "venue"), (0.5, "ours"), (0.51, "venue"), (-0.51, "venue")])
def test_beyond_half_a_second_the_venue_alone_decides(ahead_s, decides):
    clock = ManualClock(NOW)
    network = Network(clock, ahead_s, (0.0, 0.0))
    assert VenueClock(network, clock).reached() == (network.venue if decides == "venue" else clock.now())


def test_a_clock_that_is_set_is_noticed_with_the_next_report():
    clock = ManualClock(NOW)
    network = Network(clock, 0.0, (0.01, 0.01))
    venue_clock = VenueClock(network, clock)
    venue_clock.offset()
    network.ahead_s = 30.0
    clock.sleep(EVERY.total_seconds())
    assert venue_clock.offset().offset.total_seconds() == pytest.approx(30.0, abs=0.011)


def test_the_venue_is_asked_again_only_after_a_while():
    clock = ManualClock(NOW)
    network = Network(clock, 0.2, (0.0, 0.0))
    venue_clock = VenueClock(network, clock)
    for _ in range(9):
        venue_clock.reached()
    assert network.asked == SAMPLES
    clock.sleep(EVERY.total_seconds())
    venue_clock.reached()
    assert network.asked == SAMPLES + 1

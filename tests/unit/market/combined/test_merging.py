"""How long a minute waits for each of two venues, and what becomes of bars that come too late."""

from datetime import UTC, datetime, timedelta

import pytest

from mikrobot.domain.market import Bar
from mikrobot.market.combined.merging import PAST_WAIT, WAIT, Merging, Venue

START = datetime(2025, 1, 8, 12, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
SYMBOLS = ("EURUSD", "BTCUSDT", "USDJPY")
TRADED = {"coins": ("BTCUSDT",), "broker": ("EURUSD", "USDJPY")}


class Floor:
    """Two venues whose minutes are merged."""

    def __init__(self, start=START):
        self.start = start
        self.venues = {name: Venue(name, symbols, start - MINUTE, start) for name, symbols in TRADED.items()}
        for venue in self.venues.values():
            venue.advance(start, start)
        self.merging = Merging(tuple(self.venues.values()), SYMBOLS, start)

    def close(self, number):
        return self.start + number * MINUTE

    def deliver(self, name, number, after=SECOND):
        bars = [Bar(symbol, self.close(number) - MINUTE, 1.0, 1.0, 1.0, 1.0, 0.0) for symbol in TRADED[name]]
        self.venues[name].deliver((self.close(number), bars), self.close(number) + after)

    def next(self, number, after=SECOND):
        """Return the symbols of the minute that goes on at a time after a close, or None."""
        minute = self.merging.next(self.close(number) + after)
        if minute is None:
            return None
        assert {bar.close_time for bar in minute[1]} == {minute[0]}
        return (minute[0] - self.start) // MINUTE, [bar.symbol for bar in minute[1]]

    def away(self):
        return [name for name, venue in self.venues.items() if venue.away_since is not None]

    def late(self):
        bars = self.merging.take_late(4) + self.merging.take_late(100)
        return [(bar.symbol, (bar.close_time - self.start) // MINUTE) for bar in bars]


@pytest.fixture
def floor():
    return Floor()


@pytest.mark.parametrize("order", [("coins", "broker"), ("broker", "coins")])
def test_a_minute_goes_on_when_every_venue_has_it_in_the_order_of_the_symbols(floor, order):
    first, second = order
    floor.deliver(first, 1)
    assert floor.next(1) is None
    floor.deliver(second, 1)
    assert floor.next(1) == (1, list(SYMBOLS))
    assert floor.next(1) is None


def test_a_minute_goes_on_without_a_venue_after_the_stated_wait(floor):
    floor.deliver("coins", 1)
    assert floor.next(1, WAIT - SECOND / 1000) is None
    assert floor.away() == []
    assert floor.next(1, WAIT) == (1, ["BTCUSDT"])
    assert floor.away() == ["broker"]


def test_no_minute_waits_for_a_venue_that_is_away(floor):
    floor.deliver("coins", 1)
    assert floor.next(1, WAIT) == (1, ["BTCUSDT"])
    for number in range(2, 60):
        floor.deliver("coins", number, SECOND / 10)
        assert floor.next(number, SECOND / 10) == (number, ["BTCUSDT"])


def test_a_venue_that_has_caught_up_is_waited_for_again_and_its_missed_bars_are_late(floor):
    for number in range(1, 4):
        floor.deliver("coins", number)
        assert floor.next(number, WAIT) == (number, ["BTCUSDT"])
    for number in range(1, 4):
        floor.deliver("broker", number, after=200 * SECOND)
    floor.deliver("coins", 4)
    assert floor.next(4) is None
    assert floor.away() == []
    assert floor.late() == [(symbol, number) for number in range(1, 4) for symbol in TRADED["broker"]]
    floor.deliver("broker", 4)
    assert floor.next(4) == (4, list(SYMBOLS))
    assert floor.late() == []
    assert floor.venues["broker"].status().late == 6


def test_a_venue_that_is_always_late_delays_the_others_twice_only(floor):
    waited = []
    for number in range(1, 10):
        floor.deliver("coins", number)
        if floor.next(number) is None:
            waited.append(number)
            assert floor.next(number, WAIT) == (number, ["BTCUSDT"])
        floor.deliver("broker", number, WAIT + 2 * SECOND)
    assert waited == [1, 2]


def test_a_venue_that_is_in_time_once_is_trusted_again(floor):
    for number in (1, 2):
        floor.deliver("coins", number)
        assert floor.next(number, WAIT) == (number, ["BTCUSDT"])
        floor.deliver("broker", number, WAIT + SECOND)
    floor.deliver("coins", 3, SECOND / 10)
    assert floor.next(3, SECOND / 10) == (3, ["BTCUSDT"])
    floor.deliver("broker", 3)
    floor.deliver("coins", 4)
    assert floor.next(4) is None
    assert floor.away() == []


def test_a_venue_that_answers_that_it_has_no_bar_is_not_waited_for(floor):
    floor.deliver("coins", 1)
    floor.venues["broker"].advance(floor.close(1), floor.close(1) + 5 * SECOND)
    assert floor.next(1, 5 * SECOND) == (1, ["BTCUSDT"])
    assert floor.away() == []


def test_a_bar_that_its_venue_gave_up_and_has_later_is_late(floor):
    floor.deliver("coins", 1)
    floor.venues["broker"].advance(floor.close(1), floor.close(1) + 5 * SECOND)
    assert floor.next(1, 5 * SECOND) == (1, ["BTCUSDT"])
    floor.deliver("broker", 1, 20 * SECOND)
    assert floor.next(1, 21 * SECOND) is None
    assert floor.late() == [("EURUSD", 1), ("USDJPY", 1)]


def test_a_venue_whose_markets_are_closed_is_not_waited_for():
    floor = Floor(datetime(2025, 1, 11, 12, tzinfo=UTC))  # a Saturday
    floor.deliver("coins", 1)
    assert floor.next(1) == (1, ["BTCUSDT"])
    assert floor.away() == []


def test_minutes_of_the_past_wait_longer_since_there_is_much_to_read(floor):
    for number in (1, 2):
        floor.deliver("coins", number, 60 * MINUTE)
    assert floor.next(61) is None
    assert floor.next(61, SECOND + PAST_WAIT - SECOND / 1000) is None
    floor.deliver("broker", 1, 60 * MINUTE + PAST_WAIT)
    assert floor.next(61, SECOND + PAST_WAIT) == (1, list(SYMBOLS))
    assert floor.next(61, SECOND + PAST_WAIT) is None
    assert floor.next(61, SECOND + 2 * PAST_WAIT) == (2, ["BTCUSDT"])
    assert floor.away() == ["broker"]


def test_the_first_minute_of_a_start_waits_longer_for_a_venue_that_has_not_answered_yet(floor):
    floor.venues["broker"].started = False
    floor.deliver("coins", 1)
    assert floor.next(1) is None
    assert floor.next(1, WAIT) is None
    assert floor.next(1, SECOND + PAST_WAIT) == (1, ["BTCUSDT"])


def test_the_reason_why_a_venue_is_away_is_its_trouble_or_that_it_is_late(floor):
    floor.deliver("coins", 1)
    floor.next(1, WAIT)
    assert floor.venues["broker"].status().reason == "its bars did not come within 6 s of their close"
    floor.venues["broker"].trouble = "the terminal does not answer"
    assert floor.venues["broker"].status().reason == "the terminal does not answer"


def test_a_venue_that_has_ended_is_not_waited_for(floor):
    floor.deliver("coins", 1)
    floor.venues["broker"].ended = True
    assert floor.next(1) == (1, ["BTCUSDT"])
    assert not floor.merging.ended
    floor.venues["coins"].ended = True
    assert floor.merging.ended

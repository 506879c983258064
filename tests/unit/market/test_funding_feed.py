"""Funding is asked for at the hours at which it may be due, and charged once, late if the venue is late."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from mikrobot.domain.errors import FeedError
from mikrobot.domain.funding import FundingRate
from mikrobot.market.binance_funding import rates_of
from mikrobot.market.funding_feed import RecordedFunding, VenueFunding

EIGHT = datetime(2025, 1, 6, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ROW = {"symbol": "BTCUSDT", "fundingTime": 1736150400003, "fundingRate": "-0.00012500", "markPrice": "94000.12345678"}


class Venue:
    """A venue that publishes funding at 08:00, some minutes after it was due."""

    def __init__(self, late=0, silent=0):
        self.asked, self.late, self.silent = [], late * MINUTE, silent * MINUTE
        self.now = EIGHT

    def __call__(self, start, end):
        self.asked.append(end)
        if EIGHT <= self.now < EIGHT + self.silent:
            raise FeedError("the venue is silent")
        rate = FundingRate("BTCUSDT", EIGHT, Decimal("0.0001"))
        return [rate] if start <= EIGHT <= end and self.now >= EIGHT + self.late else []


def charged(venue, since=EIGHT - 30 * MINUTE, minutes=150):
    """Return the open times of the bars before which funding is charged, minute by minute."""
    feed, times = VenueFunding(venue, since), []
    for number in range(minutes):
        venue.now = since + number * MINUTE
        times += [venue.now for _ in feed.charged(venue.now + MINUTE)]
    return times


def test_funding_is_charged_once_before_the_bar_that_opens_at_its_time():
    venue = Venue()
    assert charged(venue) == [EIGHT]
    assert len(venue.asked) == 1 + 3 + 3


@pytest.mark.parametrize("late", [1, 3, 5, 40])
def test_funding_that_the_venue_publishes_late_is_charged_when_it_is_there(late):
    (time,) = charged(Venue(late=late))
    assert time in (EIGHT + MINUTE, EIGHT + 5 * MINUTE, EIGHT + 60 * MINUTE)
    assert time >= EIGHT + late * MINUTE


@pytest.mark.parametrize("silent", [1, 4, 45, 70])
def test_a_venue_that_does_not_answer_is_asked_each_minute_until_it_does(silent):
    assert charged(Venue(silent=silent)) == [EIGHT + silent * MINUTE]


def test_funding_from_before_the_first_bar_is_not_charged():
    assert charged(Venue(), since=EIGHT + MINUTE) == []
    assert charged(Venue(), since=EIGHT) == [EIGHT]


def test_minutes_that_are_missing_do_not_lose_funding():
    venue = Venue()
    feed = VenueFunding(venue, EIGHT - 30 * MINUTE)
    assert feed.charged(EIGHT - 20 * MINUTE) == []
    venue.now = EIGHT + 40 * MINUTE
    assert len(feed.charged(EIGHT + 40 * MINUTE)) == 1
    assert feed.charged(EIGHT + 41 * MINUTE) == []


def test_a_recording_charges_what_the_session_charged():
    rate = FundingRate("BTCUSDT", EIGHT, Decimal("0.0001"))
    other = FundingRate("ETHUSDT", EIGHT, Decimal("0.0002"))
    feed = RecordedFunding({EIGHT: [rate], EIGHT + 2 * MINUTE: [rate, other]}, ["BTCUSDT"], EIGHT)
    assert [feed.charged(EIGHT + number * MINUTE) for number in range(4)] == [[], [], [rate], []]


def test_a_rate_of_binance_has_the_minute_of_its_time_and_its_exact_amounts():
    (rate,) = rates_of([ROW, {**ROW, "symbol": "ETHUSDT"}], ["BTCUSDT"])
    assert rate == FundingRate("BTCUSDT", EIGHT, Decimal("-0.000125"), Decimal("94000.12345678"))
    assert rates_of([{**ROW, "markPrice": ""}], ["BTCUSDT"])[0].mark is None


@pytest.mark.parametrize(
    "answer",
    [
        {"code": -1}, [{**ROW, "fundingRate": "much"}], [{**ROW, "fundingRate": "NaN"}], [{**ROW, "fundingRate": "2"}],
        [{**ROW, "fundingTime": "soon"}], [{**ROW, "fundingTime": -1}], [{**ROW, "markPrice": "-5"}],
        [{"symbol": "BTCUSDT"}],
    ],
)  # fmt: skip
def test_an_answer_that_is_no_funding_is_refused_with_what_was_sent(answer):
    with pytest.raises(FeedError, match="check the network"):
        rates_of(answer, ["BTCUSDT"])

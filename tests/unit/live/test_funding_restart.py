"""A restart of the streamer loses no funding that the venue has not answered for yet, and charges none twice."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from mikrobot.domain.errors import FeedError
from mikrobot.domain.funding import FundingRate
from mikrobot.live.run_funding import FundingRecord
from mikrobot.market.funding_feed import VenueFunding

EIGHT = datetime(2025, 1, 6, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Venue:
    """A venue with funding at each eighth hour, which does not answer before a time."""

    def __init__(self, answers_from: datetime) -> None:
        self.now, self.answers_from = EIGHT, answers_from

    def funding_feed(self, symbols: Any, since: datetime) -> VenueFunding:
        return VenueFunding(self._ask, since)

    def _ask(self, start: datetime, end: datetime) -> list[FundingRate]:
        if self.now < self.answers_from:
            raise FeedError("the venue is silent")
        times = [EIGHT + timedelta(hours=8 * number) for number in range(-6, 6)]
        return [FundingRate("BTCUSDT", at, Decimal("0.0001")) for at in times if start <= at <= end]


class StoredRates:
    """The rates of a run, as the database has them."""

    def __init__(self) -> None:
        self.rows: list[tuple[datetime, FundingRate]] = []

    def add(self, run_id: str, close_time: datetime, rates: list[FundingRate]) -> None:
        self.rows += [(close_time, rate) for rate in rates]

    def between(self, run_id: str, after: datetime, until: datetime) -> dict[datetime, list[FundingRate]]:
        return {
            close: [rate for at, rate in self.rows if at == close] for close, _ in self.rows if after < close <= until
        }


def trade(
    venue: Venue, rates: Any, since: datetime, minutes: int, begin: datetime, joined: dict[str, datetime] | None = None
) -> datetime:
    """Follow a run from a start of its streamer on; return the open time of the next bar."""
    record = FundingRecord("r1", venue, ("BTCUSDT",), rates, None, joined or {})
    record.resume(since, begin)
    for number in range(minutes):
        venue.now = since + number * MINUTE
        for store in record.stores(venue.now + MINUTE):
            store()
    return since + minutes * MINUTE


@pytest.mark.parametrize("silent", [0, 3, 62, 500])
@pytest.mark.parametrize("restarted", [0, 1, 4, 58, 63, 130])
def test_funding_is_charged_once_whenever_the_streamer_starts_again(silent: int, restarted: int) -> None:
    begin = EIGHT - 10 * MINUTE
    venue, rates = Venue(EIGHT + silent * MINUTE), StoredRates()
    after = trade(venue, rates, begin, 10 + restarted, begin)
    trade(venue, rates, after, 700, begin)
    assert [rate.at for _, rate in rates.rows] == [EIGHT, EIGHT + timedelta(hours=8)]
    assert rates.rows[0][0] == EIGHT + (silent + 1) * MINUTE


def test_funding_of_before_a_symbol_was_added_is_not_charged() -> None:
    venue, rates = Venue(EIGHT), StoredRates()
    joined = EIGHT + 30 * MINUTE
    trade(venue, rates, joined, 60, EIGHT - timedelta(days=1), {"BTCUSDT": joined})
    assert rates.rows == []

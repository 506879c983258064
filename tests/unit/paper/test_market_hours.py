"""Prices from outside the trading hours of a contract: nothing trades at them, and the journal notes them once."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from mikrobot.paper.account import Account
from mikrobot.paper.book import Market
from mikrobot.paper.journal import CLOSED
from mikrobot.paper.orders import Status
from tests.unit.paper.venue import DAY, EURUSD, HOUR, MINUTE, MONDAY, NETTING, USDJPY, Venue

FX = replace(EURUSD, session="fx", swap=None)
FRIDAY, SATURDAY, SUNDAY = MONDAY + 4 * DAY + 21 * HOUR, MONDAY + 5 * DAY + 12 * HOUR, MONDAY + 6 * DAY + 21 * HOUR
"""17:00 in New York on Friday and on Sunday, and noon UTC on Saturday."""


def long_with_stop(**rest: bool) -> Venue:
    """Return a venue that was quoted an hour before the weekend, with 100,000 long and a stop at 1.09000."""
    venue = Venue(contracts=(FX, USDJPY), at=FRIDAY - HOUR, **rest).quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "100000")
    venue.send("s", "EURUSD", "sell", "100000", "stop", stop="1.09000", reduce_only=True)
    return venue


def test_a_weekend_quote_does_not_trigger_a_stop_and_the_first_price_of_sunday_fills_it() -> None:
    """(1.08500 - 1.10010) x 100,000 = -1,510.00; 1.08000 was shown on Saturday and a second before the open."""
    venue = long_with_stop()
    venue.at(SATURDAY).quote("EURUSD", "1.08000", "1.08010")
    venue.at(SUNDAY - 1000).quote("EURUSD", "1.08000", "1.08010")
    assert venue.status("s") is Status.WORKING
    assert venue.exchange.markets["EURUSD"].mark_bid == 110_000
    venue.at(SUNDAY).quote("EURUSD", "1.08500", "1.08510")
    assert venue.fills()[-1].price == 108_500
    assert venue.balance() == D("8490.00")


@pytest.mark.parametrize("opened", [True, False])
def test_a_bar_trades_if_it_formed_within_the_trading_hours(opened: bool) -> None:
    """The last minute of Friday closes at 17:00; the minute that closes at 17:00 on Sunday formed before the open."""
    for close, state in (
        (FRIDAY, Status.FILLED),
        (FRIDAY + MINUTE, Status.WORKING),
        (SUNDAY, Status.WORKING),
        (SUNDAY + MINUTE, Status.FILLED),
    ):
        venue = long_with_stop()
        start = close - MINUTE if opened else None
        venue.exchange.bar(close, "EURUSD", 109_500, 109_500, 108_000, 108_500, 0, start)
        assert venue.status("s") is state


def test_a_weekend_price_neither_stops_out_nor_releases_waiting_orders() -> None:
    venue = Venue(contracts=(FX,), at=FRIDAY - HOUR, waits_for_open=True).quote("EURUSD", "1.10000", "1.10000")
    venue.send("a", "EURUSD", "buy", "200000")
    venue.exchange.bar(FRIDAY - MINUTE, "EURUSD", 110_000, 110_000, 110_000, 110_000)
    venue.at(FRIDAY - 1).send("late", "EURUSD", "buy", "1000")
    venue.exchange.bar(SATURDAY, "EURUSD", 106_000, 106_000, 106_000, 106_000)
    assert (venue.account.net("EURUSD"), venue.status("late")) == (200, Status.NEW)
    assert venue.notes() == [CLOSED]
    venue.exchange.bar(SUNDAY + MINUTE, "EURUSD", 109_000, 109_000, 109_000, 109_000)
    assert (venue.account.net("EURUSD"), venue.status("late")) == (201, Status.FILLED)


def test_the_journal_notes_a_closed_market_once_each_weekend_where_something_is_open() -> None:
    venue = long_with_stop()
    idle = venue.exchange.open("idle", NETTING)
    for week in (0, 7 * DAY):
        for hour in range(3):
            venue.at(SATURDAY + week + hour * HOUR).quote("EURUSD", "1.09500", "1.09510")
        rebuilt = Account.rebuilt("a", NETTING, venue.exchange.contracts, venue.account.journal)
        assert rebuilt.closures == venue.account.closures == {"EURUSD": SATURDAY + week + 1}
        venue.at(SUNDAY + week).quote("EURUSD", "1.10000", "1.10010")
    assert venue.notes() == [CLOSED, CLOSED]
    assert idle.journal == []


def test_remembered_trading_hours_equal_those_of_the_calendar() -> None:
    """Five weeks around the change to daylight saving time in New York; some instants are out of order."""
    market = Market(FX)
    times = range(MONDAY - 14 * DAY, MONDAY + 21 * DAY, 10 * MINUTE)
    for ts in times:
        for asked in (ts - 1, ts, ts - 3 * HOUR):
            assert market.trades_at(asked) == FX.is_open(asked), asked

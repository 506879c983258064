"""Bars made from trades: exact where every trade is there, and none where one may be missing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from mikrobot.market.binance_messages import AggregateTrade
from mikrobot.market.streams.trade_bars import TradeBars
from mikrobot.market.streams.trade_check import Disagreement, TradeCheck, TradeCounts

START = datetime(2025, 1, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def trade(number, second, price, size="1", *, trades=1, first=None, sold=False):
    """Return the trade with a number, so many seconds after `START`; it stands for `trades` trades."""
    first = 10 * number if first is None else first
    time = round(START.timestamp() * 1000) + round(second * 1000)
    return AggregateTrade("BTCUSDT", number, first, first + trades - 1, time, price, Decimal(size), sold)


def minutes(*trades):
    bars = TradeBars()
    return [bar for one in trades if (bar := bars.put(one)) is not None]


BEFORE = trade(1, -1, 99.0, trades=10)
MINUTE_OF_THREE = (
    trade(2, 1, 100.0, "0.1", trades=10),
    trade(3, 20, 103.0, "0.2", trades=10, sold=True),
    trade(4, 59.999, 98.0, "0.3", trades=10),
)
AFTER = trade(5, 60, 105.0, trades=10)


def test_a_minute_with_all_of_its_trades_is_a_bar_to_the_last_digit():
    (built,) = minutes(BEFORE, *MINUTE_OF_THREE, AFTER)
    bar = built.bar
    assert (bar.open_time, bar.open, bar.high, bar.low, bar.close) == (START, 100.0, 103.0, 98.0, 98.0)
    assert (bar.volume, bar.taker_volume, bar.trades) == (0.6, 0.4, 30.0)
    assert 0.1 + 0.2 + 0.3 != 0.6  # as floats
    assert built.omitted == 0


def test_the_minute_in_which_the_stream_began_is_unknown():
    assert minutes(*MINUTE_OF_THREE, AFTER) == []


def test_a_minute_without_a_later_trade_may_have_more_and_is_unknown():
    assert minutes(BEFORE, *MINUTE_OF_THREE) == []


@pytest.mark.parametrize("lost", range(3))
def test_a_missing_trade_makes_its_minute_unknown(lost):
    rest = [one for place, one in enumerate(MINUTE_OF_THREE) if place != lost]
    assert minutes(BEFORE, *rest, AFTER) == []


def test_a_trade_that_is_missing_between_two_minutes_makes_both_unknown():
    later = trade(6, 121, 1.0, trades=10)
    assert minutes(BEFORE, *MINUTE_OF_THREE, trade(6, 61, 1.0), trade(7, 121, 1.0)) == []
    assert len(minutes(BEFORE, *MINUTE_OF_THREE, AFTER, later)) == 2


def test_a_trade_that_two_sockets_send_counts_once():
    twice = [one for one in (BEFORE, *MINUTE_OF_THREE, AFTER) for _ in range(2)]
    assert minutes(*twice) == minutes(BEFORE, *MINUTE_OF_THREE, AFTER)


def test_trades_that_the_venue_does_not_send_are_counted_and_no_gap():
    """On USD-M those of the insurance fund and of auto-deleveraging are omitted."""
    skipped = trade(3, 20, 103.0, "0.2", first=34, trades=6)
    (built,) = minutes(BEFORE, MINUTE_OF_THREE[0], skipped, MINUTE_OF_THREE[2], AFTER)
    assert (built.omitted, built.bar.trades) == (4, 26.0)


def test_stamps_in_microseconds_are_read():
    in_microseconds = [replace_time(one, one.time * 1000) for one in (BEFORE, *MINUTE_OF_THREE, AFTER)]
    assert minutes(*in_microseconds) == minutes(BEFORE, *MINUTE_OF_THREE, AFTER)


def replace_time(one, time):
    return AggregateTrade(one.symbol, one.id, one.first_id, one.last_id, time, one.price, one.size, one.sold)


# The comparison with the venue's bars


def checked(bar, *trades, bar_first=False):
    check = TradeCheck()
    if bar_first:
        check.put_bar(bar)
    for one in trades:
        check.put_trade(one)
    if not bar_first:
        check.put_bar(bar)
    return check


TRUE = minutes(BEFORE, *MINUTE_OF_THREE, AFTER)[0].bar


@pytest.mark.parametrize("bar_first", [True, False])
def test_a_bar_that_its_trades_make_up_agrees(bar_first):
    check = checked(TRUE, BEFORE, *MINUTE_OF_THREE, AFTER, bar_first=bar_first)
    assert check.counts() == TradeCounts(bars=1, compared=1)
    assert check.take_differing() == []


@pytest.mark.parametrize("bar_first", [True, False])
@pytest.mark.parametrize("name", ["open", "high", "low", "close", "volume", "trades", "taker_volume"])
def test_another_value_is_reported_once_by_its_name(name, bar_first):
    bar = replace(TRUE, **{name: getattr(TRUE, name) + 0.1})
    check = checked(bar, BEFORE, *MINUTE_OF_THREE, AFTER, bar_first=bar_first)
    check.put_bar(bar)
    assert check.take_differing() == [Disagreement(bar, TRUE, (name,))]
    assert check.take_differing() == []
    assert check.counts() == TradeCounts(bars=1, compared=1, differing=1)


def test_a_bar_without_all_of_its_trades_is_not_compared():
    check = checked(replace(TRUE, close=1.0), BEFORE, *MINUTE_OF_THREE[1:], AFTER)
    assert check.counts() == TradeCounts(bars=1)


def test_trades_that_the_venue_does_not_send_may_be_in_its_bar_only():
    skipped = trade(3, 20, 103.0, "0.2", first=34, trades=6, sold=True)
    sent = (BEFORE, MINUTE_OF_THREE[0], skipped, MINUTE_OF_THREE[2], AFTER)
    more = replace(TRUE, high=104.0, volume=0.9, trades=30.0)
    assert checked(more, *sent).take_differing() == []
    (differing,) = checked(replace(more, high=102.0, trades=25.0), *sent).take_differing()
    assert differing.fields == ("high", "trades")


def test_only_a_complete_minute_is_handed_out_and_is_remembered():
    check = checked(TRUE, BEFORE, *MINUTE_OF_THREE)
    assert check.built("BTCUSDT", START) is None
    check.put_trade(AFTER)
    assert check.built("BTCUSDT", START) == TRUE
    assert check.built("BTCUSDT", START + MINUTE) is None
    assert (check.take_used(), check.take_used()) == ([TRUE], [])


def test_a_minute_with_trades_that_were_not_sent_is_not_handed_out():
    skipped = trade(3, 20, 103.0, "0.2", first=34, trades=6)
    assert checked(TRUE, BEFORE, MINUTE_OF_THREE[0], skipped, MINUTE_OF_THREE[2], AFTER).built("BTCUSDT", START) is None

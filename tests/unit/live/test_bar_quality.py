"""What the streamer adds to the score of a bar: how it arrived, what contradicts it, and the state of its book."""

from datetime import UTC, datetime, timedelta

import pytest

from mikrobot.domain.market import Bar
from mikrobot.live.bar_quality import BarQuality

START = datetime(2025, 1, 7, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def bar(number: int, close: float = 100.0) -> Bar:
    wiggle = 0.05 * (number % 3)
    return Bar(
        "BTCUSDT", START + number * MINUTE, close, close + 0.2 + wiggle, close - 0.2, close + wiggle, 10.0 + number
    )


def followed(rate: float = 1.0) -> BarQuality:
    quality = BarQuality("binance")
    quality.follow(START, compares=True, rate=rate)
    for number in range(30):
        quality.score(bar(number), bar(number).close_time)
    return quality


@pytest.mark.parametrize(
    ("state", "tradable"), [("live", True), ("syncing", True), ("suspect", False), ("lost", False)]
)
def test_the_state_of_the_order_book_is_a_part(state, tradable):
    scored = followed().score(bar(30), bar(30).close_time, book=state)
    assert "book" in scored.parts
    assert (scored.score >= 0.95) is tradable


def test_without_an_order_book_there_is_no_such_part():
    assert "book" not in followed().score(bar(30), bar(30).close_time).parts


def test_trades_that_contradict_the_prices_of_a_bar_lower_the_next_score():
    quality = followed()
    quality.note_revised(bar(29, close=101.0))
    assert quality.score(bar(30), bar(30).close_time).parts["sources"] == 0.0
    assert quality.score(bar(31), bar(31).close_time).parts["sources"] == 1.0


def test_a_longer_bar_that_its_minutes_contradict_lowers_the_next_score_only():
    quality = followed()
    quality.note_longer("BTCUSDT", ("high",))
    quality.note_longer("BTCUSDT", ())
    assert quality.score(bar(30), bar(30).close_time).parts["aggregates"] == 0.0
    assert "aggregates" not in quality.score(bar(31), bar(31).close_time).parts
    quality.note_longer("BTCUSDT", ())
    assert quality.score(bar(32), bar(32).close_time).parts["aggregates"] == 1.0


@pytest.mark.parametrize(("rate", "lateness"), [(1.0, 0.0), (60.0, 1.0)])
def test_a_bar_is_late_by_real_time_on_a_market_that_runs_faster(rate, lateness):
    scored = followed(rate).score(bar(30), bar(30).close_time + timedelta(seconds=90))
    assert scored.parts["lateness"] == lateness

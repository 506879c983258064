"""The queue of one live order book, its books at closes, and when it asks for a snapshot."""

from datetime import UTC, datetime, timedelta

import pytest

from mikrobot.domain.market_events import BookSnapshot, BookUpdate, Tick
from mikrobot.market.streams.live_book import (
    CLOSING_LEVELS,
    FIRST_WAIT,
    KEPT_CLOSES,
    LONGEST_WAIT,
    MOST_MERGED,
    MOST_WAITING,
    SUSPECT_FOR,
    LiveBook,
    merge,
)

CLOSE = datetime(2025, 1, 10, 12, tzinfo=UTC)
CLOSE_MS = int(CLOSE.timestamp() * 1000)
MINUTE = timedelta(minutes=1)
SNAPSHOT = BookSnapshot(10, [(99.0, 3.0), (98.0, 2.0)], [(101.0, 1.0), (102.0, 2.0)])


def change(first, last=None, *, bids=(), asks=(), at=CLOSE_MS - 1000, previous=None):
    return BookUpdate("BTCUSDT", at, first, last or first, list(bids), list(asks), previous)


@pytest.fixture
def book():
    """A live book, of which the next change is 12."""
    live = LiveBook("BTCUSDT", chained=False)
    live.put(change(11))
    live.take(SNAPSHOT, asked_for=1000)
    live.apply()
    return live


def best_bid(book, at=CLOSE + 10 * MINUTE):
    return book.at_close(at).bids[0]


def test_changes_wait_until_they_are_applied(book):
    book.put(change(12, bids=[(99.0, 5.0)]))
    assert book.status().changes == 1
    book.apply()
    assert book.status().changes == 2
    assert best_bid(book) == (99.0, 5.0)


def test_too_many_changes_are_merged_and_counted_and_give_the_same_book(book):
    for number in range(650):
        book.put(change(12 + number, bids=[(99.0, 1.0 + number), (98.0 - number % 3, number % 2)]))
    assert book.coalesced == 650 - MOST_WAITING
    book.apply()
    one_by_one = LiveBook("BTCUSDT", chained=False)
    one_by_one.put(change(11))
    one_by_one.take(SNAPSHOT, asked_for=1000)
    for number in range(650):
        one_by_one.put(change(12 + number, bids=[(99.0, 1.0 + number), (98.0 - number % 3, number % 2)]))
        one_by_one.apply()
    assert book.at_close(CLOSE).bids == one_by_one.at_close(CLOSE).bids
    assert (book.status().state, book.status().gaps) == ("live", 0)


def test_a_gap_among_waiting_changes_is_noticed(book):
    for number in range(MOST_WAITING + 5):
        book.put(change(12 + number))
    book.put(change(12 + MOST_WAITING + 6))
    book.apply()
    assert (book.status().state, book.status().gaps) == ("lost", 1)


def test_changes_of_futures_are_merged_by_the_id_before():
    one = change(5, 8, previous=4, bids=[(9.0, 1.0)])
    merged = merge(one, change(20, 30, previous=8, asks=[(10.0, 2.0)]))
    assert merged == change(5, 30, previous=4, bids=[(9.0, 1.0)], asks=[(10.0, 2.0)])
    assert merge(one, change(9, 30, previous=9)) is None
    assert merge(one, change(5, 8, previous=4)) is one


def test_a_merged_change_is_bounded(book):
    for number in range(200):
        book.put(change(12 + number, asks=[(200.0 + 100 * number + step, 1.0) for step in range(100)]))
    assert book.status().changes > 1
    assert book.coalesced < 200 - MOST_WAITING
    assert MOST_MERGED < 100 * 200


def test_the_book_at_a_close_has_every_change_up_to_it_and_none_after(book):
    book.put(change(12, bids=[(99.0, 5.0)], at=CLOSE_MS))
    book.put(change(13, bids=[(99.0, 6.0)], at=CLOSE_MS + 1))
    assert best_bid(book, CLOSE) == (99.0, 5.0)
    assert best_bid(book, CLOSE + MINUTE) == (99.0, 6.0)


def test_changes_of_two_minutes_are_not_merged(book):
    for number in range(3 * MOST_WAITING):
        book.put(change(12 + number, bids=[(99.0, 1.0 + number)], at=CLOSE_MS - MOST_WAITING - 10 + number))
    assert best_bid(book, CLOSE) == (99.0, 1.0 + MOST_WAITING + 10)


def test_a_book_that_has_gone_on_is_not_that_of_an_earlier_close():
    live = LiveBook("BTCUSDT", chained=False)
    live.put(change(11, at=CLOSE_MS + 1))
    assert live.at_close(CLOSE) is None


def test_only_the_last_closes_are_kept(book):
    for number in range(KEPT_CLOSES + 3):
        book.put(change(12 + number, at=CLOSE_MS + 60_000 * number + 1))
    assert book.at_close(CLOSE) is None
    assert book.at_close(CLOSE + (KEPT_CLOSES + 2) * MINUTE).state == "live"


def test_the_same_close_has_the_same_book_however_often_it_is_asked_for(book):
    first = book.at_close(CLOSE)
    book.put(change(12, bids=[(99.0, 5.0)], at=CLOSE_MS - 10))
    assert book.at_close(CLOSE) is first


def test_a_book_that_is_not_live_has_its_state_and_reason_and_no_levels(book):
    book.lose("the connection was lost")
    closing = book.at_close(CLOSE)
    assert (closing.state, closing.reason) == ("lost", "the connection was lost")
    assert (closing.bids, closing.asks) == ((), ())
    assert all(value != value for value in closing.values)


def test_a_book_whose_best_price_has_left_the_range_is_not_shown():
    live = LiveBook("BTCUSDT", chained=False)
    live.put(change(11))
    live.take(SNAPSHOT, asked_for=2)
    live.put(change(12, bids=[(99.0, 0.0), (98.0, 0.0), (90.0, 1.0)]))
    closing = live.at_close(CLOSE)
    assert (closing.state, closing.bids) == ("suspect", ())
    assert closing.reason == "the best price is outside the range of the snapshot"


def test_a_side_with_fewer_levels_than_asked_for_is_whole():
    live = LiveBook("BTCUSDT", chained=False)
    live.put(change(11))
    live.take(SNAPSHOT, asked_for=3)
    live.put(change(12, bids=[(90.0, 1.0)]))
    assert [price for price, _ in live.at_close(CLOSE).bids] == [99.0, 98.0, 90.0]
    assert not live.due(CLOSE)


def test_a_close_keeps_the_best_levels_only(book):
    book.put(change(12, bids=[(50.0 - number, 1.0) for number in range(30)]))
    assert len(book.at_close(CLOSE).bids) == CLOSING_LEVELS


def test_a_snapshot_is_due_only_once_changes_arrive():
    live = LiveBook("BTCUSDT", chained=False)
    assert not live.due(CLOSE)
    live.put(change(11))
    assert live.due(CLOSE)
    live.lose("the connection was lost")
    assert not live.due(CLOSE)


def test_a_snapshot_of_before_the_loss_of_the_connection_is_left_out():
    live = LiveBook("BTCUSDT", chained=False)
    live.put(change(11))
    live.asked(CLOSE)
    live.lose("the connection was lost")
    live.take(SNAPSHOT, asked_for=1000)
    assert (live.status().state, live.snapshots) == ("lost", 0)


def test_the_waits_between_snapshots_double_until_a_book_was_good_for_long(book):
    now, waits = CLOSE, []
    for _ in range(8):
        book.lose("the best bid is not below the best ask")
        book.put(change(11))
        asked = now
        while not book.due(now):
            now += FIRST_WAIT / 2
        waits.append((now - asked).total_seconds())
        book.asked(now)
    assert waits == [0, 1, 2, 4, 8, 16, 32, 60]
    book.take(SNAPSHOT, asked_for=1000)
    for _ in range(2):
        book.watch(now, "")
        now += LONGEST_WAIT
    book.lose("changes are missing")
    book.put(change(11))
    book.asked(now)
    assert book.due(now + 2 * FIRST_WAIT)


def test_a_suspect_book_is_given_up_after_a_time(book):
    for number in range(3):
        book.put(change(12 + number))
        book.apply()
        book.tick(Tick("BTCUSDT", 12 + number, 98.0, 1.0, 101.0, 1.0))
    book.put(change(15))
    book.apply()
    book.tick(Tick("BTCUSDT", 16, 98.0, 1.0, 101.0, 1.0))
    assert book.status().state == "suspect"
    book.watch(CLOSE, "")
    book.watch(CLOSE + SUSPECT_FOR / 2, "")
    assert book.status().state == "suspect"
    book.watch(CLOSE + SUSPECT_FOR, "")
    assert book.status().state == "lost"
    assert book.status().reason.startswith("suspect for 5 s: ")


def test_a_silent_stream_makes_a_live_book_suspect_and_explains_one_that_is_not(book):
    book.watch(CLOSE, "btcusdt@depth@100ms: nothing for 6 s since the last message")
    assert book.status().state == "suspect"
    waiting = LiveBook("ETHUSDT", chained=True)
    waiting.watch(CLOSE, "ethusdt@depth@100ms: nothing for 6 s since it was acknowledged")
    assert waiting.status().state == "syncing"
    assert waiting.status().reason.endswith("acknowledged")

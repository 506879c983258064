"""The order book: the rules of Binance for spot and USD-M futures, and when a book is not to be trusted."""

import math
from random import Random

import pytest

from mikrobot.domain.errors import BookNotLive
from mikrobot.domain.market_events import BookSnapshot, BookUpdate, Tick
from mikrobot.market import order_book
from mikrobot.market.order_book import OrderBook

BIDS = [(100.0, 1.0), (99.0, 2.0), (98.0, 3.0)]
ASKS = [(101.0, 4.0), (102.0, 5.0), (103.0, 6.0)]


def change(first, last, bids=(), asks=(), previous=None):
    return BookUpdate("BTCUSDT", 0, first, last, list(bids), list(asks), previous)


def snapshot(last_id=10, bids=BIDS, asks=ASKS):
    return BookSnapshot(last_id, bids, asks)


def spot(*changes, at=10):
    """Return a spot book with a snapshot and some changes after it."""
    book = OrderBook("BTCUSDT", chained=False)
    book.snapshot(snapshot(at))
    for update in changes:
        book.change(update)
    return book


def futures(*changes, at=10):
    book = OrderBook("BTCUSDT", chained=True)
    book.snapshot(snapshot(at))
    for update in changes:
        book.change(update)
    return book


def best(book):
    (bid,), (ask,) = book.levels(1)
    return bid, ask


# Joining snapshot and changes


def test_a_book_without_a_snapshot_cannot_be_read():
    book = OrderBook("BTCUSDT", chained=False)
    book.change(change(1, 2, [(100.0, 1.0)]))
    assert book.sample() is None
    with pytest.raises(BookNotLive, match="the order book of BTCUSDT is syncing: no snapshot yet"):
        book.levels(1)


def test_changes_that_the_snapshot_includes_are_dropped_and_those_after_it_applied():
    book = OrderBook("BTCUSDT", chained=False)
    book.change(change(1, 9, [(100.0, 77.0)]))
    book.change(change(10, 12, [(100.0, 7.0)]))
    book.snapshot(snapshot(10))
    assert (book.state, book.events, book.applied) == ("live", 2, 1)
    assert best(book) == ((100.0, 7.0), (101.0, 4.0))


def test_a_snapshot_older_than_the_first_kept_change_is_left_out():
    book = OrderBook("BTCUSDT", chained=False)
    book.change(change(15, 16, [(100.0, 7.0)]))
    book.snapshot(snapshot(10))
    assert book.state == "syncing"
    assert book.reason == "the snapshot 10 is older than the first kept change 15"
    assert book.needs_snapshot
    book.snapshot(snapshot(14))
    assert (book.state, book.applied) == ("live", 1)


@pytest.mark.parametrize("first", [9, 11])
def test_the_first_spot_change_after_a_snapshot_may_overlap_it_or_follow_it(first):
    assert spot(change(first, 12)).applied == 1


def test_a_first_spot_change_that_leaves_a_hole_after_the_snapshot_is_a_gap():
    book = spot(change(12, 13))
    assert (book.state, book.gaps, book.applied) == ("lost", 1, 0)


@pytest.mark.parametrize(("previous", "last"), [(10, 14), (8, 10), (9, 12)])
def test_a_futures_change_joins_where_it_spans_the_snapshot(previous, last):
    book = futures(change(previous + 1, last, previous=previous))
    assert (book.state, book.applied) == ("live", 1)


def test_a_futures_change_that_ends_before_the_snapshot_is_dropped():
    book = futures(change(5, 9, [(100.0, 9.0)], previous=4))
    assert (book.state, book.applied, best(book)[0]) == ("live", 0, (100.0, 1.0))


def test_a_futures_change_that_begins_after_the_snapshot_is_a_gap():
    assert futures(change(12, 14, previous=11)).state == "lost"


# Continuity of every change


def test_a_missing_spot_change_loses_the_book_however_late_it_is_missing():
    book = spot(change(11, 12), change(13, 13), change(15, 16, [(100.0, 9.0)]))
    assert (book.state, book.gaps, book.applied) == ("lost", 1, 2)
    assert book.reason == "changes are missing between 13 and 15"
    with pytest.raises(BookNotLive):
        book.levels(1)


def test_a_repeated_spot_change_is_applied_once():
    book = spot(change(11, 12, [(100.0, 2.0)]), change(13, 13, [(100.0, 3.0)]), change(11, 12, [(100.0, 2.0)]))
    assert (book.state, book.applied, best(book)[0]) == ("live", 2, (100.0, 3.0))


def test_ids_of_futures_may_have_holes_as_long_as_each_change_names_the_one_before():
    book = futures(change(9, 12, previous=8), change(40, 44, previous=12))
    assert (book.state, book.applied) == ("live", 2)


@pytest.mark.parametrize("previous", [11, 13, None])
def test_a_futures_change_that_names_another_one_before_loses_the_book(previous):
    book = futures(change(9, 12, previous=8), change(13, 14, previous=previous))
    assert (book.state, book.gaps) == ("lost", 1)


def test_a_repeated_futures_change_is_applied_once():
    repeated = change(9, 12, [(100.0, 2.0)], previous=8)
    book = futures(repeated, change(13, 14, [(100.0, 3.0)], previous=12), repeated)
    assert (book.state, book.applied, best(book)[0]) == ("live", 2, (100.0, 3.0))


def test_a_lost_book_is_live_again_with_a_snapshot_and_the_changes_kept_since():
    book = spot(change(13, 13, [(100.0, 9.0)]))
    book.change(change(14, 15, [(100.5, 1.5)]))
    book.snapshot(snapshot(12))
    assert (book.state, book.applied) == ("live", 2)
    assert best(book)[0] == (100.5, 1.5)


def test_changes_after_a_hole_among_the_kept_ones_are_kept_for_the_next_snapshot():
    book = OrderBook("BTCUSDT", chained=False)
    for update in (change(11, 11), change(14, 14), change(15, 15, [(100.5, 1.5)])):
        book.change(update)
    book.snapshot(snapshot(10))
    assert (book.state, book.gaps) == ("lost", 1)
    book.snapshot(snapshot(13))
    assert (book.state, best(book)[0]) == ("live", (100.5, 1.5))


# Levels


def test_a_size_of_zero_removes_a_level_and_the_next_one_is_the_best():
    book = spot(change(11, 11, [(100.0, 0.0)], [(101.0, 0.0), (102.0, 0.0)]))
    assert best(book) == ((99.0, 2.0), (103.0, 6.0))


def test_the_removal_of_a_level_that_is_not_there_changes_nothing():
    assert best(spot(change(11, 11, [(97.5, 0.0)]))) == ((100.0, 1.0), (101.0, 4.0))


def test_a_level_that_returns_has_its_new_size():
    book = spot(change(11, 11, [(100.0, 0.0)]), change(12, 12, [(100.0, 8.0)]))
    assert book.levels(2)[0] == [(100.0, 8.0), (99.0, 2.0)]


def test_a_book_whose_best_bid_is_not_below_its_best_ask_is_lost():
    book = spot(change(11, 11, [(101.0, 1.0)]))
    assert (book.state, book.crossed) == ("lost", 1)
    assert book.reason == "the best bid 101 is not below the best ask 101"


def test_levels_outside_the_range_of_the_snapshot_are_not_shown():
    book = spot(change(11, 11, [(100.0, 0.0), (99.0, 0.0), (50.0, 1.0)], [(500.0, 1.0)]))
    assert book.trusted_range == (98.0, 103.0)
    assert book.levels(10) == ([(98.0, 3.0)], ASKS)


def test_a_new_snapshot_is_due_before_the_best_price_reaches_the_edge():
    book = spot(change(11, 11, [(100.0, 0.0)]))
    assert not book.needs_snapshot
    book.change(change(12, 12, [(99.0, 0.0)]))
    assert book.needs_snapshot
    assert book.state == "live"


def test_a_live_book_goes_on_while_a_new_snapshot_is_fetched():
    book = spot(change(11, 11, [(100.0, 0.0)]))
    book.await_snapshot()
    book.change(change(12, 14, [(99.5, 1.0)]))
    assert best(book)[0] == (99.5, 1.0)
    book.snapshot(snapshot(12, bids=[(99.0, 2.0), (90.0, 1.0)]))
    assert (book.state, best(book)[0], book.trusted_range[0]) == ("live", (99.5, 1.0), 90.0)


def test_a_side_without_a_trusted_level_gives_no_sample():
    assert spot(change(11, 11, [(price, 0.0) for price, _ in BIDS])).sample() is None


def test_the_number_of_levels_is_bounded(monkeypatch):
    monkeypatch.setattr(order_book, "MOST_LEVELS", 100)
    monkeypatch.setattr(order_book, "LEAST_LEVELS", 120)
    book = spot()
    for number in range(11, 2_000):
        book.change(change(number, number, [(50.0 + number / 100, 1.0)], [(200.0 + number, 1.0)]))
    assert (book.state, best(book)[0]) == ("live", (100.0, 1.0))
    bids, asks = book.levels(5_000)
    assert len(bids) <= 120
    assert len(asks) <= 120
    assert bids == sorted(bids, reverse=True)


def test_the_best_levels_equal_those_of_a_plain_dictionary_whatever_changes():
    rng, book = Random(5), spot()
    plain = {"bids": dict(BIDS), "asks": dict(ASKS)}
    for number in range(11, 3_000):
        middle = 100.5 + rng.randint(-1, 1) / 4
        changes = {
            "bids": [(middle - rng.randint(1, 40) / 4, float(rng.choice((0, 0, 1, 2)))) for _ in range(4)],
            "asks": [(middle + rng.randint(1, 40) / 4, float(rng.choice((0, 0, 1, 2)))) for _ in range(4)],
        }
        changes["bids"] += [(price, 0.0) for price in plain["bids"] if price >= middle]
        changes["asks"] += [(price, 0.0) for price in plain["asks"] if price <= middle]
        book.change(change(number, number, **changes))
        for side, levels in changes.items():
            plain[side] |= dict(levels)
            plain[side] = {price: size for price, size in plain[side].items() if size}
        bids, asks = book.levels(5)
        trusted = book.trusted_range
        assert bids == sorted((level for level in plain["bids"].items() if level[0] >= trusted[0]), reverse=True)[:5]
        assert asks == sorted(level for level in plain["asks"].items() if level[0] <= trusted[1])[:5]


# Samples


def test_a_sample_holds_depth_imbalance_and_micro_price():
    sample = spot().sample()
    assert (sample.bid, sample.ask, sample.spread) == (100.0, 101.0, 1.0)
    assert sample.depth_bid[0] == 1.0
    assert all(map(math.isnan, sample.depth_bid[1:]))
    assert sample.imbalance == pytest.approx((1 - 4) / 5)
    assert sample.micro_price == pytest.approx((100 * 4 + 101 * 1) / 5)


def test_depths_sum_up_the_best_levels():
    levels = [(100.0 - place, 1.0) for place in range(12)]
    book = OrderBook("BTCUSDT", chained=False)
    book.snapshot(BookSnapshot(10, levels, ASKS))
    assert book.sample().depth_bid == (1.0, 5.0, 10.0)


# Comparison with the ticker


def tick(update_id, bid=(100.0, 1.0), ask=(101.0, 4.0)):
    return Tick("BTCUSDT", update_id, *bid, *ask)


def test_a_change_is_compared_with_the_last_tick_that_is_not_after_it():
    book = spot()
    book.tick(tick(11, (100.0, 2.0)))
    book.tick(tick(13, (100.0, 9.0)))
    book.change(change(11, 12, [(100.0, 2.0)]))
    assert (book.ticker_compared, book.ticker_equal) == (1, 1)


def test_a_change_waits_for_a_tick_that_has_passed_it():
    book = spot()
    book.tick(tick(11, (100.0, 2.0)))
    book.change(change(11, 12, [(100.0, 3.0)]))
    assert book.ticker_compared == 0
    book.tick(tick(12, (100.0, 3.0)))
    book.tick(tick(13))
    assert (book.ticker_compared, book.ticker_equal) == (1, 1)


def test_ticks_that_differ_in_a_row_make_a_book_suspect_and_an_equal_one_live_again():
    book = spot()
    for number in range(11, 15):
        book.tick(tick(number, (100.0, 7.0)))
        book.change(change(number, number, [(99.0, float(number))]))
    assert (book.state, book.reason) == ("suspect", "the last 3 ticks differ from it")
    assert book.sample() is None
    book.tick(tick(15))
    book.change(change(15, 15, [(99.0, 1.0)]))
    book.tick(tick(16))
    assert (book.state, book.reason) == ("live", "")


def test_its_owner_can_suspect_and_lose_it():
    book = spot()
    book.suspect("no change for 3 s")
    assert (book.state, book.reason) == ("suspect", "no change for 3 s")
    book.lose("the connection was lost")
    assert (book.state, book.needs_snapshot) == ("lost", True)
    book.suspect("no change for 3 s")
    assert book.state == "lost"

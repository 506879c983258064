"""The messages of the busy venue fit together, so that the streamer has the work that real ones make, and no other."""

from collections import Counter

import orjson

from benchmarks.busy_venue import (
    DEPTHS,
    LEVELS,
    MINUTE_MS,
    NAME,
    STATES,
    TICKS,
    TRADES,
    Book,
    kline_message,
    names,
    per_second,
    trade,
)
from mikrobot.domain.market import Bar
from mikrobot.market.binance_messages import aggregate_of, closed_bar_of, snapshot_of, tick_of, update_of
from mikrobot.market.order_book import OrderBook
from mikrobot.market.streams.trade_bars import TradeBars

MINUTE = 29_000_003


def test_a_second_has_the_messages_of_the_recordings_in_the_order_of_time() -> None:
    dues = per_second(3)
    assert [due.at_s for due in dues] == sorted(due.at_s for due in dues)
    assert all(0 <= due.at_s < 1 for due in dues)
    counts = Counter((due.kind, due.symbol) for due in dues)
    expected = {"bookTicker": TICKS, "aggTrade": TRADES, "depth@100ms": DEPTHS}
    assert counts == {(kind, symbol): count for kind, count in expected.items() for symbol in range(3)}


def test_the_changes_make_a_book_that_stays_live_and_agrees_with_every_tick() -> None:
    book, moving = OrderBook(NAME, chained=False), Book()
    book.snapshot(snapshot_of(orjson.dumps(moving.snapshot(7))))
    levels = []
    for number in range(8, 8 + 2 * STATES):
        update = update_of(orjson.dumps(moving.change(number, 1_735_689_600_000)))
        book.tick(tick_of(orjson.dumps(moving.ticker(update.first_id, number))))
        book.change(update)
        levels.append(len(update.bids) + len(update.asks))
    book.end_of_ticks()
    assert (book.state, book.gaps, book.crossed) == ("live", 0, 0)
    assert book.ticker_equal == book.ticker_compared == 2 * STATES
    assert LEVELS - 12 <= sum(levels) / len(levels) <= LEVELS


def test_the_trades_of_a_minute_make_up_its_kline() -> None:
    built = TradeBars()
    first = MINUTE * 60 * TRADES
    finished = [
        bar
        for number in range(first - 1, first + 60 * TRADES + 1)
        if (bar := built.put(aggregate_of(orjson.dumps(trade(number))))) is not None
    ]
    kline = closed_bar_of(orjson.dumps(kline_message(MINUTE, (MINUTE + 1) * MINUTE_MS, closed=True)))
    assert isinstance(kline, Bar)
    assert [(one.bar, one.omitted) for one in finished] == [(kline, 0)]


def test_symbols_have_names_of_one_length() -> None:
    assert {len(name) for name in names(100)} == {len("C000USDT")}

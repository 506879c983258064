"""The members of a combined source side by side: one does not hold up, spoil or hide the other."""

from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
import stamina

from mikrobot.domain.errors import BarError, FeedError
from mikrobot.domain.market import Bar, Timeframe
from mikrobot.live.steady_clock import SteadyClock
from mikrobot.market.combined import member
from mikrobot.market.combined.books import CombinedBooks
from mikrobot.market.combined.feed import CombinedFeed
from mikrobot.market.combined.funding import CombinedFunding
from mikrobot.market.combined.source import CombinedSource
from mikrobot.market.combined.streams import CombinedStream
from mikrobot.market.feed import closes
from mikrobot.market.simulated import SimulatedSource
from mikrobot.market.streams.trade_check import Disagreement, TradeCheck
from mikrobot.market.venue_clock import ClockOffset
from mikrobot.runtime import ManualClock, uptime_s

NOW = datetime(2025, 1, 8, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NAME = "simulated+mt5-local"
ROUTES = {"EURUSD": "mt5-local", "BTCUSDT": "simulated"}


def two(clock, pairs=SimulatedSource):
    """Return two members, of which a test gives the class of the second."""
    members = {"simulated": SimulatedSource(["BTCUSDT"], 7, clock), "mt5-local": pairs(["EURUSD"], 7, clock)}
    return CombinedSource(NAME, members, ROUTES)


def bar(symbol, minute=0):
    return Bar(symbol, NOW.replace(second=0) + minute * MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0)


def test_history_is_merged_as_that_of_one_source_with_all_symbols():
    clock, span = ManualClock(NOW), (NOW - timedelta(days=6), NOW - timedelta(hours=3))
    together = SimulatedSource(list(ROUTES), 7, clock)
    merged = list(CombinedFeed(two(clock), list(ROUTES), *span, clock=clock))
    assert len(merged) > 8_000
    assert repr(merged) == repr(list(closes(together, list(ROUTES), *span, clock=clock)))


def test_an_answer_of_a_followed_member_is_not_waited_for_long(monkeypatch):
    monkeypatch.setattr(member, "BRIEF_S", 0.05)
    answered = Event()

    class Hanging(SimulatedSource):
        def history(self, symbol, start, end):
            answered.wait(30)
            return super().history(symbol, start, end)

    source = two(ManualClock(NOW), Hanging)
    source.members["mt5-local"].followed = True
    with pytest.raises(FeedError, match=r"has not answered within 0.05 s"):
        source.history("EURUSD", NOW - 5 * MINUTE, NOW)
    with pytest.raises(FeedError, match="has not answered the question before yet"):
        source.history("EURUSD", NOW - 5 * MINUTE, NOW)
    assert len(source.history("BTCUSDT", NOW - 5 * MINUTE, NOW)) == 4
    answered.set()


def test_an_error_of_a_followed_member_is_the_one_that_it_raised():
    class Refusing(SimulatedSource):
        def history(self, symbol, start, end):
            raise BarError("a bar is odd")

    source = two(ManualClock(NOW), Refusing)
    source.members["mt5-local"].followed = True
    with pytest.raises(BarError, match="a bar is odd"):
        source.history("EURUSD", NOW - 5 * MINUTE, NOW)


def test_a_fault_of_the_program_ends_the_feed():
    class Broken(SimulatedSource):
        def span(self, symbol):
            raise ZeroDivisionError("a defect")

    clock = ManualClock(NOW)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        list(CombinedFeed(two(clock, Broken), list(ROUTES), NOW - MINUTE, None, clock=clock))


def test_a_member_that_cannot_be_followed_at_first_stops_no_other_and_is_followed_later():
    refused = []

    class Late(SimulatedSource):
        def span(self, symbol):
            if len(refused) < 3:
                refused.append(symbol)
                raise FeedError("the terminal does not answer")
            return super().span(symbol)

    stamina.set_testing(True, attempts=1)
    clock = SteadyClock(NOW - timedelta(seconds=60 * uptime_s()), rate=60.0)
    feed = CombinedFeed(two(clock, Late), list(ROUTES), NOW.replace(second=0), None, clock=clock)
    whole, reasons = [], set()
    try:
        for close, bars in feed:
            reasons |= {status.reason for status in feed.status()}
            whole += [close] if len(bars) == 2 else []
            if whole or close > NOW + 40 * MINUTE:
                break
    finally:
        stamina.set_testing(False)
    assert whole
    assert len(refused) == 3
    assert reasons <= {"", "the terminal does not answer", "its bars did not come within 6 s of their close"}


class Clocked(SimulatedSource):
    """A source whose venue has a clock."""

    def clock_offset(self):
        return ClockOffset(timedelta(seconds=3), timedelta(milliseconds=40))


def test_the_clock_of_the_venue_that_differs_most_is_reported_with_its_name():
    offset = two(ManualClock(NOW), Clocked).clock_offset()
    assert (offset.venue, offset.offset) == ("mt5-local", timedelta(seconds=3))
    with pytest.raises(FeedError, match=r"no venue of simulated\+mt5-local reports its time"):
        two(ManualClock(NOW)).clock_offset()


class Perpetuals(SimulatedSource):
    """A venue with funding, ticks and longer bars."""

    def funding_feed(self, symbols, since):
        return Announced(symbols)

    def ticks(self, symbol, start, end):
        return [symbol, start, end]

    def longer(self, symbol, timeframe, start, end):
        return [symbol, timeframe, start, end]


class Announced:
    """Funding of each minute, of which the first answer takes long."""

    def __init__(self, symbols):
        self.symbols, self.slow, self.answered = symbols, False, Event()

    def charged(self, close_time):
        if self.slow:
            self.answered.wait(30)
        return [(symbol, close_time) for symbol in self.symbols]


def test_funding_is_that_of_the_members_that_have_it_for_their_own_symbols():
    feed = two(ManualClock(NOW), Perpetuals).funding_feed(list(ROUTES), NOW)
    assert feed.charged(NOW) == [("EURUSD", NOW)]
    assert two(ManualClock(NOW)).funding_feed(list(ROUTES), NOW).charged(NOW) == []


def test_funding_that_a_venue_answers_too_late_is_charged_with_a_later_minute(monkeypatch):
    monkeypatch.setattr(member, "BRIEF_S", 0.05)
    source = two(ManualClock(NOW), Perpetuals)
    pairs = source.members["mt5-local"]
    pairs.followed = True
    announced = Announced(["EURUSD"])
    announced.slow = True
    feed = CombinedFunding([(pairs, announced)])
    assert feed.charged(NOW) == []
    announced.slow = False
    announced.answered.set()
    pairs._asking.join(30)
    assert feed.charged(NOW + MINUTE) == [("EURUSD", NOW), ("EURUSD", NOW + MINUTE)]


def test_ticks_and_longer_bars_are_those_of_the_venue_of_the_symbol_also_while_it_is_recorded():
    source = two(ManualClock(NOW), Perpetuals)
    source.wrap(lambda venue: SimulatedSource(venue.symbols(), 7, ManualClock(NOW)))
    span = (NOW - MINUTE, NOW)
    assert source.ticks("EURUSD", *span) == ["EURUSD", *span]
    assert source.ticks("BTCUSDT", *span) == []
    assert source.longer("EURUSD", Timeframe.M5, *span) == ["EURUSD", Timeframe.M5, *span]
    assert source.longer("BTCUSDT", Timeframe.M5, *span).empty


class Arrived:
    """A stream with given bars."""

    def __init__(self, *bars):
        self.bars, self.check, self.closed = bars, TradeCheck(), False

    def minute(self, open_time, symbols, until):
        return {bar.symbol: bar for bar in self.bars if bar.open_time == open_time and bar.symbol in symbols}

    def record(self, take):
        take("klines1", NOW, b"{}")

    def take_revised(self):
        return list(self.bars)

    def built(self, symbol, open_time):
        return next(bar for bar in self.bars if bar.symbol == symbol)

    def trade_check(self):
        return self.check

    def delay_s(self, bar):
        return 0.5

    def status(self):
        return [self.bars[0].symbol]

    def close(self):
        self.closed = True


def test_streams_of_members_are_asked_for_their_own_symbols_only():
    coins, other = Arrived(bar("BTCUSDT"), bar("EURUSD")), Arrived(bar("ETHUSDT"))
    routes = {"BTCUSDT": "binance", "ETHUSDT": "binance-usdm", "EURUSD": "mt5"}
    stream = CombinedStream({"binance": coins, "binance-usdm": other}, routes)
    assert stream.minute(bar("BTCUSDT").open_time, list(routes), NOW).keys() == {"BTCUSDT", "ETHUSDT"}
    assert stream.built("ETHUSDT", NOW) == bar("ETHUSDT")
    assert stream.built("EURUSD", NOW) is None
    assert (stream.delay_s(bar("BTCUSDT")), stream.delay_s(bar("EURUSD"))) == (0.5, None)
    assert len(stream.take_revised()) == 3
    assert stream.status() == ["BTCUSDT", "ETHUSDT"]
    channels = []
    stream.record(lambda channel, received_at, message: channels.append(channel))
    assert channels == ["klines1", "klines101"]
    stream.close()
    assert coins.closed
    assert other.closed


def test_disagreements_with_trades_are_those_of_all_members():
    coins, other = Arrived(bar("BTCUSDT")), Arrived(bar("ETHUSDT"))
    differing = [Disagreement(bar(symbol), bar(symbol), ("close",)) for symbol in ("BTCUSDT", "ETHUSDT")]
    coins.check._differing.append(differing[0])
    other.check._differing.append(differing[1])
    check = CombinedStream({"binance": coins, "binance-usdm": other}, {}).trade_check()
    assert (check.take_differing(), check.take_differing(), check.take_used()) == (differing, [], [])
    assert CombinedStream({}, {}).trade_check() is None


class Shown:
    """Order books of every symbol that is asked for."""

    def record(self, take):
        take("books1", NOW, b"{}")

    def at_close(self, close_time, symbols):
        return {symbol: (symbol, close_time) for symbol in symbols}

    def status(self):
        return ["live"]

    def close(self):
        raise FeedError("closed")


def test_order_books_of_members_are_asked_for_their_own_symbols_and_others_have_none():
    books = CombinedBooks({"binance": Shown()}, {"BTCUSDT": "binance", "EURUSD": "mt5"})
    assert books.at_close(NOW, iter(["EURUSD", "BTCUSDT"])) == {"BTCUSDT": ("BTCUSDT", NOW)}
    assert books.status() == ["live"]
    channels = []
    books.record(lambda channel, received_at, message: channels.append(channel))
    assert channels == ["books1"]
    with pytest.raises(FeedError, match="closed"):
        books.close()

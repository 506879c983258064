from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import stamina

from mikrobot.domain.errors import FeedError, FeedRefused, UnknownSymbol
from mikrobot.domain.market import bars_of, empty_bars
from mikrobot.market.feed import CHUNK, DUE, GRACE_S, closes
from mikrobot.runtime import ManualClock

START = datetime(2025, 1, 6, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Shelf:
    """A source of given frames; if live, it returns a bar `delay_s` after its close."""

    name, simulated = "replay", False

    def __init__(self, frames, clock=None, delay_s=0.0):
        self.frames, self.clock, self.delay_s = frames, clock, delay_s
        self.live = clock is not None
        self.asked, self.failures, self.behind_s = [], 0, 0.0

    def symbols(self):
        return tuple(self.frames)

    def time(self):
        return self.clock.now() - timedelta(seconds=self.behind_s)

    def span(self, symbol):
        times = self.frames[symbol]["open_time"]
        return times.iloc[0].to_pydatetime(), times.iloc[-1].to_pydatetime() + MINUTE

    def history(self, symbol, start, end):
        self.asked.append((symbol, start, end))
        if self.failures:
            self.failures -= 1
            raise FeedError("the venue is silent")
        if self.live:
            end = min(end, self.clock.now() - MINUTE - timedelta(seconds=self.delay_s) + timedelta(microseconds=1))
        frame = self.frames[symbol]
        return frame[(frame["open_time"] >= start) & (frame["open_time"] < end)].reset_index(drop=True)


@pytest.fixture(autouse=True)
def _retry_without_waiting():
    stamina.set_testing(True, attempts=5, cap=True)
    yield
    stamina.set_testing(False)


@pytest.fixture
def frames(make_bars):
    euro, bitcoin = make_bars(300, START), make_bars(300, START + 3 * MINUTE, seed=2)
    return {
        "EURUSD": euro.drop(index=[7, 8, 100]).reset_index(drop=True),
        "BTCUSDT": bitcoin.drop(index=[4, 5, 200]).reset_index(drop=True),
    }


def rows(feed):
    return [(time, bar) for time, bars in feed for bar in bars]


def test_merges_symbols_in_time_order_and_keeps_every_bar(frames):
    feed = list(closes(Shelf(frames), ("EURUSD", "BTCUSDT"), START, None, clock=ManualClock(START)))
    times = [time for time, _ in feed]
    assert times == sorted(set(times))
    for symbol, frame in frames.items():
        bars = [bar for _, group in feed for bar in group if bar.symbol == symbol]
        assert [bar.open_time for bar in bars] == list(frame["open_time"].dt.to_pydatetime())
        names = ["open", "high", "low", "close", "volume", "spread"]
        values = np.array([[getattr(bar, name) for name in names] for bar in bars])
        assert (values == frame[names].to_numpy()).all()


def test_an_instant_holds_the_bars_that_close_then_in_the_order_of_the_symbols(frames):
    for time, bars in closes(Shelf(frames), ("BTCUSDT", "EURUSD"), START, None, clock=ManualClock(START)):
        assert {bar.close_time for bar in bars} == {time}
        assert [bar.symbol for bar in bars] == [s for s in ("BTCUSDT", "EURUSD") if s in {b.symbol for b in bars}]


def test_start_and_end_bound_the_opening_times(frames):
    feed = rows(closes(Shelf(frames), ("EURUSD",), START + 2 * MINUTE, START + 5 * MINUTE, clock=ManualClock(START)))
    assert [bar.open_time for _, bar in feed] == [START + n * MINUTE for n in (2, 3, 4)]


def test_history_is_read_in_periods(make_bars):
    day = make_bars(2, START)
    later = make_bars(2, START + timedelta(days=20))
    source = Shelf({"EURUSD": pd.concat([day, later], ignore_index=True)})
    assert len(rows(closes(source, ("EURUSD",), START - timedelta(days=900), None, clock=ManualClock(START)))) == 4
    assert len(source.asked) == 3
    assert all(end - start <= CHUNK for _, start, end in source.asked)


def test_a_live_source_is_followed_minute_by_minute(frames):
    clock = ManualClock(START + 250 * MINUTE)
    feed = closes(Shelf(frames, clock), ("EURUSD", "BTCUSDT"), START + 248 * MINUTE, None, clock=clock)
    for n in range(249, 260):
        time, bars = next(feed)
        assert time == START + n * MINUTE
        assert len(bars) == 2
        if n > 250:
            assert clock.now() == time + timedelta(seconds=GRACE_S)


def test_a_bar_that_its_venue_shows_late_is_waited_for(frames):
    clock = ManualClock(START + 250 * MINUTE)
    feed = closes(Shelf(frames, clock, delay_s=2.5), ("EURUSD",), START + 250 * MINUTE, None, clock=clock)
    times = [next(feed)[0] for _ in range(5)]
    assert times == [START + n * MINUTE for n in range(251, 256)]


def test_bars_shown_minutes_late_by_a_slow_venue_are_all_given(frames):
    clock = ManualClock(START + 250 * MINUTE)
    feed = closes(Shelf(frames, clock, delay_s=90), ("EURUSD",), START + 250 * MINUTE, None, clock=clock)
    times = [next(feed)[0] for _ in range(5)]
    assert times == [START + n * MINUTE for n in range(251, 256)]


def test_a_minute_that_closes_between_two_requests_is_lost_for_no_symbol(make_bars):
    """The second request takes so long that another minute has closed, and its answer could have that bar too."""
    frames = {"ETHUSDT": make_bars(60, START), "BTCUSDT": make_bars(60, START, seed=2)}
    clock = ManualClock(START + 10 * MINUTE + timedelta(seconds=30))
    source = Shelf(frames, clock)
    answer = source.history

    def slow(symbol, start, end):
        if symbol == "BTCUSDT":
            clock.sleep(40)
        return answer(symbol, start, end)

    source.history = slow
    feed = closes(source, list(frames), START, START + 20 * MINUTE, clock=clock)
    assert [[bar.symbol for bar in bars] for _, bars in feed] == [list(frames)] * 20


def test_a_venue_whose_clock_is_behind_loses_no_bar(make_bars):
    """By the time of the second request the bar has closed at the venue, too."""
    frames = {"ETHUSDT": make_bars(60, START), "BTCUSDT": make_bars(60, START, seed=2)}
    clock = ManualClock(START + 10 * MINUTE + timedelta(seconds=3))
    source = Shelf(frames, clock)
    source.behind_s = source.delay_s = 5.0
    answer = source.history

    def slow(symbol, start, end):
        if symbol == "BTCUSDT":
            clock.sleep(4)
        return answer(symbol, start, end)

    source.history = slow
    feed = closes(source, list(frames), START, START + 20 * MINUTE, clock=clock)
    assert [[bar.symbol for bar in bars] for _, bars in feed] == [list(frames)] * 20


def test_a_minute_that_nobody_traded_is_absent(frames):
    clock = ManualClock(START + 99 * MINUTE)
    feed = closes(Shelf(frames, clock), ("EURUSD",), START + 99 * MINUTE, None, clock=clock)
    assert [next(feed)[0] for _ in range(2)] == [START + 100 * MINUTE, START + 102 * MINUTE]


def test_a_failure_of_the_venue_is_retried(frames):
    source = Shelf(frames)
    source.failures = 3
    assert len(rows(closes(source, ("EURUSD",), START, None, clock=ManualClock(START)))) == 297


def test_a_live_feed_outlives_a_venue_that_stays_down_and_loses_nothing(frames):
    clock = ManualClock(START + 250 * MINUTE)
    source = Shelf(frames, clock)
    feed = closes(source, ("EURUSD",), START + 250 * MINUTE, None, clock=clock)
    first = next(feed)[0]
    source.failures = 12
    assert [first] + [next(feed)[0] for _ in range(4)] == [START + n * MINUTE for n in range(251, 256)]
    assert source.failures == 0


def test_a_bounded_feed_reports_a_venue_that_stays_down(frames):
    clock = ManualClock(START + 250 * MINUTE)
    source = Shelf(frames, clock)
    source.failures = 99
    with pytest.raises(FeedError, match="silent"):
        list(closes(source, ("EURUSD",), START, START + 9 * MINUTE, clock=clock))


def test_a_source_without_bars_in_the_span_gives_nothing(frames):
    class Empty(Shelf):
        def history(self, symbol, start, end):
            return empty_bars()

    assert list(closes(Empty(frames), ("EURUSD",), START, None, clock=ManualClock(START))) == []


class Delisting(Shelf):
    """A live source that no longer lists a symbol, as the others go on."""

    gone = "EURUSD"

    def span(self, symbol):
        if symbol == self.gone:
            raise UnknownSymbol(f"{symbol}: the venue does not list this symbol")
        return super().span(symbol)

    def history(self, symbol, start, end):
        if symbol == self.gone:
            raise UnknownSymbol(f"{symbol}: the venue does not list this symbol")
        return super().history(symbol, start, end)


def test_a_symbol_that_a_live_venue_no_longer_lists_is_named_and_the_others_go_on(frames, capsys):
    clock = ManualClock(START + 50 * MINUTE)
    feed = closes(Delisting(frames, clock), ("EURUSD", "BTCUSDT"), START, START + 60 * MINUTE, clock=clock)
    expected = frames["BTCUSDT"][frames["BTCUSDT"]["open_time"] < START + 60 * MINUTE]
    assert [bar.open_time for _, bar in rows(feed)] == list(expected["open_time"].dt.to_pydatetime())
    shown = capsys.readouterr()
    assert "symbol_gone" in shown.out + shown.err
    assert "EURUSD: the venue does not list this symbol" in shown.out + shown.err


def test_a_live_venue_that_lists_none_of_the_symbols_ends_the_feed(frames):
    clock = ManualClock(START + 50 * MINUTE)
    with pytest.raises(UnknownSymbol, match="EURUSD: the venue does not list"):
        next(closes(Delisting(frames, clock), ("EURUSD",), START, None, clock=clock))


def test_a_replay_without_a_symbol_ends_in_its_name(frames):
    with pytest.raises(UnknownSymbol, match="EURUSD: the venue does not list"):
        next(closes(Delisting(frames), ("BTCUSDT", "EURUSD"), START, None, clock=ManualClock(START)))


class Arriving:
    """A stream on which the given bars have arrived, and those that all trades make up."""

    def __init__(self, clock, arrived=(), built=()):
        self.clock, self.arrived, self.made = clock, list(arrived), list(built)

    def minute(self, opened, symbols, until):
        bars = {bar.symbol: bar for bar in self.arrived if bar.open_time == opened}
        if any(symbol not in bars for symbol in symbols):
            self.clock.time = max(self.clock.time, until)
        return bars

    def built(self, symbol, opened):
        return next((bar for bar in self.made if (bar.symbol, bar.open_time) == (symbol, opened)), None)


@pytest.mark.parametrize("behind_s", [-90.0, -5.0, 0.0, 5.0, 90.0])
def test_a_bar_that_is_missing_on_the_stream_is_requested_two_seconds_after_it_closed_at_the_venue(frames, behind_s):
    """nautilus#1705, Binance.Net#1267: the closed kline never arrives."""
    clock = ManualClock(START + 250 * MINUTE)
    source = Shelf(frames, clock)
    source.behind_s, source.delay_s = behind_s, behind_s
    start = source.time().replace(second=0) - MINUTE
    feed = closes(source, ("EURUSD",), start, None, clock=clock, stream=Arriving(clock))
    next(feed)
    for _ in range(4):
        close, _ = next(feed)
        assert source.time() == close + DUE


def test_while_the_venue_is_down_bars_are_those_that_arrive_and_those_of_all_trades(frames):
    clock = ManualClock(START + 250 * MINUTE)
    source = Shelf(frames, clock)
    bars = {symbol: bars_of(symbol, frame) for symbol, frame in frames.items()}
    at = {bar.open_time: bar for bar in bars["EURUSD"]}
    stream = Arriving(clock, built=[at[START + n * MINUTE] for n in (250, 251, 253)])
    stream.arrived = [bar for bar in bars["BTCUSDT"] if bar.open_time >= START + 250 * MINUTE]
    feed = closes(source, ("EURUSD", "BTCUSDT"), START + 248 * MINUTE, None, clock=clock, stream=stream)
    closed = [next(feed)[0] for _ in range(2)]
    source.failures = 10**9
    closed += [next(feed)[0] for _ in range(2)]
    source.failures = 5 * 3  # the minute of which a trade is missing waits until the venue answers
    later = next(feed)
    assert closed == [START + n * MINUTE for n in (249, 250, 251, 252)]
    assert (later[0], len(later[1])) == (START + 253 * MINUTE, 2)
    assert source.failures == 0


def test_of_a_minute_that_has_arrived_in_part_only_the_missing_bar_is_requested(frames):
    clock = ManualClock(START + 250 * MINUTE + timedelta(seconds=1))
    source = Shelf(frames, clock)
    bars = {symbol: {bar.open_time: bar for bar in bars_of(symbol, frame)} for symbol, frame in frames.items()}
    stream = Arriving(clock, arrived=bars["BTCUSDT"].values())
    feed = closes(source, ("EURUSD", "BTCUSDT"), START + 249 * MINUTE, None, clock=clock, stream=stream)
    next(feed)
    source.asked.clear()
    for number in range(251, 255):
        close, minute = next(feed)
        opened = close - MINUTE
        assert (close, minute) == (START + number * MINUTE, [bars["EURUSD"][opened], bars["BTCUSDT"][opened]])
        assert source.time() == close + DUE
    assert {symbol for symbol, _, _ in source.asked} == {"EURUSD"}


def test_a_venue_that_has_not_answered_is_asked_again_long_before_the_next_close(frames):
    clock = ManualClock(START + 250 * MINUTE + timedelta(seconds=1))
    source = Shelf(frames, clock)
    feed = closes(source, ("EURUSD",), START + 249 * MINUTE, None, clock=clock, stream=Arriving(clock))
    next(feed)
    source.failures = 2 * 5
    close, _ = next(feed)
    assert close == START + 251 * MINUTE
    assert close + DUE < clock.now() < close + timedelta(seconds=20)


def test_a_venue_that_refuses_is_not_asked_again_at_once(frames):
    """A request during a refusal extends it."""
    clock = ManualClock(START + 250 * MINUTE + timedelta(seconds=1))
    source = Shelf(frames, clock)
    asked = []

    def refuse(symbol, start, end):
        asked.append(symbol)
        raise FeedRefused("the venue refuses for 60 s", 60.0)

    source.history = refuse
    with pytest.raises(FeedRefused, match="refuses for 60 s"):
        next(closes(source, ("EURUSD",), START + 249 * MINUTE, START + 260 * MINUTE, clock=clock))
    assert asked == ["EURUSD"]


def test_a_feed_begins_once_a_venue_that_refuses_answers(frames):
    clock = ManualClock(START + 250 * MINUTE + timedelta(seconds=1))
    source = Shelf(frames, clock)
    span, refusals = source.span, [60.0, 30.0]

    def refuse(symbol):
        if refusals:
            raise FeedRefused("the venue refuses", refusals.pop(0))
        return span(symbol)

    source.span = refuse
    assert next(closes(source, ("EURUSD",), START + 249 * MINUTE, None, clock=clock))[0] == START + 250 * MINUTE
    assert clock.now() == START + 250 * MINUTE + timedelta(seconds=91)
    refusals.append(3600.0)
    with pytest.raises(FeedRefused):
        next(closes(source, ("EURUSD",), START + 249 * MINUTE, None, clock=clock))

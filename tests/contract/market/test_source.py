"""The contract of every market source."""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from mikrobot.domain.errors import UnknownSymbol
from mikrobot.domain.market import BAR_COLUMNS, empty_bars
from mikrobot.domain.sources import SOURCES, kind_of
from mikrobot.market.binance import BinanceSource
from mikrobot.market.combined.source import CombinedSource
from mikrobot.market.feed import Source, closes
from mikrobot.market.local_terminal.opening import TerminalOptions, serving
from mikrobot.market.mt5.source import Mt5Source
from mikrobot.market.mt5.terminal import Login
from mikrobot.market.mt5.terminal_link import TerminalLink
from mikrobot.market.replay import ReplaySource
from mikrobot.market.simulated import SimulatedSource
from mikrobot.runtime import ManualClock

NOW = datetime(2025, 1, 10, 12, 34, 56, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass
class Case:
    """A source, its clock, one of its symbols, and a span with bars on both sides."""

    source: Source
    clock: ManualClock
    symbol: str
    start: datetime
    end: datetime


def replay(request):
    rng = np.random.default_rng(3)
    times = pd.date_range("2025-01-06", periods=4 * 1440, freq="min", tz="UTC")[rng.random(4 * 1440) > 0.05]
    path = 1.1 + np.cumsum(rng.normal(0, 1e-4, (len(times), 4)).ravel()).reshape(-1, 4)
    prices = {"open": path[:, 0], "high": path.max(axis=1), "low": path.min(axis=1), "close": path[:, 3]}
    file = request.getfixturevalue("tmp_path") / "EURUSD_M1.parquet"
    pd.DataFrame({"ts": times.as_unit("ms"), **prices, "volume": 0.0}).to_parquet(file, row_group_size=700)
    return ReplaySource([file]), ManualClock(NOW), "EURUSD"


def simulated(request):
    clock = ManualClock(NOW)
    return SimulatedSource(["EURUSD", "BTCUSDT"], 7, clock), clock, "EURUSD"


def binance(request, name="binance"):
    venue, clock = request.getfixturevalue("venue"), ManualClock(NOW)
    venue.now = NOW
    url = venue.futures_url if name.startswith("binance-usdm") else venue.url
    return BinanceSource(["BTCUSDT"], url, clock, 3.0, name=name), clock, "BTCUSDT"


def binance_local(request):
    return binance(request, "binance-local")


def binance_usdm(request):
    return binance(request, "binance-usdm")


def binance_usdm_local(request):
    return binance(request, "binance-usdm-local")


def mt5(request, name="mt5"):
    """A terminal that has loaded its history; before that each answer takes some seconds of the clock."""
    running, clock = request.getfixturevalue("terminals"), ManualClock(NOW - timedelta(minutes=5))
    served = running.enter_context(serving(TerminalOptions(symbols=("EURUSD",)), 0, clock=clock))
    if name == "mt5":
        served.module.company = "A broker"
    link = TerminalLink(Login(), "127.0.0.1", served.port, timeout_s=20.0, clock=clock, rng=Random(1))
    source = Mt5Source(["EURUSD"], link, clock, name=name)
    source.history("EURUSD", source.first_open("EURUSD") - timedelta(days=9), NOW)
    clock.time = NOW
    return source, clock, "EURUSD"


def mt5_local(request):
    return mt5(request, "mt5-local")


def combined(request):
    """Two members, of which the second has the symbol."""
    coins, clock, coin = binance_local(request)
    pairs, _, pair = mt5_local(request)
    members = {member.name: member for member in (coins, pairs)}
    source = CombinedSource("binance-local+mt5-local", members, {coin: coins.name, pair: pairs.name})
    return source, clock, pair


@pytest.fixture
def terminals():
    with ExitStack() as running:
        yield running


SINGLE = (replay, simulated, binance, binance_local, binance_usdm, binance_usdm_local, mt5, mt5_local)
CASES = (*SINGLE, combined)


def test_every_source_is_under_this_contract():
    assert {make.__name__.replace("_", "-") for make in SINGLE} == SOURCES.keys()


@pytest.fixture(params=CASES, ids=lambda make: make.__name__)
def case(request):
    source, clock, symbol = request.param(request)
    return Case(source, clock, symbol, datetime(2025, 1, 7, 3, 0, tzinfo=UTC), datetime(2025, 1, 9, 5, 30, tzinfo=UTC))


def test_a_source_says_what_it_is(case):
    kind = kind_of(case.source.name)
    assert (case.source.simulated, case.source.live) == (kind.simulated, kind.live)
    assert case.symbol in case.source.symbols()


def test_history_lies_in_the_half_open_span_that_was_asked_for(case):
    times = case.source.history(case.symbol, case.start, case.end)["open_time"]
    assert len(times) > 2500
    assert times.min() >= case.start
    assert times.max() < case.end
    again = case.source.history(case.symbol, times.iloc[10], times.iloc[20])["open_time"]
    assert list(again) == list(times.iloc[10:20])


def test_history_has_the_columns_and_types_of_a_bar_frame(case):
    bars = case.source.history(case.symbol, case.start, case.end)
    assert tuple(bars.columns) == BAR_COLUMNS
    assert bars.dtypes.equals(empty_bars().dtypes)
    assert list(bars.index) == list(range(len(bars)))


def test_times_are_whole_minutes_that_rise_strictly(case):
    times = case.source.history(case.symbol, case.start, case.end)["open_time"]
    assert times.is_monotonic_increasing
    assert times.is_unique
    assert (times == times.dt.floor("min")).all()


def test_bars_are_sound(case):
    bars = case.source.history(case.symbol, case.start, case.end)
    assert np.isfinite(bars[["open", "high", "low", "close"]]).all(axis=None)
    assert (bars["low"] > 0).all()
    assert (bars["low"] <= bars[["open", "close"]].min(axis=1)).all()
    assert (bars["high"] >= bars[["open", "close"]].max(axis=1)).all()
    assert not (bars[["volume", "spread", "trades", "taker_volume"]] < 0).any(axis=None)
    assert not (bars["taker_volume"] > bars["volume"]).any()


def test_a_bar_that_has_not_closed_is_not_shown(case):
    bars = case.source.history(case.symbol, case.start, NOW + timedelta(days=1))
    assert bars["open_time"].iloc[-1] + MINUTE <= NOW
    if case.source.live:
        assert bars["open_time"].iloc[-1] == datetime(2025, 1, 10, 12, 33, tzinfo=UTC)


def test_span_runs_from_the_first_open_to_the_last_close(case):
    first, last = case.source.span(case.symbol)
    assert first.tzinfo == last.tzinfo == UTC
    assert case.source.first_open(case.symbol) == first
    assert case.source.history(case.symbol, first - timedelta(days=9), first).empty
    assert case.source.history(case.symbol, first, first + MINUTE)["open_time"].iloc[0] == first
    assert case.source.history(case.symbol, last - MINUTE, last)["open_time"].iloc[0] == last - MINUTE
    assert case.source.history(case.symbol, last, last + timedelta(days=9)).empty


def test_the_same_question_has_the_same_answer(case):
    bars = case.source.history(case.symbol, case.start, case.end)
    middle = case.start + timedelta(hours=31, minutes=7)
    parts = [case.source.history(case.symbol, *span) for span in ((case.start, middle), (middle, case.end))]
    assert_frame_equal(bars, pd.concat(parts, ignore_index=True))
    assert_frame_equal(bars, case.source.history(case.symbol, case.start, case.end))


def test_an_empty_span_gives_an_empty_bar_frame(case):
    assert_frame_equal(case.source.history(case.symbol, case.start, case.start), empty_bars())


def test_the_feed_gives_history_in_order(case):
    bars = case.source.history(case.symbol, case.start, case.end)
    fed = list(closes(case.source, [case.symbol], case.start, case.end, clock=case.clock))
    assert [time for time, _ in fed] == list(bars["open_time"] + MINUTE)
    values = np.array([[getattr(bar, name) for name in BAR_COLUMNS[1:]] for _, (bar,) in fed])
    assert np.array_equal(values, bars[list(BAR_COLUMNS[1:])].to_numpy(), equal_nan=True)


def test_symbols_it_does_not_have_are_refused(case):
    with pytest.raises(UnknownSymbol, match="ADAUSDT"):
        case.source.history("ADAUSDT", case.start, case.end)
    with pytest.raises(UnknownSymbol, match="ADAUSDT"):
        case.source.span("ADAUSDT")
    with pytest.raises(UnknownSymbol, match="ADAUSDT"):
        case.source.first_open("ADAUSDT")

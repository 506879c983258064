"""Backfill from a terminal with the real quality gate and the real store."""

from datetime import UTC, datetime, timedelta
from random import Random

from pandas.testing import assert_frame_equal

from expectations.quality_gate import check
from mikrobot.domain.market import Timeframe
from mikrobot.market.history import backfill
from mikrobot.market.local_terminal.opening import TerminalOptions, serving
from mikrobot.market.mt5.source import Mt5Source
from mikrobot.market.mt5.terminal import Login
from mikrobot.market.mt5.terminal_link import TerminalLink
from mikrobot.runtime import ManualClock
from mikrobot.store.bars import BarStore

NOW = datetime(2025, 1, 22, 12, 0, 30, tzinfo=UTC)
START, END = datetime(2025, 1, 6, tzinfo=UTC), datetime(2025, 1, 16, tzinfo=UTC)


def test_bars_of_a_terminal_that_fails_meanwhile_are_stored_whole_as_those_of_the_stand_in(pool):
    clock, store = ManualClock(NOW), BarStore(pool)
    with serving(TerminalOptions(symbols=("EURUSD",), server_clock="NY+7"), 0, clock=clock) as served:
        link = TerminalLink(Login(), "127.0.0.1", served.port, timeout_s=20.0, clock=clock, rng=Random(1))
        source = Mt5Source(["EURUSD"], link, clock, name="mt5-local")
        source.first_open("EURUSD")
        for fault in ("partial_history", "code_10005", "drop"):
            served.module.faults.request(fault, 1)
        report = backfill(source, store, "EURUSD", START, end=END, check=lambda bars: check(bars, "bars"))
        held = store.range("mt5-local", "EURUSD", Timeframe.M1, START, end=END)
        assert report.stored == report.fetched == len(held) > 10_000
        assert_frame_equal(held, source.history("EURUSD", START, END))
        later = backfill(source, store, "EURUSD", START, end=END + timedelta(hours=1), check=lambda b: check(b, "bars"))
        assert later.fetched == 60
    assert store.range("mt5", "EURUSD", Timeframe.M1, START, end=END).empty

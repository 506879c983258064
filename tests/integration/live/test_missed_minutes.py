"""Minutes after a live run's hours that no process has handled: stored and played, but without decisions."""

from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from mikrobot import telemetry
from mikrobot.domain.market import Timeframe, bars_of
from mikrobot.domain.trading import Decision, FillReason, OrderIntent, Side
from mikrobot.live import accounts
from mikrobot.live.halt_watch import HaltWatch
from mikrobot.live.opening_books import OpeningBooks
from mikrobot.live.worker import AccountRun, Worker, trader_of
from mikrobot.runtime import ManualClock
from mikrobot.store.bars import BarStore
from mikrobot.store.books import BookSamples
from mikrobot.store.ledger import Ledger
from mikrobot.store.runs import Run, Runs, Segment

MINUTE = timedelta(minutes=1)
MISSED = 60


class Untouchable:
    """Feature rows and predictions that must not be requested."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for a minute that was missed")


@pytest.fixture
def market(bars, pool):
    """Store a run and an hour of bars after its hours; return both."""
    frame = bars(MISSED + 2).assign(spread=1e-5)
    times = frame["open_time"].dt.to_pydatetime()
    segment = Segment(("EURUSD",), times[0], times[0], times[1])
    settings = {"segments": [segment.to_json()]}
    run = Run("r1", "simulated", True, ("EURUSD",), times[0], times[1], times[1], settings)
    Runs(pool).begin(run)
    BarStore(pool).upsert("simulated", "EURUSD", Timeframe.M1, frame)
    return run, segment, list(bars_of("EURUSD", frame))


def worker_of(settings, pool, run, segment, clock) -> Worker:
    runs, ledger, bars = Runs(pool), Ledger(pool), BarStore(pool)
    reached = runs.reached(run.id, "worker") or segment.trade_from
    trader = trader_of(run, accounts.venue_of(run, settings, ledger, bars, at=reached), settings, ledger)
    nothing: Any = Untouchable()
    account_runs = (AccountRun(run, settings, trader, reached),)
    halts = HaltWatch.begun(pool, run, segment, clock, reached=reached)
    timers = telemetry.Timers()
    books = OpeningBooks(run.source, segment.symbols, BookSamples(pool))
    return Worker(segment, settings, bars, nothing, ledger, runs, timers, account_runs, clock, halts, books)


def test_missed_minutes_affect_a_position_but_open_none_and_are_recorded_as_missed(database, pool, market):
    run, segment, bars = market
    at = segment.trade_until
    order = OrderIntent("o", "d", "EURUSD", Side.BUY, D("0.10"), D("1.00000"), D("1.20000"), at, at + 30 * MINUTE)
    venue = accounts.venue_of(run, database, Ledger(pool), BarStore(pool), at=at)
    venue.play(bars[0])
    venue.place(order)
    decision = Decision("d", "EURUSD", at, True, Side.BUY, ("sure",), "simple_break@0")
    Ledger(pool).commit(run.id, at, decisions=[decision], orders=[order], journal=accounts.lines_of(venue.unrecorded()))
    worker = worker_of(database, pool, run, segment, ManualClock(bars[-1].close_time + timedelta(hours=8)))
    for bar in bars[1:]:
        worker.handle(bar.open_time, bar.close_time)
    entry, leaving = accounts.fills(Ledger(pool), run)
    assert (entry.reason, leaving.reason) == (FillReason.ENTRY, FillReason.TIME)
    assert leaving.filled_at == at + 30 * MINUTE
    assert len(Ledger(pool).decisions(run.id)) == 1
    skips = Ledger(pool).skips(run.id)
    assert [skip.close_time for skip in skips] == [bar.close_time for bar in bars[1:]]
    assert skips[0].reason.startswith("missed: handled 540 min after its close")


def test_closes_that_are_handled_with_a_later_one_are_recorded_as_skipped(database, pool, market):
    run, segment, bars = market
    worker = worker_of(database, pool, run, segment, ManualClock(bars[-1].close_time + timedelta(hours=8)))
    worker.handle(bars[0].close_time, bars[3].close_time)
    skips = Ledger(pool).skips(run.id)
    assert [skip.close_time for skip in skips] == [bar.close_time for bar in bars[1:4]]
    together = f"handled with the close at {bars[3].close_time:%Y-%m-%d %H:%M} UTC; only the newest close is decided"
    assert [skip.reason == together for skip in skips] == [True, True, False]

"""Funding is stored with the minute that is charged, booked in the ledger, and reproduced from what was stored."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from mikrobot import telemetry
from mikrobot.domain.funding import FundingRate
from mikrobot.domain.market import Bar, Timeframe, bars_of
from mikrobot.domain.trading import OrderIntent, Side
from mikrobot.live import accounts
from mikrobot.live.halt_watch import HaltWatch
from mikrobot.live.opening_books import OpeningBooks
from mikrobot.live.recording import Recording
from mikrobot.live.run_funding import FundingRecord, RunFunding
from mikrobot.live.trader import Trader
from mikrobot.live.worker import AccountRun, Worker, trader_of
from mikrobot.market.funding_feed import RecordedFunding
from mikrobot.market.recorded_funding import recorded_funding
from mikrobot.market.replay import ReplaySource
from mikrobot.runtime import ManualClock
from mikrobot.store.bars import BarStore
from mikrobot.store.books import BookSamples
from mikrobot.store.funding_rates import FundingRates
from mikrobot.store.ledger import Ledger
from mikrobot.store.runs import FOLLOWS, Run, Runs, Segment

SYMBOL = "BTCUSDT"
START = datetime(2025, 1, 6, 7, 55, tzinfo=UTC)
EIGHT = START.replace(hour=8, minute=0)
MINUTE = timedelta(minutes=1)
RATE = FundingRate(SYMBOL, EIGHT, D("0.0001"), D("60000.04"))


@pytest.fixture
def run(pool, bars):
    """A run on USD-M and ten minutes of bars, all later than its hours, so that nothing is predicted."""
    frame = bars(10, start=START, price=60_000.0, step=1e-6).assign(spread=0.1)
    segment = Segment((SYMBOL,), START - MINUTE, START - MINUTE, START)
    settings: dict[str, Any] = {"segments": [segment.to_json()], "data": []}
    run = Run("r1", "binance-usdm", False, (SYMBOL,), START - MINUTE, START, START, settings)
    Runs(pool).begin(run)
    BarStore(pool).upsert("binance-usdm", SYMBOL, Timeframe.M1, frame)
    return run


def worker_of(settings, pool, run) -> Worker:
    segment, runs, ledger, bars = run.segments[0], Runs(pool), Ledger(pool), BarStore(pool)
    reached = runs.reached(run.id, "worker") or START - MINUTE
    trader = trader_of(run, accounts.venue_of(run, settings, ledger, bars, at=reached), settings, ledger)
    clock = ManualClock(START + timedelta(hours=1))
    nothing: Any = None
    return Worker(
        segment, settings, bars, nothing, ledger, runs, telemetry.Timers(),
        (AccountRun(run, settings, trader, reached),), clock,
        HaltWatch.begun(pool, run, segment, clock, reached=reached),
        OpeningBooks(run.source, segment.symbols, BookSamples(pool)), RunFunding.of(run, pool),
    )  # fmt: skip


def buy(trader: Trader, at: datetime) -> None:
    """Order half a coin at a close."""
    order = OrderIntent("o", "d", SYMBOL, Side.BUY, D("0.5"), D("59000"), D("61000"), at, at + timedelta(hours=5))
    assert trader.venue.place(order) == ""


def booked(ledger: Ledger, run: Run) -> list[tuple[datetime, D]]:
    return [(one.at, one.amount) for one in accounts.charges_of(ledger, run) if one.kind == "funding"]


def handle(worker: Worker, first: int, last: int) -> None:
    for number in range(first, last):
        worker.handle(START + (number - 1) * MINUTE, START + number * MINUTE)


def test_a_position_pays_at_the_funding_time_by_the_mark_price_rounded_to_a_tick(database, pool, run):
    FundingRates(pool).add(run.id, EIGHT + MINUTE, [RATE])
    worker = worker_of(database, pool, run)
    handle(worker, 0, 3)
    buy(worker.accounts[0].trader, START + 2 * MINUTE)
    handle(worker, 3, 9)
    assert booked(Ledger(pool), run) == [(EIGHT, D("3.00"))]  # 0.5 x 60,000.0 x 0.0001
    from_record = worker_of(database, pool, run).accounts[0].trader.venue.exchange.accounts
    of_worker = worker.accounts[0].trader.venue.exchange.accounts
    assert {name: account.balances for name, account in from_record.items()} == {
        name: account.balances for name, account in of_worker.items()
    }


@pytest.mark.parametrize("ordered", [5, 6])
def test_a_position_that_opens_at_the_funding_time_or_later_does_not_pay(database, pool, run, ordered):
    """The order of the close at 08:00 fills at the open that follows, an instant after the funding."""
    FundingRates(pool).add(run.id, EIGHT + MINUTE, [RATE])
    worker = worker_of(database, pool, run)
    handle(worker, 0, ordered + 1)
    buy(worker.accounts[0].trader, START + ordered * MINUTE)
    handle(worker, ordered + 1, 10)
    assert booked(Ledger(pool), run) == []


def test_late_funding_is_charged_with_the_minute_that_has_it(database, pool, run):
    FundingRates(pool).add(run.id, EIGHT + 3 * MINUTE, [RATE])
    worker = worker_of(database, pool, run)
    handle(worker, 0, 3)
    buy(worker.accounts[0].trader, START + 2 * MINUTE)
    handle(worker, 3, 9)
    assert booked(Ledger(pool), run) == [(EIGHT + 2 * MINUTE, D("3.00"))]


def test_what_was_stored_gives_the_same_journal_again(database, pool, run):
    FundingRates(pool).add(run.id, EIGHT + MINUTE, [RATE])
    worker = worker_of(database, pool, run)
    handle(worker, 0, 3)
    buy(worker.accounts[0].trader, START + 2 * MINUTE)
    handle(worker, 3, 9)
    ledger = Ledger(pool)
    again = trader_of(run, accounts.opened_venue(run, database), database, ledger)
    given = bars_of(SYMBOL, BarStore(pool).range(run.source, SYMBOL, Timeframe.M1, START, end=START + 8 * MINUTE))
    funding = RunFunding.of(run, pool).between(START, START + timedelta(hours=1))
    again.play(given[:2], START + 2 * MINUTE, funding={})
    buy(again, START + 2 * MINUTE)
    for bar in given[2:]:
        again.play([bar], bar.close_time, funding={bar.close_time: funding.get(bar.close_time, ())})
    replayed = accounts.lines_of({name: one.journal for name, one in again.venue.exchange.accounts.items()})
    assert [line.record for line in replayed if line.kind == "booked"] == [
        line.record for line in ledger.journal(run.id) if line.kind == "booked"
    ]


def test_the_streamer_stores_each_rate_once_and_records_it_for_a_replay(pool, run, tmp_path):
    class Source:
        def funding_feed(self, symbols, since):
            return RecordedFunding({EIGHT + MINUTE: [RATE]}, symbols, since)

    rates, recording = FundingRates(pool), Recording(tmp_path, run, tmp_path, ManualClock(EIGHT))
    for _ in range(2):  # the second time after a restart before the minute was announced
        record = FundingRecord.of(run, Source(), (SYMBOL,), pool, recording=recording)
        record.resume(EIGHT, START)
        assert record.stores(EIGHT) == []
        for store in record.stores(EIGHT + MINUTE):
            store()
    recording.published(EIGHT + MINUTE, [Bar(SYMBOL, EIGHT, 60_000.0, 60_001.0, 59_999.0, 60_000.5, 3.0)])
    recording.close()
    assert rates.between(run.id, START, EIGHT + MINUTE) == {EIGHT + MINUTE: [RATE]}
    assert recorded_funding(tmp_path) == {EIGHT + MINUTE: [RATE]}
    replayed = ReplaySource([tmp_path]).funding_feed([SYMBOL], START)
    assert [replayed.charged(EIGHT + number * MINUTE) for number in range(3)] == [[], [RATE], []]
    replay = Run("r2", "replay", False, run.symbols, START, START, START, {"data": [str(tmp_path)]})
    assert RunFunding.of(replay, pool).rates is not None
    assert FundingRecord.of(run, object(), (SYMBOL,), pool, recording=None) is None


def test_an_arm_is_charged_by_the_funding_of_the_run_that_it_follows(pool, run):
    FundingRates(pool).add(run.id, EIGHT + MINUTE, [RATE])
    arm = Run("r2", run.source, False, run.symbols, START, START, START, {**run.settings, FOLLOWS: run.id})
    assert RunFunding.of(arm, pool).between(START, EIGHT + MINUTE) == {EIGHT + MINUTE: [RATE]}
    spot = Run("r3", "binance", False, run.symbols, START, START, START, {"data": []})
    assert RunFunding.of(spot, pool).rates is None

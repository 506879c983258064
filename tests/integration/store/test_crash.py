"""PostgreSQL killed in the middle of a run: no acknowledged data is lost, and every process continues."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Event

import pytest
import stamina

from mikrobot.domain.errors import StoreError
from mikrobot.domain.market import Bar, Timeframe
from mikrobot.domain.trading import Decision, Prediction, Side
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres import bundled, database
from mikrobot.store.runs import Runs

MINUTE = timedelta(minutes=1)
KILLS = 3


def answers_of(at):
    prediction = Prediction("EURUSD", Side.BUY, at, 0.6, "bos", "1", "abc", {"m1_rsi_14": 50.0})
    decision = Decision(f"d{at:%H%M%S}", "EURUSD", at, False, None, ("too unlikely",), "simple_break@0")
    return {"predictions": [prediction], "decisions": [decision]}


def test_kill_9_during_commits_loses_nothing_acknowledged_and_repeats_nothing(own_database, run):
    enough, finished = Event(), Event()
    acknowledged = []

    def work(ledger):
        at = run.starts_at
        while not finished.is_set():
            at += timedelta(seconds=1)
            ledger.commit("r1", at, **answers_of(at))
            acknowledged.append(at)
            if len(acknowledged) % 100 == 0:
                enough.set()

    with database.open_pool(own_database.settings) as pool, ThreadPoolExecutor(1) as thread:
        runs, ledger = Runs(pool), Ledger(pool)
        runs.begin(run)
        working = thread.submit(work, ledger)
        try:
            for _ in range(KILLS):
                enough.clear()
                assert enough.wait(60)
                own_database.kill()
                own_database.start()
            enough.clear()
            assert enough.wait(60)
        finally:
            finished.set()
        working.result(timeout=60)
        assert [prediction.close_time for prediction in ledger.predictions("r1")] == acknowledged
        assert [decision.close_time for decision in ledger.decisions("r1")] == acknowledged
        assert runs.reached("r1", "worker") == acknowledged[-1]


def test_processes_in_lock_step_go_on_after_a_restart(own_database, run):
    minutes = 300

    def follow(pool):
        runs, ledger, reached = Runs(pool), Ledger(pool), None
        while reached is None or reached < run.starts_at + minutes * MINUTE:
            newest = runs.wait("r1", "streamer", reached, timeout_s=60)
            assert newest is not None
            reached = newest
            ledger.commit("r1", reached, **answers_of(reached))

    def lead(pool, half):
        bars, runs = BarStore(pool), Runs(pool)
        for minute in range(1, minutes + 1):
            at = run.starts_at + minute * MINUTE
            bar = Bar("EURUSD", at - MINUTE, 1.0, 1.0, 1.0, 1.0)
            runs.advance("r1", "streamer", at, partial(bars.append, "replay", bar))
            assert runs.wait("r1", "worker", at - MINUTE / 2, timeout_s=60) == at
            if minute == minutes // 2:
                half.set()

    half = Event()
    settings = own_database.settings
    with database.open_pool(settings) as one, database.open_pool(settings) as other, ThreadPoolExecutor(2) as threads:
        Runs(one).begin(run)
        following, leading = threads.submit(follow, one), threads.submit(lead, other, half)
        assert half.wait(60)
        own_database.kill()
        own_database.start()
        leading.result(timeout=90)
        following.result(timeout=90)
        assert Ledger(one).counts("r1")["decisions"] == minutes
        stored = BarStore(one).range("replay", "EURUSD", Timeframe.M1, run.starts_at, end=run.ends_at)
        assert len(stored) == minutes


def test_what_is_announced_is_stored_though_the_server_dies_in_between(own_database, run):
    written = []
    with database.open_pool(own_database.settings) as pool:
        bars, runs = BarStore(pool), Runs(pool)
        runs.begin(run)

        def write():
            bars.append("replay", Bar("EURUSD", run.starts_at, 1.0, 1.0, 1.0, 1.0))
            written.append(run.starts_at)
            if len(written) == 1:
                own_database.kill()
                own_database.start()

        runs.advance("r1", "streamer", run.starts_at + MINUTE, write)
        assert runs.reached("r1", "streamer") == run.starts_at + MINUTE
        assert len(bars.range("replay", "EURUSD", Timeframe.M1, run.starts_at, end=run.ends_at)) == 1
    assert len(written) == 2


def test_the_next_call_after_a_restart_succeeds_though_every_pooled_connection_is_broken(own_database, run):
    with database.open_pool(own_database.settings, minimum=4) as pool:
        runs = Runs(pool)
        runs.begin(run)
        bundled.stop(own_database.home)
        own_database.start()
        with stamina.set_testing(True, attempts=1):
            assert runs.get("r1") == run


def test_a_server_that_does_not_come_back_is_reported_in_one_line(own_database, run):
    with database.open_pool(own_database.settings, timeout_s=0.2) as pool:
        runs = Runs(pool)
        runs.begin(run)
        bundled.stop(own_database.home)
        with (
            stamina.set_testing(True, attempts=2),
            pytest.raises(StoreError, match=r"\Areading runs failed: .*mikrobot up") as failure,
        ):
            runs.get("r1")
        assert "\n" not in str(failure.value)

"""Runs, the progress of their processes, and how the processes wait for each other."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from time import perf_counter

import psycopg
import pytest

from mikrobot.domain.errors import StoreError
from mikrobot.domain.instruments import registry
from mikrobot.live.session import recorded_run
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.store import runs as module
from mikrobot.store.postgres import database as databases
from mikrobot.store.runs import FOLLOWS, ROUTES, Runs, Segment

MINUTE = timedelta(minutes=1)


@pytest.fixture
def runs(pool, run):
    store = Runs(pool)
    store.begin(run)
    return store


def await_waiters(postgres, number):
    """Wait until this many connections have polled for progress."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'mikrobot' AND query LIKE '%FROM progress%'"

    def counted():
        with psycopg.connect(postgres.admin_url) as admin:
            return admin.execute(query).fetchone() == (number,)

    wait_until(counted, f"{number} connections did not look for progress", SystemClock(), timeout_s=20)


def test_a_run_comes_back_as_it_was_begun(runs, run):
    assert runs.get("r1") == run
    assert runs.latest() == run


def test_a_symbol_that_joins_a_run_is_traded_after_that_instant_in_its_last_segment_and_by_its_arms(pool, run):
    segment = Segment(run.symbols, run.starts_at - MINUTE, run.starts_at, run.ends_at)
    run, runs = replace(run, settings={**run.settings, "segments": [segment.to_json()]}), Runs(pool)
    for begun in (run, replace(run, id="arm", settings={**run.settings, FOLLOWS: run.id})):
        runs.begin(begun)
    entries, at = registry.recordable(["ADAUSDT"]), run.starts_at + 5 * MINUTE
    joined = runs.add_symbols(run.id, at, entries, {"ADAUSDT": "binance", "XAUUSD": "mt5"})
    assert joined == runs.get(run.id) == runs.add_symbols(run.id, at + MINUTE, entries, {})
    assert joined.settings[ROUTES] == {"ADAUSDT": "binance"}
    for wider in (joined, runs.get("arm")):
        assert wider.symbols == (*run.symbols, "ADAUSDT")
        assert [segment.symbols for segment in wider.segments][-1][-1] == "ADAUSDT"
        assert wider.instruments["ADAUSDT"] == registry.entry("ADAUSDT")
        last = wider.segments[-1]
        assert wider.trades_from("ADAUSDT", last) == at
        assert wider.trades_from(run.symbols[0], last) == last.trade_from


def test_a_database_without_runs_has_no_latest_run(pool):
    assert Runs(pool).latest() is None
    assert Runs(pool).latest(traded=True) is None
    with pytest.raises(StoreError, match="no run 'r9'"):
        Runs(pool).get("r9")


def test_a_run_that_ended_before_it_traded_does_not_hide_the_one_that_traded(runs, run):
    later = replace(run, id="r0", started_at=run.started_at + MINUTE)
    runs.begin(later)
    assert runs.latest(traded=True) is None
    assert recorded_run(runs) == later
    runs.advance("r1", "worker", run.starts_at + MINUTE)
    assert runs.latest(traded=True) == run
    assert recorded_run(runs) == run
    assert runs.latest() == later


def test_the_latest_run_is_the_one_begun_last(runs, run):
    runs.begin(replace(run, id="r0", started_at=run.started_at + MINUTE))
    runs.begin(replace(run, id="r2", started_at=run.started_at - MINUTE))
    assert runs.latest().id == "r0"


def test_beginning_a_run_twice_is_harmless_but_another_run_may_not_take_its_id(runs, run):
    runs.begin(run)
    with pytest.raises(StoreError, match="run r1 exists already"):
        runs.begin(replace(run, started_at=run.started_at + MINUTE))


def test_progress_never_goes_back(runs, run):
    assert runs.reached("r1", "streamer") is None
    runs.advance("r1", "streamer", run.starts_at + MINUTE)
    runs.advance("r1", "streamer", run.starts_at)
    assert runs.reached("r1", "streamer") == run.starts_at + MINUTE
    assert runs.reached("r1", "worker") is None


def test_progress_of_a_run_that_was_not_begun_is_refused(runs, run):
    with pytest.raises(StoreError, match=r"announcing .* failed: .*foreign key"):
        runs.advance("r9", "streamer", run.starts_at)


def test_a_finished_process_keeps_its_last_close(runs, run):
    runs.advance("r1", "worker", run.starts_at)
    assert not runs.finished("r1", "worker", 0)
    runs.finish("r1", "worker", 0)
    assert runs.finished("r1", "worker", 0)
    assert runs.reached("r1", "worker") == run.starts_at


def test_results_and_timings_are_kept(runs):
    assert runs.summary("r1") is None
    runs.conclude("r1", {"trades": 3})
    runs.record_latencies("r1", "worker", 0, {"predict": {"n": 2, "p50": 0.7, "p99": 1.5}})
    runs.record_latencies("r1", "worker", 0, {"predict": {"n": 4, "p50": 0.8, "p99": 1.6}})
    assert runs.summary("r1") == {"trades": 3}
    assert runs.latencies("r1") == {"worker-0": {"predict": {"n": 4, "p50": 0.8, "p99": 1.6}}}


def test_waiting_for_what_was_reached_long_ago_returns_at_once(runs, run):
    runs.advance("r1", "streamer", run.starts_at + MINUTE)
    assert runs.wait("r1", "streamer", run.starts_at, timeout_s=0) == run.starts_at + MINUTE
    assert runs.wait("r1", "streamer", None, timeout_s=0) == run.starts_at + MINUTE


def test_waiting_for_what_is_not_reached_ends_with_the_time_given(runs, run):
    runs.advance("r1", "streamer", run.starts_at)
    begun = perf_counter()
    assert runs.wait("r1", "streamer", run.starts_at, timeout_s=0.2) is None
    assert perf_counter() - begun >= 0.2


def test_waiting_for_a_finished_process_ends_at_once(runs, run):
    runs.finish("r1", "streamer", 0)
    assert runs.wait("r1", "streamer", run.starts_at, timeout_s=60) is None


def test_processes_in_lock_step_wake_each_other_and_never_poll(runs, run, pool, monkeypatch):
    monkeypatch.setattr(module, "POLL_SECONDS", 20.0)
    minutes = 200

    def follow():
        worker, reached = Runs(pool), None
        for _ in range(minutes):
            reached = worker.wait("r1", "streamer", reached, timeout_s=20)
            assert reached is not None
            worker.advance("r1", "worker", reached)
        return reached

    with ThreadPoolExecutor(1) as thread:
        following, begun = thread.submit(follow), perf_counter()
        for minute in range(1, minutes + 1):
            close_time = run.starts_at + minute * MINUTE
            runs.advance("r1", "streamer", close_time)
            assert runs.wait("r1", "worker", close_time - MINUTE / 2, timeout_s=20) == close_time
            assert perf_counter() - begun < module.POLL_SECONDS, "an announcement was not heard"
        assert following.result() == run.starts_at + minutes * MINUTE


def test_the_end_of_a_process_wakes_who_waits_for_it(runs, run, monkeypatch, postgres):
    monkeypatch.setattr(module, "POLL_SECONDS", 30.0)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(runs.wait, "r1", "streamer", None, 60)
        await_waiters(postgres, 1)
        runs.finish("r1", "streamer", 0)
        assert waiting.result(timeout=10) is None


def test_waiting_goes_on_when_the_server_cuts_the_connection(runs, run, postgres):
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(runs.wait, "r1", "streamer", None, 60)
        await_waiters(postgres, 1)
        with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'mikrobot'")
        runs.advance("r1", "streamer", run.starts_at)
        assert waiting.result(timeout=20) == run.starts_at


def test_an_announcement_that_was_never_heard_is_found_by_looking(runs, run, postgres):
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(runs.wait, "r1", "streamer", None, 60)
        await_waiters(postgres, 1)
        with psycopg.connect(postgres.admin_url.rpartition("/")[0] + "/mikrobot") as silent:
            silent.execute("INSERT INTO progress VALUES ('r1', 'streamer', %s)", [run.starts_at])
        assert waiting.result(timeout=20) == run.starts_at


def test_threads_may_share_it(runs, run):
    with ThreadPoolExecutor(4) as threads:
        waits = [threads.submit(runs.wait, "r1", "streamer", None, 0.1) for _ in range(4)]
    assert [wait.result() for wait in waits] == [None] * 4


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_it_leaves_no_connection_behind(database, run, postgres):
    with databases.open_pool(database) as pool:
        runs = Runs(pool)
        runs.begin(run)
        runs.wait("r1", "streamer", None, timeout_s=0)
        await_waiters(postgres, 1)
        del runs
        await_waiters(postgres, 0)

"""The trading state in `status`, from a real database: bars, decisions, positions, and why trading stops."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from mikrobot.cli import status_tables
from mikrobot.domain.market import Bar
from mikrobot.domain.trading import Decision, OrderIntent, Side
from mikrobot.live import accounts, clock_report, pid_records, reports
from mikrobot.market.combined.merging import VenueStatus
from mikrobot.market.streams.connection import StreamStatus
from mikrobot.market.streams.live_book import BookStatus
from mikrobot.market.streams.recorder import RecordingStatus
from mikrobot.market.venue_clock import ClockOffset
from mikrobot.paper.venue import Venue
from mikrobot.runtime import ManualClock
from mikrobot.settings import Settings
from mikrobot.stack import doctor, wanted
from mikrobot.stack.schedules import PlannedRun, Schedules
from mikrobot.stack.service_log import ServiceStatus
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger, Skip
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run, Runs
from mikrobot.workflows import status
from mikrobot.workflows.status import Overview

TEN = datetime(2024, 3, 12, 10, tzinfo=UTC)  # a Tuesday
SATURDAY = datetime(2024, 3, 16, 10, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BOTH = ("streamer", "worker")
KEYS = {"last_bar", "last_decision", "reason", "position", "quality", "halted"}


@pytest.fixture
def run(database: Settings, pool: Pool) -> Callable[..., Run]:
    """Return a function that records a run of the hour up to ten."""

    def begin(source: str = "simulated", symbols: tuple[str, ...] = ("EURUSD",), until: datetime = TEN) -> Run:
        start = until - HOUR
        times = {"history_from": start.isoformat(), "trade_from": start.isoformat(), "trade_until": until.isoformat()}
        settings = {**database.model_dump(mode="json"), "segments": [{"symbols": list(symbols), **times}]}
        recorded = Run("r1", source, source == "simulated", symbols, start, until, until, settings)
        Runs(pool).begin(recorded)
        return recorded

    return begin


@pytest.fixture
def handle(database: Settings, pool: Pool) -> Callable[..., None]:
    """Return a function that commits one minute of a run as the worker does: its bar, decision, order or skip."""

    def handle(
        run: Run, at: datetime, close: float = 1.1, decision: Decision | None = None, order: OrderIntent | None = None,
        skip: str = "", symbol: str = "EURUSD",
    ) -> None:  # fmt: skip
        ledger, bars = Ledger(pool), BarStore(pool)
        bar = Bar(symbol, at - MINUTE, close, close + 1e-4, close - 1e-4, close, spread=1e-5)
        bars.append(run.source, bar)
        venue: Venue = accounts.venue_of(run, database, ledger, bars, at=bar.open_time)
        venue.play(bar)
        venue.leave_expired(at)
        if order is not None:
            venue.place(order)
        ledger.commit(
            run.id, at,
            decisions=[decision] if decision else [],
            orders=[order] if order else [],
            journal=accounts.lines_of(venue.unrecorded()),
            skips=[Skip(symbol, at, skip)] if skip else [],
        )  # fmt: skip

    return handle


@pytest.fixture
def look(database: Settings, pool: Pool) -> Callable[..., Overview]:
    """Return a function that returns the overview at an instant while some processes run."""

    def look(now: datetime, processes: tuple[str, ...] = BOTH) -> Overview:
        services = tuple(
            ServiceStatus(name, 1 if name in processes else None, name in processes, "", 0, None) for name in BOTH
        )
        return status.look(database, pool, services, ManualClock(now))

    return look


def refused(at: datetime, why: str = "probability refused: 0.2, at least 0.55 is needed") -> Decision:
    return Decision(f"r1/{at:%H%M}", "EURUSD", at, False, None, ("level passed: 1.1", why), "simple_break@0")


def stopped(overview: Overview, symbol: str = "EURUSD") -> str:
    return next(symbol_state.stopped for symbol_state in overview.symbols if symbol_state.symbol == symbol)


def test_a_symbol_shows_its_last_bar_and_decision_and_why_nothing_was_opened(run, handle, look):
    handle(run(), TEN + MINUTE, decision=refused(TEN + MINUTE))
    overview = look(TEN + MINUTE + timedelta(seconds=40))
    (symbol,) = overview.symbols
    assert (symbol.last_bar, symbol.age) == (TEN + MINUTE, timedelta(seconds=40))
    assert (symbol.why, symbol.stopped) == ("probability refused: 0.2, at least 0.55 is needed", "")
    assert (overview.session.state, overview.session.simulated) == ("present", True)


def test_a_position_is_shown_with_its_profit_and_the_account_with_the_day(run, handle, look):
    order = OrderIntent("r1/o", "r1/1001", "EURUSD", Side.BUY, D(1), D("1.09"), D("1.12"), TEN + MINUTE, TEN + HOUR)
    recorded = run()
    bought = Decision("r1/1001", "EURUSD", TEN + MINUTE, True, Side.BUY, ("probability passed: 0.8",), "simple_break@0")
    handle(recorded, TEN + MINUTE, decision=bought, order=order)
    handle(recorded, TEN + 2 * MINUTE)
    handle(recorded, TEN + 3 * MINUTE, close=1.101)
    overview = look(TEN + 3 * MINUTE)
    symbol = overview.to_json()["symbols"]["EURUSD"]
    assert (symbol["position"]["side"], symbol["position"]["lots"]) == ("buy", "1.00")
    unrealised = D(symbol["position"]["pnl"])
    assert D("80") < unrealised < D("110")
    account = overview.to_json()["account"]
    assert D(account["balance"]) == D("9996.50")
    assert D(account["equity"]) == D("9996.50") + unrealised
    assert D(account["pnl_today"]) == D(symbol["pnl_today"]) == unrealised - D("3.50")


@pytest.mark.parametrize("silent", [4, 45])
def test_an_open_market_without_a_fresh_bar_stops_trading(run, handle, look, silent):
    handle(run(), TEN + MINUTE, decision=refused(TEN + MINUTE))
    assert f"no fresh bar for {silent} minutes on an open market" in stopped(look(TEN + (1 + silent) * MINUTE))


def test_a_closed_market_is_shown_with_its_next_opening(run, handle, look):
    recorded = run(until=datetime(2024, 3, 15, 21, tzinfo=UTC))
    handle(recorded, recorded.ends_at)
    assert stopped(look(SATURDAY)) == "the market is closed until 2024-03-17 21:00 UTC"


def test_crypto_trades_on_while_fx_is_closed(run, handle, look):
    recorded = run(symbols=("EURUSD", "BTCUSDT"), until=SATURDAY)
    handle(recorded, SATURDAY + MINUTE, close=60_000.0, symbol="BTCUSDT")
    overview = look(SATURDAY + MINUTE)
    assert "market is closed" in stopped(overview)
    assert stopped(overview, "BTCUSDT") == ""


def test_a_skipped_minute_shows_its_reason_until_the_next_decision(run, handle, look):
    recorded = run()
    handle(recorded, TEN + MINUTE, skip="no model of source simulated is served: train one")
    reason = "the minute up to 2024-03-12 10:01 UTC was skipped: no model of source simulated is served: train one"
    assert stopped(look(TEN + MINUTE)) == reason
    assert look(TEN + MINUTE).to_json()["symbols"]["EURUSD"]["reason"] == reason
    handle(recorded, TEN + 2 * MINUTE, decision=refused(TEN + 2 * MINUTE))
    assert stopped(look(TEN + 2 * MINUTE)) == ""


def test_an_account_at_its_daily_loss_limit_names_the_limit(run, handle, look):
    """Ten lots bought at 1.1: a fall of 60 pips loses 6,000 of 10,000 dollars."""
    recorded = run()
    order = OrderIntent("r1/o", "r1/1001", "EURUSD", Side.BUY, D(2), D("1.05"), D("1.2"), TEN + MINUTE, TEN + HOUR)
    bought = Decision("r1/1001", "EURUSD", TEN + MINUTE, True, Side.BUY, ("probability passed: 0.8",), "simple_break@0")
    handle(recorded, TEN + MINUTE, decision=bought, order=order)
    handle(recorded, TEN + 2 * MINUTE)
    handle(recorded, TEN + 3 * MINUTE, close=1.097)
    assert stopped(look(TEN + 3 * MINUTE)) == "account fx: daily loss limit of 5 % reached"


@pytest.mark.parametrize("dead", BOTH)
def test_a_process_that_does_not_run_stops_everything_with_what_to_do(run, handle, look, dead):
    handle(run(), TEN + MINUTE)
    overview = look(TEN + MINUTE, tuple(name for name in BOTH if name != dead))
    assert overview.session.state == "stopped"
    assert stopped(overview) == f"stopped at 2024-03-12 10:01 UTC, no {dead} runs: `mikrobot up` resumes it"


def test_a_run_in_preparation_shows_its_next_steps_and_its_opening_balance(run, look, database):
    run()
    pid_records.record("loop", database.home, os.getpid())
    overview = look(TEN, ())
    text = "bars, feature rows and models come first, then 2024-03-12 09:00 UTC to 2024-03-12 10:00 UTC is traded"
    assert (overview.session.state, overview.session.text, stopped(overview)) == ("preparing", text, text)


def test_a_process_that_is_started_again_while_a_segment_is_traded_stops_nothing(run, look, database):
    run(source="replay", until=TEN + HOUR)
    pid_records.record("loop", database.home, os.getpid())
    wanted.want_live(database, "r1", 0)
    assert (look(TEN, ("streamer",)).session.state, stopped(look(TEN, ("streamer",)))) == ("hours", "")


def test_a_process_that_stays_down_while_the_run_stays_up_is_named_with_the_remedy(run, look, database):
    run()
    for name in ("run", "stay"):
        pid_records.record(name, database.home, os.getpid())
    assert stopped(look(TEN, ("streamer",))).endswith("no worker runs: `mikrobot up` resumes it")


def test_between_two_segments_the_hours_of_the_next_one_are_named(database, pool, look):
    """Symbols of a replay that end at different times are traded one after the other."""
    segments = [
        {"symbols": [symbol], "history_from": (until - 2 * HOUR).isoformat(),
         "trade_from": (until - HOUR).isoformat(), "trade_until": until.isoformat()}
        for symbol, until in (("EURUSD", TEN), ("BTCUSDT", SATURDAY))
    ]  # fmt: skip
    settings = {**database.model_dump(mode="json"), "segments": segments}
    Runs(pool).begin(Run("r1", "replay", False, ("EURUSD", "BTCUSDT"), TEN - HOUR, SATURDAY, TEN, settings))
    Runs(pool).advance("r1", "worker", TEN)
    Runs(pool).finish("r1", "worker", 0)
    pid_records.record("loop", database.home, os.getpid())
    assert "then 2024-03-16 09:00 UTC to 2024-03-16 10:00 UTC is traded" in stopped(look(SATURDAY, ()))


def test_while_a_run_starts_its_services_no_other_one_is_asked_for(run, look, database):
    pid_records.record("run", database.home, os.getpid())
    assert look(TEN, ()).trouble == "a run is starting its services"
    run(source="replay")
    assert stopped(look(TEN, ())).endswith("no streamer and no worker runs: a run is starting its services")


def test_a_finished_replay_is_shown_as_finished_and_without_an_age(run, handle, look, pool):
    recorded = run("replay")
    handle(recorded, TEN, decision=refused(TEN))
    for name in BOTH:
        Runs(pool).finish(recorded.id, name, 0)
    overview = look(TEN + 1000 * HOUR, ())
    assert overview.session.state == "finished"
    assert stopped(overview) == "the replay is finished, it ended at 2024-03-12 10:00 UTC; nothing trades any more"
    assert overview.symbols[0].age is None
    assert overview.to_json()["account"]["pnl_today"] == "0.00"


def test_the_hours_of_a_run_are_the_past_and_no_bar_is_late_there(run, handle, look):
    handle(run(), TEN - 30 * MINUTE, decision=refused(TEN - 30 * MINUTE))
    overview = look(TEN + 5 * HOUR)
    assert (overview.session.state, stopped(overview)) == ("hours", "")


def test_before_the_first_run_it_explains_what_to_do(look):
    overview = look(TEN)
    assert (overview.session, overview.symbols) == (None, ())
    assert overview.trouble == "no session yet: `mikrobot run` starts one"


def test_the_json_keeps_its_contract_and_the_tables_hold_the_same(run, handle, look):
    handle(run(), TEN + MINUTE, decision=refused(TEN + MINUTE))
    overview = look(TEN + MINUTE)
    status_json = json.loads(json.dumps(overview.to_json()))
    assert {"services", "symbols", "account", "next_runs"} <= status_json.keys()
    assert all({"name", "ready", "address", "errors"} <= service.keys() for service in status_json["services"])
    assert status_json["symbols"]["EURUSD"].keys() >= KEYS
    assert {"balance", "equity", "pnl_today"} <= status_json["account"].keys()
    assert datetime.fromisoformat(status_json["symbols"]["EURUSD"]["last_bar"]) == TEN + MINUTE
    text = drawn(overview)
    for part in ("EURUSD", "2024-03-12 10:01, 0 s ago", "probability refused: 0.2", "SIMULATED", "10000"):
        assert part in text, part


@pytest.mark.parametrize(
    ("state", "reason", "shown"),
    [
        ("live", "", "Streams btcusdt@kline_1m: live; 1,200 messages, lost 0 times"),
        ("polling", "no attempt is allowed", "Streams btcusdt@kline_1m: polling, bars are read by REST: no attempt is"),
    ],
)
def test_the_streams_of_a_running_streamer_are_shown_with_their_state(
    run, handle, look, database, state, reason, shown
):
    handle(run(), TEN + MINUTE)
    connection = StreamStatus(("btcusdt@kline_1m",), state, reason, 1_200, 1, 0, 0)
    pid_records.record("streamer", database.home, os.getpid())
    reports.STREAMS.write((connection,), database.home)
    assert list(pid_records.recorded(database.home)) == ["streamer"]
    overview = look(TEN + MINUTE)
    assert overview.streams == (connection,)
    assert overview.to_json()["streams"][0]["state"] == state
    assert shown in drawn(overview)
    pid_records.forget("streamer", database.home)
    assert look(TEN + MINUTE).streams == ()


def test_a_member_of_the_source_that_is_away_is_shown_with_the_reason(run, handle, look, database):
    handle(run("simulated+mt5-local"), TEN + MINUTE)
    coins = VenueStatus("simulated", ("BTCUSDT",))
    pairs = VenueStatus("mt5-local", ("EURUSD", "GBPUSD"), TEN, "the terminal does not answer", 7)
    pid_records.record("streamer", database.home, os.getpid())
    reports.VENUES.write((coins, pairs), database.home)
    overview = look(TEN + MINUTE)
    assert overview.venues == (coins, pairs)
    assert overview.to_json()["venues"][1]["reason"] == "the terminal does not answer"
    text = drawn(overview)
    assert "Venue simulated (BTCUSDT): in time" in text
    away = (
        "Venue mt5-local (EURUSD, GBPUSD): away since 2024-03-12 10:00 UTC: the terminal does not answer; 7 bars came"
    )
    assert away in text
    pid_records.forget("streamer", database.home)
    assert look(TEN + MINUTE).venues == ()


@dataclass
class ClockedVenue:
    """A source whose venue has a clock of its own."""

    offset_s: float

    def clock_offset(self):
        return ClockOffset(timedelta(seconds=self.offset_s), timedelta(seconds=0.04))


@pytest.mark.parametrize(("offset_s", "shown"), [(-0.2, ""), (0.8, "the venue's clock is 0.800 s ahead of ours")])
def test_a_clock_that_differs_from_the_venues_is_shown(run, handle, look, database, offset_s, shown):
    handle(run(), TEN + MINUTE)
    pid_records.record("streamer", database.home, os.getpid())
    clock_report.write(ClockedVenue(offset_s), database.home)
    overview = look(TEN + MINUTE)
    assert overview.to_json()["clock_offset_s"] == offset_s
    assert shown in drawn(overview)
    assert ("the venue's clock" in drawn(overview)) is bool(shown)
    (finding,) = doctor._venue_clock(database.home)
    assert finding.ok is not bool(shown)
    reports.CLOCK.forget(database.home)
    pid_records.forget("streamer", database.home)
    assert look(TEN + MINUTE).clock is None


def test_the_order_books_of_a_running_streamer_are_shown_with_their_state(run, handle, look, database):
    handle(run(), TEN + MINUTE)
    live = BookStatus("BTCUSDT", "live", "", 1_200, 0, 0, 90, 100, 3, 1)
    lost = BookStatus("ETHUSDT", "lost", "changes are missing between 7 and 9", 800, 1, 0, 0, 0, 0, 2)
    pid_records.record("streamer", database.home, os.getpid())
    reports.BOOKS.write((live, lost), database.home)
    assert list(pid_records.recorded(database.home)) == ["streamer"]
    overview = look(TEN + MINUTE)
    assert overview.books == (live, lost)
    assert overview.to_json()["books"][1]["reason"] == "changes are missing between 7 and 9"
    text = drawn(overview)
    for part in ("1,200", "90.0%", "lost", "changes are missing between 7 and 9"):
        assert part in text, part
    reports.BOOKS.forget(database.home)
    assert look(TEN + MINUTE).books == ()


def test_a_recording_that_has_stopped_in_part_is_shown_with_the_reason(run, handle, look, database):
    handle(run(), TEN + MINUTE)
    pid_records.record("streamer", database.home, os.getpid())
    status = RecordingStatus("/rec", 12_000, 3_400_000, 0, "", 7, "the disk of /rec has 12 MB left")
    reports.RECORDING.write(status, database.home)
    overview = look(TEN + MINUTE)
    assert overview.to_json()["recording"]["books_stopped"] == "the disk of /rec has 12 MB left"
    text = drawn(overview)
    for part in (
        "12,000 messages, 3.4 MB",
        "7 of order books left out",
        "order books stopped: the disk of /rec has 12 MB",
    ):
        assert part in text, part
    reports.RECORDING.forget(database.home)


def test_flows_that_are_due_are_shown_with_the_time_until_then(run, handle, look):
    handle(run(), TEN + MINUTE)
    overview = replace(look(TEN), schedules=Schedules((PlannedRun("ingest", TEN + 5 * MINUTE),)))
    assert overview.to_json()["next_runs"] == [{"deployment": "ingest", "at": "2024-03-12T10:05:00+00:00"}]
    assert "5 min 0 s" in drawn(overview)
    ahead = replace(overview, at=TEN + timedelta(hours=3))  # the clock of a market at 60 times real speed
    assert "5 min 0 s" in drawn(replace(ahead, schedules=replace(overview.schedules, at=TEN)))


def drawn(overview: Overview) -> str:
    console = Console(width=240, file=StringIO())
    for table in status_tables.tables(overview):
        console.print(table)
    return console.file.getvalue()


def test_watch_draws_again_and_ends_by_ctrl_c_with_code_0(install, tmp_path: Any) -> None:
    with install(tmp_path) as installation:
        process = installation.start("status", "--watch", "--json")
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert [line["symbols"] for line in lines] == [{}, {}]
    assert not any(service["ready"] for service in lines[0]["services"])
    assert (process.returncode, err) == (0, "")

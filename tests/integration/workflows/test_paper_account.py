"""The paper account of a source: exact from run to run, no result counted twice, and a new start by a reset."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from mikrobot.domain.errors import UsageError
from mikrobot.domain.market import Bar
from mikrobot.domain.trading import Decision, OrderIntent, Side
from mikrobot.live import accounts, arms, pid_records, wiring
from mikrobot.paper import venue as rules
from mikrobot.paper.fills import fills_of
from mikrobot.paper.journal import Booked
from mikrobot.paper.slippage import NO_SLIPPAGE
from mikrobot.paper.venue import VENUE_RULES, milliseconds
from mikrobot.runtime import ManualClock
from mikrobot.settings import Settings
from mikrobot.stack import supervisor
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run, Runs
from mikrobot.workflows import paper_account

NINE = datetime(2024, 3, 11, 9, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FLAT = (1.1, 1.1002, 1.0998, 1.1)
WON = (1.1, 1.103, 1.0999, 1.1029)
RISEN = (1.1, 1.1006, 1.0999, 1.1005)


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable slippage, so that every cent can be computed by hand."""
    exact = {name: replace(profile, slippage=NO_SLIPPAGE) for name, profile in VENUE_RULES.items()}
    monkeypatch.setattr(rules, "VENUE_RULES", exact)
    monkeypatch.setattr(accounts, "VENUE_RULES", exact)


@pytest.fixture
def begin(database: Settings, pool: Pool) -> Callable[..., Run]:
    """Return a function that records a run of one hour with its opening balances, as `mikrobot run` does."""

    def begin(id: str, source: str, at: datetime, symbols: tuple[str, ...] = ("EURUSD",), **changed: Any) -> Run:
        settings = database.model_copy(update=changed)
        segment = {
            "symbols": list(symbols), "history_from": at.isoformat(), "trade_from": at.isoformat(),
            "trade_until": (at + HOUR).isoformat(),
        }  # fmt: skip
        recorded = {**settings.model_dump(mode="json"), "segments": [segment]}
        run = Run(id, source, source == "simulated", symbols, at, at + HOUR, at + HOUR + 3 * MINUTE, recorded)
        opening = paper_account.take_up(settings, pool, run)
        run = replace(run, settings={**run.settings, **opening.to_json()})
        for recorded in (run, *arms.following(run, settings)):
            Runs(pool).begin(recorded)
        return run

    return begin


@pytest.fixture
def trade(database: Settings, pool: Pool) -> Callable[..., None]:
    """Return a function that buys one lot in the first minute of a run and plays bars, as the worker does."""

    def trade(run: Run, *prices: tuple[float, float, float, float], symbol: str = "EURUSD") -> None:
        ledger, bars = Ledger(pool), BarStore(pool)
        for number, (first, high, low, last) in enumerate((FLAT, *prices)):
            bar = Bar(symbol, run.starts_at + number * MINUTE, first, high, low, last, spread=0.0001)
            bars.append(run.source, bar)
            venue = accounts.venue_of(run, wiring.rules_of(database, run), ledger, bars, at=bar.open_time)
            venue.play(bar)
            venue.leave_expired(bar.close_time)
            order = None if number else bought(run, bar.close_time)
            if order is not None:
                venue.place(order)
            ledger.commit(
                run.id, bar.close_time,
                decisions=[] if order is None else [decided(order)],
                orders=[] if order is None else [order],
                journal=accounts.lines_of(venue.unrecorded()),
            )  # fmt: skip

    return trade


def bought(run: Run, at: datetime) -> OrderIntent:
    key = f"{run.id}/{at:%H%M}"
    return OrderIntent(key, key, "EURUSD", Side.BUY, D(1), D("1.09800"), D("1.10300"), at, at + HOUR)


def decided(order: OrderIntent) -> Decision:
    return Decision(order.decision_id, order.symbol, order.submitted_at, True, order.side, ("sure",), "simple_break@0")


def opening(run: Run) -> dict[str, str]:
    return run.settings["opening"]


def shown(settings: Settings, pool: Pool, source: str, at: datetime) -> paper_account.PaperAccount:
    account = paper_account.state(settings, pool, source, ManualClock(at))
    assert account is not None
    return account


def test_the_first_run_divides_the_setting_among_its_markets(begin):
    run = begin("r1", "simulated", NINE, ("EURUSD", "BTCUSDT"), balance=D("10000.01"))
    assert opening(run) == {"crypto": "5000.01", "fx": "5000.00"}


def test_a_run_on_a_live_source_opens_with_what_the_run_before_has_left(begin, trade):
    """Entry at 1.10010, exit at 1.10300: 290.00 less 7.00 commission; the setting `balance` no longer applies."""
    trade(begin("r1", "simulated", NINE), FLAT, WON)
    run = begin("r2", "simulated", NINE + DAY, balance=D(500))
    assert (opening(run), run.settings["continues"]) == ({"fx": "10283.00"}, "r1")
    assert wiring.rules_of(Settings(), run).balance == D("10283.00")


def test_what_is_open_when_another_run_takes_the_account_up_is_closed_at_its_last_price(begin, trade, database, pool):
    """Bought at 1.10010, the last bid is 1.10050: 40.00 less 7.00, in the journal of the run that bought it."""
    first = begin("r1", "simulated", NINE)
    trade(first, RISEN)
    assert opening(begin("r2", "simulated", NINE + DAY)) == {"fx": "10033.00"}
    entry, leaving = accounts.fills(Ledger(pool), first)
    assert (leaving.reason.value, leaving.price, leaving.pnl, leaving.order_id) == (
        "run_end", D("1.10050"), D("40.00"), entry.order_id,
    )  # fmt: skip
    before = Ledger(pool).journal("r1")
    assert opening(begin("r3", "simulated", NINE + DAY)) == {"fx": "10033.00"}
    assert Ledger(pool).journal("r1") == before


def test_a_backtest_of_a_closed_run_compares_its_hours_without_the_closing(begin, trade, pool):
    first = begin("r1", "simulated", NINE)
    trade(first, RISEN)
    before = accounts.of_the_hours(first, accounts.journals(Ledger(pool), "r1"))
    begin("r2", "simulated", NINE + DAY)
    after = accounts.of_the_hours(first, accounts.journals(Ledger(pool), "r1"))
    assert after == before
    assert len(fills_of(after)) == 1


def test_a_run_that_never_traded_a_minute_is_passed_over(begin, trade):
    trade(begin("r1", "simulated", NINE), FLAT, WON)
    begin("r2", "simulated", NINE + HOUR)
    run = begin("r3", "simulated", NINE + DAY)
    assert (opening(run), run.settings["continues"]) == ({"fx": "10283.00"}, "r1")


def test_a_run_that_has_not_traded_yet_shows_what_it_opens_with(begin, trade, database, pool):
    begin("r1", "simulated", NINE, ("EURUSD", "BTCUSDT"), balance=D(9000))
    (shown,) = paper_account.overview(database, pool, ManualClock(NINE))
    assert (shown.run, shown.valuation.balances) == (None, {"crypto": D(4500), "fx": D(4500)})
    assert (shown.valuation.equity, shown.pnl, shown.valuation.holdings) == (D(9000), D(0), ())


def test_sources_have_accounts_of_their_own(begin, trade):
    trade(begin("r1", "simulated", NINE), FLAT, WON)
    assert opening(begin("r2", "replay", NINE + DAY)) == {"fx": "10000.00"}


def test_hours_that_are_replayed_again_start_from_the_same_balance_and_count_once(begin, trade, database, pool):
    first, again = begin("r1", "replay", NINE), None
    trade(first, FLAT, WON)
    again = begin("r2", "replay", NINE)
    assert (opening(again), again.settings["continues"]) == (opening(first), None)
    trade(again, FLAT, WON)
    assert shown(database, pool, "replay", NINE + DAY).valuation.balance == D("10283.00")


def test_a_replay_of_later_hours_continues_the_replay_that_ended_before_them(begin, trade):
    trade(begin("r1", "replay", NINE), FLAT, WON)
    later = begin("r2", "replay", NINE + HOUR)
    assert (opening(later), later.settings["continues"]) == ({"fx": "10283.00"}, "r1")
    trade(later, FLAT, WON)
    once_more = begin("r3", "replay", NINE + HOUR)
    assert opening(once_more) == opening(later)


def test_other_markets_divide_what_is_left_to_the_cent(begin, trade):
    trade(begin("r1", "simulated", NINE), FLAT, WON)
    assert opening(begin("r2", "simulated", NINE + DAY, ("EURUSD", "BTCUSDT"))) == {
        "crypto": "5141.50",
        "fx": "5141.50",
    }


def test_an_arm_opens_with_the_balances_of_its_run_or_with_its_own(begin, trade, database, pool):
    trade(begin("r1", "simulated", NINE), FLAT, WON)
    begin("r2", "simulated", NINE + DAY, arms=("careful:profile=ftmo", "small:balance=5000"))
    careful, small = Runs(pool).followers("r2")
    opened = {run.id: accounts.opened_venue(run, wiring.rules_of(database, run)) for run in (careful, small)}
    cash = {name: venue.exchange.accounts["fx"].balance("USD") for name, venue in opened.items()}
    assert cash == {"r2-careful": D("10283.00"), "r2-small": D("5000.00")}


def test_a_reset_starts_again_and_deletes_nothing(begin, trade, database, pool):
    first = begin("r1", "simulated", NINE)
    trade(first, RISEN)
    before = Ledger(pool).journal("r1")
    paper_account.reset(pool, "simulated", D(5000), ManualClock(NINE + 2 * HOUR))
    account = shown(database, pool, "simulated", NINE + 3 * HOUR)
    assert (account.run, account.valuation.balance, account.valuation.equity, account.pnl) == (
        None,
        D(5000),
        D(5000),
        0,
    )
    run = begin("r2", "simulated", NINE + DAY)
    assert (opening(run), run.settings["continues"]) == ({"fx": "5000.00"}, None)
    assert Ledger(pool).journal("r1") == before


@pytest.mark.parametrize("process", ["loop", "worker"])
def test_an_account_that_a_run_uses_is_not_reset_even_before_it_trades(begin, database, pool, process):
    begin("r1", "simulated", NINE)
    assert paper_account.source_to_reset(database, pool, None) == "simulated"
    pid_records.record(process, database.home, os.getpid())
    with pytest.raises(UsageError, match=r"run r1 uses the account of source simulated: reset it after its end"):
        paper_account.source_to_reset(database, pool, None)
    assert paper_account.source_to_reset(database, pool, "replay") == "replay"


def test_a_reset_cannot_be_changed(pool):
    paper_account.reset(pool, "replay", D(5000), ManualClock(NINE))
    for statement_ in ("UPDATE account_reset SET balance = 1", "DELETE FROM account_reset", "TRUNCATE account_reset"):
        with pytest.raises(Exception, match="permission denied"), pool.connection() as connection:
            connection.execute(statement_)


def test_a_run_whose_account_was_reset_is_not_resumed(begin, trade, database, pool):
    trade(begin("r1", "simulated", NINE), FLAT)
    paper_account.reset(pool, "simulated", D(5000), ManualClock(NINE + 2 * HOUR))
    messages: list[str] = []
    assert supervisor.resume(database, messages.append) == []
    assert messages == ["the paper account of source simulated was reset after run r1: `mikrobot run` starts with it"]


def test_an_account_on_which_nothing_is_left_is_refused_with_the_way_out(begin, trade, pool):
    first = begin("r1", "simulated", NINE, balance=D("3.00"))
    trade(first)
    number = len(Ledger(pool).journal("r1"))
    lost = accounts.lines_of({"fx": [Booked(number, milliseconds(NINE + MINUTE), "fee", "USD", -300, "")]})
    Ledger(pool).append("r1", lost)
    with pytest.raises(UsageError, match=r"0.00 USD left: `mikrobot account reset --source simulated`"):
        begin("r2", "simulated", NINE + DAY)


def test_the_account_shows_what_is_open_and_what_today_brought(begin, trade, database, pool):
    """Yesterday's profit is 283.00; today, bought at 1.10010 with a bid of 1.10050: 40.00 unrealised, 3.50 paid."""
    trade(begin("r1", "simulated", NINE), FLAT, WON)
    trade(begin("r2", "simulated", NINE + DAY), RISEN)
    account = shown(database, pool, "simulated", NINE + DAY + HOUR)
    assert (account.valuation.balance, account.valuation.equity) == (D("10279.50"), D("10319.50"))
    assert (account.pnl_today, account.pnl) == (D("36.50"), D("319.50"))
    assert account.earned_today == {"EURUSD": D("36.50")}
    (position,) = account.to_json()["positions"]
    assert position == {"symbol": "EURUSD", "side": "buy", "lots": "1.00", "price": "1.10010", "pnl": "40.00"}
    tomorrow = shown(database, pool, "simulated", NINE + 2 * DAY)
    assert (tomorrow.pnl_today, tomorrow.pnl) == (D(0), D("319.50"))


def test_of_a_run_over_midnight_only_the_part_after_it_is_of_today(begin, trade, database, pool):
    """Entered at 23:01 at 1.10010, the bid is 1.10000 at midnight; price reaches the target of 1.10300 later."""
    late = datetime(2024, 3, 11, 23, tzinfo=UTC)
    trade(begin("r1", "simulated", late), *[FLAT] * 59, WON)
    account = shown(database, pool, "simulated", late + 2 * HOUR)
    assert account.valuation.balance == D("10283.00")
    assert account.pnl_today == D("300.00") - D("3.50")

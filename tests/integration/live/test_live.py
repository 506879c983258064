"""Streamer and worker in a replay in which processes and servers are killed, each at a chosen instant.

After every kill, the ledger of the run equals that of an undisturbed run: no minute is repeated or missing, no fill is
lost or duplicated. A trigger chooses the instant: it holds a certain row inside the transaction that inserts it, so
that every kill happens at the same point of the same minute.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

import psycopg
import pytest

from mikrobot.domain.errors import ModelError
from mikrobot.domain.news import NewsCalendar, NewsEvent
from mikrobot.domain.trading import Decision, FillReason
from mikrobot.live import accounts, arms
from mikrobot.models.scope import scopes_of
from mikrobot.models.task import Task
from mikrobot.runtime import wait_until
from mikrobot.stack import processes, wanted
from mikrobot.store import web_access
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.model_registry import open_registry
from mikrobot.store.postgres import bundled, database
from mikrobot.store.postgres.database import Pool
from mikrobot.store.postgres.roles import OWNER
from mikrobot.store.runs import Runs
from mikrobot.workflows import explain, promote, reconcile, replay_run
from mikrobot.workflows.backtest_files import Files
from mikrobot.workflows.why_not import Answer, why_not
from tests.replay_market import CLOCK, FROM, NOTHING, SYMBOLS, UNTIL, Market, made_up_model

HALFWAY = FROM + timedelta(minutes=50)

ANNOUNCEMENT = (
    f"BEFORE INSERT ON progress FOR EACH ROW WHEN (NEW.process = 'streamer' AND NEW.close_time = '{HALFWAY}')"
)
"""The minute's bars are stored and its rows are online, but the minute is not announced."""

BOOKING = "BEFORE INSERT ON journal FOR EACH ROW WHEN (NEW.kind = 'booked' AND NEW.record->>'kind' = 'realised')"
"""The first exit: predictions, decisions, orders and earlier records of the minute are written, but not committed."""


ARMS = ("careful:profile=ftmo,balance=5000", "choosy:entry_probability=0.7")


@contextmanager
def held(market: Market, run_id: str, row: str) -> Iterator[Callable[[], None]]:
    """Trade a run; enter when the transaction that inserts a row is held, release it and finish the run on exit.

    Yields a function that waits until the server has noticed that the client of that transaction has ended: before
    that, it would still execute the statement after the release.
    """
    market.begin(run_id)
    address = database.url(market.settings, OWNER)
    with ThreadPoolExecutor(1) as executor:
        with closing(psycopg.connect(address, autocommit=True)) as holder:
            holder.execute("SELECT pg_advisory_lock(1)")
            holder.execute(HOLD)
            holder.execute(f"CREATE TRIGGER hold {row} EXECUTE FUNCTION hold()")
            run = executor.submit(market.trade, run_id)
            wait_until(lambda: run.done() or waits(address), "nothing was held", CLOCK, timeout_s=180, every_s=0.02)
            assert not run.done()
            yield lambda: wait_until(lambda: not waits(address), "a dead client is served on", CLOCK, timeout_s=20)
        run.result(timeout=120)
    with psycopg.connect(address) as connection:
        connection.execute("DROP FUNCTION hold CASCADE")


HOLD = """
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$
"""


def waits(address: str) -> bool:
    with psycopg.connect(address) as connection:
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return connection.execute(waiting).fetchone() != (0,)


@pytest.mark.parametrize(
    ("victim", "row"), [("worker", BOOKING), ("streamer", ANNOUNCEMENT)], ids=["worker", "streamer"]
)
def test_a_process_killed_inside_a_minute_resumes_without_a_trace_in_the_ledger(market, undisturbed, victim, row):
    run_id = f"{victim} killed"
    with held(market, run_id, row) as await_noticed:
        market.kill(victim)
        await_noticed()
    assert market.ledger(run_id) == undisturbed


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 6))
def test_a_worker_killed_at_random_instants_rebuilds_its_accounts_to_the_cent(market, undisturbed, seed):
    """The worker is killed after every restart; at any point of a minute, no fill is lost or duplicated."""
    run_id = f"random {seed}"
    market.begin(run_id)
    kill_at_random(market, run_id, Random(seed))
    assert market.ledger(run_id) == undisturbed
    with database.open_pool(market.settings) as pool:
        assert standing_of(market, pool, run_id) == standing_of(market, pool, "calm")


def kill_at_random(market: Market, run_id: str, rng: Random) -> None:
    """Trade a run, and kill its worker after every restart."""
    with ThreadPoolExecutor(1) as executor, database.open_pool(market.settings) as pool:
        run, runs = executor.submit(market.trade, run_id), Runs(pool)
        for minute in sorted(rng.sample(range(5, 80), 3)):
            at = FROM + timedelta(minutes=minute)
            wait_until(
                lambda at=at: market.runs("worker") and (runs.reached(run_id, "worker") or FROM) >= at,
                "the worker does not go on", CLOCK, timeout_s=120, every_s=rng.uniform(0.001, 0.05),
            )  # fmt: skip
            market.kill("worker")
        run.result(timeout=120)


def test_a_challenger_predicts_in_the_shadow_of_the_champion_and_only_an_arm_trades_on_it(market, undisturbed):
    """The challenger is the same model under another version, so its arm trades like the run."""
    registry = open_registry(market.settings, signing=True)
    version = registry.log(made_up_model(), **NOTHING, data_name="none", data_sha256="0" * 64)
    scopes = scopes_of("replay", SYMBOLS)
    for scope in scopes:
        registry.challenge("bos", version, scope)
        page = f"{market.settings.bento_url}/challenger?symbol={scope.symbol}"
        served = partial(processes.answers, page, web_access.login(market.settings, "bento"))
        wait_until(served, "the challenger is not served", CLOCK, timeout_s=30)
    market.begin("shadowed", arms=("new:model=challenger",))
    market.trade("shadowed")
    assert market.ledger("shadowed") == undisturbed
    champion = registry.champion("bos", scopes[0])
    by_the_challenger = market.ledger("shadowed-new")
    assert by_the_challenger != undisturbed
    assert [
        line.replace(f"model_version='{version}'", f"model_version='{champion}'").replace(
            f"answered by bos {version},", f"answered by bos {champion},"
        )
        for line in by_the_challenger
    ] == undisturbed
    with database.open_pool(market.settings) as pool:
        ledger = Ledger(pool)
        counted = {scope: ledger.shadows("bos", version, scope.symbol) for scope in scopes}
        assert sum(counted.values()) == len(ledger.predictions("shadowed"))
    few = market.settings.model_copy(update={"shadow_predictions": max(counted.values()) + 1})
    assert promote.reconsider(few) == [
        promote.Reconsidered(
            scope, version, False,
            f"shadow refused: {count} shadow predictions, {few.shadow_predictions} required",
        )
        for scope, count in counted.items()
    ]  # fmt: skip
    for scope in scopes:
        assert registry.holders("bos", "challenger")[scope] == version
        registry.dismiss("bos", scope)
    assert promote.reconsider(few) == []


def test_each_symbol_is_traded_by_the_model_that_learned_from_it(market, undisturbed):
    registry = open_registry(market.settings, signing=True)
    eurusd, btcusdt = scopes_of("replay", ("EURUSD", "BTCUSDT"))
    both = registry.champion("bos", eurusd)
    alone = registry.log(made_up_model(symbols=("BTCUSDT",)), **NOTHING, data_name="none", data_sha256="0" * 64)
    assert registry.promote("bos", alone, "for the test") == (btcusdt,)
    try:
        market.begin("apart")
        market.trade("apart")
    finally:
        assert registry.rollback("bos", "after the test", ["BTCUSDT"]) == {btcusdt: both}
    with database.open_pool(market.settings) as pool:
        predictions, decisions = Ledger(pool).predictions("apart"), Ledger(pool).decisions("apart")
    assert {(record.symbol, record.model_version) for record in predictions} == {("EURUSD", both), ("BTCUSDT", alone)}
    assert {(record.symbol, record.reasons[0]) for record in decisions} == {
        ("EURUSD", f"answered by bos {both}, learned from BTCUSDT, EURUSD"),
        ("BTCUSDT", f"answered by bos {alone}, learned from BTCUSDT"),
    }


def test_arms_trade_like_runs_of_their_own_and_the_latest_run_is_that_which_they_follow(market, undisturbed):
    market.begin("alone", profile="ftmo", balance=Decimal(5000))
    market.trade("alone")
    market.begin("several", arms=ARMS)
    market.trade("several")
    assert market.ledger("several") == undisturbed
    assert market.ledger("several-careful") == market.ledger("alone") != undisturbed
    assert market.ledger("several-choosy") not in (undisturbed, market.ledger("alone"))
    with database.open_pool(market.settings) as pool:
        assert [run.id for run in Runs(pool).followers("several")] == ["several-careful", "several-choosy"]
        latest = Runs(pool).latest()
        assert latest is not None
        assert latest.id == "several"


@pytest.mark.soak
def test_arms_trade_the_same_wherever_the_worker_is_killed(market, undisturbed):
    market.begin("calm arms", arms=ARMS)
    market.trade("calm arms")
    market.begin("killed arms", arms=ARMS)
    kill_at_random(market, "killed arms", Random(3))
    for arm in ("", "-careful", "-choosy"):
        calm = [line.replace("calm arms", "killed arms") for line in market.ledger(f"calm arms{arm}")]
        assert market.ledger(f"killed arms{arm}") == calm


EVERY_SEVENTH = """
from mikrobot.decision.signals import NoSignal, Signal
from mikrobot.decision.strategies.strategy import Strategy
from mikrobot.domain.trading import Side

class EverySeventh(Strategy):
    columns = ("m1_rsi_14",)
    def signal(self, outlook, memory):
        memory["closes"] = memory.get("closes", 0) + 1
        if memory["closes"] % 7:
            return NoSignal(f"close {memory['closes']} at RSI {outlook.features['m1_rsi_14']:.3f}", "count")
        side = Side.BUY if outlook.features["m1_rsi_14"] < 50 else Side.SELL
        if memory["closes"] % 14 == 0:
            return Signal(side, outlook.close - side.sign * 6 * outlook.atr, minutes=5)
        entry = outlook.close - outlook.atr / 10
        return Signal(Side.SELL, entry + 6 * outlook.atr, minutes=6, entry=entry)
"""


def test_a_users_strategy_trades_through_a_kill_with_what_it_remembers_and_again_in_the_backtest(market, tmp_path):
    from expectations.quality_gate import check

    path = tmp_path / "rules.py"
    path.write_text(EVERY_SEVENTH)
    publication = NewsEvent(FROM + timedelta(minutes=110), "USD", "high", "Employment")
    calendar = NewsCalendar((publication,), UNTIL)
    used = {"strategies": (f"{path}:EverySeventh", "simple_break"), "news": calendar}
    market.begin("rules", **used)
    market.trade("rules")
    market.begin("rules killed", **used)
    kill_at_random(market, "rules killed", Random(5))
    assert market.ledger("rules killed") == market.ledger("rules")
    with database.open_pool(market.settings) as pool:
        decisions, orders = Ledger(pool).decisions("rules"), Ledger(pool).orders("rules")
        fills = accounts.fills(Ledger(pool), Runs(pool).get("rules"))
    near = {d.close_time for d in decisions if not next(check for check in d.checks if check.name == "news").passed}
    assert near == {FROM + timedelta(minutes=minute) for minute in range(81, 101)}
    assert not {order.submitted_at for order in orders} & near
    entered = {fill.order_id for fill in fills if fill.reason is FillReason.ENTRY}
    assert {order.entry is None for order in orders if order.id in entered} == {True, False}
    decided = {title: [d for d in decisions if d.strategy.startswith(f"{title}@")] for title in used["strategies"][1:]}
    decided["EverySeventh"] = [d for d in decisions if d.strategy.startswith("EverySeventh@")]
    assert {title: len(own) for title, own in decided.items()} == {"simple_break": 200, "EverySeventh": 200}
    proposed = [d for d in decided["EverySeventh"] if d.side is not None]
    assert len(proposed) == 28
    assert any(d.approved for d in proposed)
    assert any(d.terminal_reason == "news" for d in proposed)
    market.materialize_everything(lambda frame: check(frame, "features", market.settings.quarantine_share))
    result = reconcile.compare(market.settings, CLOCK, "rules", lambda line: None)
    assert result["fidelity"]["differences"] == []
    assert result["fidelity"]["decisions_alike"] == result["decisions"] == 400
    check_the_replay_of_a_run(market, decisions)


def check_the_replay_of_a_run(market: Market, decisions: Sequence[Decision]) -> None:
    """The run is decided again to the byte, and `why_not` names a change where one check alone has refused."""
    same = replay_run.replay(market.settings, CLOCK, "rules", lambda line: None, changed={})
    assert same.identical
    assert same.decisions == (400, 400)
    assert [len(same.manifest[name]) for name in ("code", "configuration")] == [64, 64]
    assert {len(model["sha256"]) for model in same.manifest["models"]} == {64}
    json.dumps(same.to_json(), allow_nan=False)
    traded = next(d for d in decisions if d.approved)
    with pytest.raises(ModelError, match="has no boosted trees; only they explain a prediction"):
        explain.with_contributions(market.settings, CLOCK, traded.id, lambda line: None)
    changed = {"entry_probability": "0.999"}
    other = replay_run.replay(market.settings, CLOCK, "rules", lambda line: None, changed=changed)
    assert other.transitions["approved -> probability"] > 0
    assert sum(other.transitions.values()) == len(other.differences) < 400
    assert {difference.id.rpartition("/")[2] for difference in other.differences} >= {"simple_break"}
    refused = {d.terminal_reason: d for d in decisions if not d.approved and d.strategy.startswith("simple_break@")}
    answers = {reason: ask(market, decision, "simple_break") for reason, decision in refused.items()}
    assert all(answer.reproduced for answer in answers.values())
    by_spread = next(d for d in decisions if [c.name for c in d.checks if not c.passed] == ["spread"])
    changes = {change.name: change for change in ask(market, by_spread, by_spread.strategy.partition("@")[0]).changes}
    assert 0 <= changes["spread"].needed < changes["spread"].value
    counted = ask(market, next(d for d in decisions if d.terminal_reason == "count"), "EverySeventh")
    assert (counted.reproduced, counted.changes) == (True, ())


def ask(market: Market, refused: Decision, strategy: str) -> Answer:
    """Return why a strategy of the run `rules` did not trade."""
    (answer,) = why_not(
        market.settings, CLOCK, "rules", lambda line: None,
        symbol=refused.symbol, close_time=refused.close_time, strategy=strategy,
    ).answers  # fmt: skip
    assert answer.decision == refused
    return answer


def test_a_market_that_is_split_gives_each_day_of_a_symbol_to_one_arm(market, undisturbed):
    market.begin("split", arms=("other:profile=session1",), split=True)
    market.trade("split")
    with database.open_pool(market.settings) as pool:
        ledger, runs = Ledger(pool), Runs(pool)
        traded = {run_id: {order.symbol for order in ledger.orders(run_id)} for run_id in ("split", "split-other")}
        whole = {order.symbol for order in ledger.orders("calm")}
        owner = {symbol: arms.share_of(runs.get("split")).owner(symbol, FROM) for symbol in market.segment.symbols}
        refused = [decision for decision in ledger.decisions("split-other") if "share refused" in decision.reasons[-1]]
    assert traded["split"] | traded["split-other"] == whole
    assert traded["split"] == {symbol for symbol in whole if owner[symbol] == arms.MAIN}
    assert traded["split-other"] == {symbol for symbol in whole if owner[symbol] == "other"}
    assert {decision.symbol for decision in refused} == {s for s, arm in owner.items() if arm == arms.MAIN}


def standing_of(market: Market, pool: Pool, run_id: str) -> dict[str, tuple[Any, ...]]:
    """Return cash, positions and live orders of each account, rebuilt from the ledger."""
    venue = accounts.venue_of(Runs(pool).get(run_id), market.settings, Ledger(pool), BarStore(pool), at=UNTIL)
    return {
        name: (account.balances, account.totals, account.positions, sorted(account.live))
        for name, account in venue.exchange.accounts.items()
    }


def test_a_postgres_killed_inside_a_transaction_and_started_again_loses_and_doubles_nothing(market, undisturbed):
    with held(market, "postgres killed", BOOKING):
        market.kill("postgres")
        bundled.start(market.settings.home, market.settings.host, market.settings.postgres_port)
    assert market.ledger("postgres killed") == undisturbed


def test_a_prediction_service_that_is_killed_is_started_again_and_no_minute_is_skipped(market, undisturbed):
    """Its head alone is killed; the process that it leaves on its port is ended first."""
    with held(market, "bento killed", BOOKING):
        market.kill("bento", children=False)
    assert market.ledger("bento killed") == undisturbed


def test_a_worker_that_may_predict_in_process_trades_on_while_the_service_is_down(market, undisturbed):
    alone = replace(market, settings=market.settings.model_copy(update={"predict_in_process": True}))
    with held(alone, "service down", BOOKING):
        wanted.drop(market.settings.home, ["bento"])
        market.kill("bento")
    assert not market.runs("bento")
    records = market.ledger("service down")
    assert any(", in process" in record for record in records)
    assert [record.replace(", in process", "") for record in records] == undisturbed
    market.serve()


def test_rows_that_are_materialised_meanwhile_do_not_hide_those_of_the_streamer(market, undisturbed):
    from expectations.quality_gate import check  # takes seconds, which the other tests need not wait

    with held(market, "materialised", ANNOUNCEMENT):
        market.materialize_everything(lambda frame: check(frame, "features", market.settings.quarantine_share))
    assert market.ledger("materialised") == undisturbed


def test_the_backtest_of_a_run_and_of_its_arm_differs_in_nothing_from_them(market, undisturbed):
    from expectations.quality_gate import check

    market.begin("judged", arms=("careful:profile=ftmo",), split=True)
    market.trade("judged")
    market.materialize_everything(lambda frame: check(frame, "features", market.settings.quarantine_share))
    other = {"profile": "lightning", "entry_probability": 0.9, "balance": Decimal(70), "swing": 15, "seed": 8}
    today = market.settings.model_copy(update=other)
    results = [reconcile.compare(today, CLOCK, run, lambda line: None) for run in ("judged", "judged-careful")]
    assert [result["profile"] for result in results] == ["session1", "ftmo"]
    for result in results:
        assert result["fidelity"]["differences"] == []
        assert result["fidelity"]["decisions_alike"] == result["decisions"] == len(market.segment.symbols) * 100
        assert result["journals_alike"] == {"crypto": True, "fx": True}
    assert sum(result["fidelity"]["orders_alike"] for result in results) >= 4


def test_a_model_of_swing_15_is_traded_on_its_own_levels_and_again_in_the_backtest_of_the_run(
    market, undisturbed, tmp_path
):
    from expectations.quality_gate import check

    registry = open_registry(market.settings, signing=True)
    wide = registry.log(made_up_model(15), **NOTHING, data_name="none", data_sha256="0" * 64)
    registry.promote("bos", wide, "for the test")
    try:
        market.begin("wide", swing=15)
        market.trade("wide")
    finally:
        registry.rollback("bos", "after the test")
    with database.open_pool(market.settings) as pool:
        ledger = Ledger(pool)
        asked = {(answer.symbol, answer.close_time): answer.features for answer in ledger.predictions("wide")}
        decisions = ledger.decisions("wide")
    assert asked
    for decision in decisions:
        above, below = (asked[decision.symbol, decision.close_time][name] for name in Task("bos", 15).columns)
        assert decision.reasons[1] == f"level passed: above {above:.10g}, below {below:.10g}".replace("nan", "none")
    market.materialize_everything(lambda frame: check(frame, "features", market.settings.quarantine_share))
    files = Files(tmp_path / "report.html", tmp_path / "trades.csv")
    result = reconcile.compare(market.settings, CLOCK, "wide", lambda line: None, files=files)
    assert result["fidelity"]["differences"] == []
    assert " · swing 15 · run wide" in files.report.read_text(encoding="utf-8")
    assert len(files.trades.read_text(encoding="utf-8").splitlines()) == result["trades"] + 1
    assert result["fidelity"]["decisions_alike"] == result["decisions"] == len(decisions)

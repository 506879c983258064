"""Operators stop a worker on a real database: from the acknowledgement on, nothing is opened by any run."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from mikrobot.decision.loss_guards import COOLDOWN
from mikrobot.decision.outlook import Outlook
from mikrobot.domain.market import Bar, bars_of
from mikrobot.domain.trading import Decision, FillReason
from mikrobot.domain.trading_states import Permission, TradingState
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.live import accounts, pid_records
from mikrobot.live.operator_states import applied
from mikrobot.live.trader import Traded, Trader
from mikrobot.live.worker import trader_of
from mikrobot.runtime import SystemClock
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres.database import Pool
from mikrobot.store.trading_states import TradingStates
from mikrobot.workflows.backtest import trade
from tests.integration.live.conftest import HISTORY, SYMBOL

MINUTE = timedelta(minutes=1)


@pytest.fixture
def minutes(history: Any) -> list[Bar]:
    return bars_of(SYMBOL, history.iloc[HISTORY:])


@pytest.fixture
def both(pair: Any) -> Any:
    return pair(FeaturePipeline([SYMBOL]))


def command(pool: Pool, permission: Permission, at: Any, **rest: Any) -> None:
    TradingStates(pool).command(TradingState(permission, "operator ana", "news", at, **rest))


def decided(ledger: Ledger) -> dict[Any, str]:
    """Return the last reason of each decision by its close."""
    return {decision.close_time: decision.reasons[-1] for decision in ledger.decisions("r1")}


def entries(both: Any) -> int:
    fills = accounts.fills(both.worker.ledger, both.worker.run)
    return sum(fill.reason is FillReason.ENTRY for fill in fills)


def test_a_halt_refuses_the_openings_of_its_closes_over_a_restart_and_is_part_of_the_run(pair, both, pool, minutes):
    both.trade(minutes[:1])
    command(pool, Permission.HALTED, minutes[1].open_time, until=minutes[59].close_time)
    both.trade(minutes[1:3])
    again = pair(FeaturePipeline([SYMBOL]), minutes[2].close_time)
    again.trade(minutes[3:4])
    command(pool, Permission.ACTIVE, minutes[3].close_time)
    again.trade(minutes[4:6])
    reasons = decided(again.worker.ledger)
    refused = [at for at, reason in reasons.items() if reason.startswith("state refused: HALTED for every symbol")]
    assert refused == [bar.close_time for bar in minutes[1:4]]
    (state,) = applied(TradingStates(pool).of_run("r1"))
    assert (state.since, state.until) == (minutes[1].close_time, minutes[4].close_time)
    assert f"news (set {minutes[1].open_time:%Y-%m-%d %H:%M} UTC, until " in reasons[minutes[1].close_time]


def test_a_minute_that_was_decided_before_the_halt_is_decided_again(both, pool, minutes):
    commit, early = both.worker.ledger.commit, list[int]()

    def halting(*args: Any, **given: Any) -> bool:
        if given["orders"] and not early:
            early.append(given["decided_under"])
            command(pool, Permission.HALTED, minutes[0].open_time)
        return commit(*args, **given)

    both.worker.ledger.commit = halting
    both.trade(minutes[:6])
    assert early == [0]
    assert both.worker.ledger.orders("r1") == []
    assert not both.worker.accounts[0].trader.venue.exchange.accounts["fx"].orders
    ends = [reason.split(":")[0] for reason in decided(both.worker.ledger).values()]
    assert ends[-1] == "state refused"


def test_a_cooldown_is_recorded_once_and_holds_over_a_restart(pair, both, pool, minutes):
    both.trade(minutes[:8])
    (stop,) = [fill for fill in accounts.fills(both.worker.ledger, both.worker.run) if fill.reason is FillReason.STOP]
    again = pair(FeaturePipeline([SYMBOL]), minutes[7].close_time)
    again.trade(minutes[8:23])
    (state,) = TradingStates(pool).of_run("r1")
    assert (state.by, state.since, state.until) == (COOLDOWN, stop.filled_at, stop.filled_at + 15 * MINUTE)
    reasons = decided(again.worker.ledger)
    refused = [at for at, reason in reasons.items() if reason.startswith("state refused: REDUCING for EURUSD by cool")]
    assert refused == [bar.close_time for bar in minutes[:23] if state.since <= bar.close_time < state.until]
    assert len(refused) == 15


def stop_while_deciding(both: Any, pool: Pool, bars: Sequence[Bar], seed: int) -> tuple[int, int]:
    """Halt at a random instant while a minute is handled; return the orders at the acknowledgement and at the end.

    Every second seed halts just after the minute.
    """
    minute = both.worker.timers.summary().get("announcement_to_handled", {"p50": 30.0})
    pause_s = Random(seed).uniform(0, 1.2 * minute["p50"] / 1000)
    first, second = bars
    runs, run = both.streamer.runs, both.streamer.run
    with ThreadPoolExecutor(2) as executor:
        published = executor.submit(both.streamer.publish, first.close_time, [first])
        assert runs.wait(run.id, "streamer", first.open_time, timeout_s=30) == first.close_time
        handled = executor.submit(both.worker.handle, first.open_time, first.close_time)
        if seed % 2:
            SystemClock().sleep(pause_s)
        else:
            handled.result(timeout=30)
        command(pool, Permission.HALTED, first.open_time, flatten_at=first.open_time)
        acknowledged, filled = len(both.worker.ledger.orders("r1")), entries(both)
        handled.result(timeout=30)
        published.result(timeout=30)
    both.trade([second])
    assert entries(both) == filled
    after = len(both.worker.ledger.orders("r1"))
    command(pool, Permission.ACTIVE, first.open_time)
    return acknowledged, after


def seeds(both: Any, bars: Sequence[Bar]) -> Iterator[tuple[int, Sequence[Bar]]]:
    """Yield each seed with two minutes of its own."""
    for seed in range(len(bars) // 2):
        yield seed, bars[2 * seed : 2 * seed + 2]


@pytest.mark.parametrize("count", [20, pytest.param(1000, marks=pytest.mark.soak)])
class TestRace:
    """Two minutes for each seed."""

    @pytest.fixture
    def history(self, bars: Any, count: int) -> Any:
        return bars(HISTORY + 2 * count + 2).assign(spread=1e-6)

    def test_no_order_follows_the_acknowledgement_of_a_stop(self, both, pool, minutes, count):
        """The entries that were accepted just before are cancelled; each seed begins flat."""
        (both.streamer.home / "run").mkdir(exist_ok=True)
        pid_records.record("worker", both.streamer.home, os.getpid())
        both.streamer.source = SimpleNamespace(live=False)
        trader = both.worker.accounts[0].trader
        trader.profile = replace(trader.profile, losses_in_row=0, cooldown_minutes=0, max_open_trades=99)
        trader.permits.profile = trader.profile
        accepted = 0
        for seed, pair_of_bars in seeds(both, minutes[: 2 * count]):
            acknowledged, after = stop_while_deciding(both, pool, pair_of_bars, seed)
            assert after == acknowledged, f"seed {seed}"
            accepted = after
        assert accepted, "no stop came after an order"


def test_a_flattened_run_that_is_decided_again_has_the_same_journal_and_decisions(both, pool, minutes, monkeypatch):
    looks, decide = dict[Any, Outlook](), Trader.decide_and_place

    def noting(trader: Trader, outlook: Outlook) -> Any:
        looks[outlook.close_time] = outlook
        return decide(trader, outlook)

    monkeypatch.setattr(Trader, "decide_and_place", noting)
    both.trade(minutes[:4])
    command(pool, Permission.HALTED, minutes[4].open_time, symbol=SYMBOL, flatten_at=minutes[4].open_time)
    both.trade(minutes[4:8])
    command(pool, Permission.ACTIVE, minutes[7].close_time, symbol=SYMBOL)
    both.trade(minutes[8:30])
    worker, ledger = both.worker, both.worker.ledger
    fills = accounts.fills(ledger, worker.run)
    assert [fill.filled_at for fill in fills if fill.reason is FillReason.FLATTEN] == [minutes[5].open_time]
    opened = accounts.opened_venue(worker.run, worker.settings)
    again = Traded(trader_of(worker.run, opened, worker.settings, ledger))
    again.trader.permits.by_operators = applied(TradingStates(pool).of_run("r1"))
    decisions: list[Decision] = []
    trade(again, [(bar, looks.get(bar.close_time)) for bar in minutes[:30]], decisions.append)
    journals = {name: account.journal for name, account in again.trader.venue.exchange.accounts.items()}
    assert accounts.lines_of(journals) == ledger.journal("r1")
    assert decisions == ledger.decisions("r1")

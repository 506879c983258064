"""Bad data halts the trades of a symbol, on a real database: nothing is opened, exits go on, and it resumes."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mikrobot.domain.errors import GateError
from mikrobot.domain.market import Bar, bars_of
from mikrobot.domain.trading import FillReason
from mikrobot.domain.trading_states import Permission
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.live import accounts, pid_records, reports
from mikrobot.live.halts import BY_QUALITY
from mikrobot.live.operator_states import of_run
from mikrobot.live.reports import MarketData, SymbolData
from mikrobot.live.worker import trader_of
from mikrobot.paper.venue import milliseconds
from mikrobot.runtime import ManualClock
from mikrobot.store.postgres.database import Pool
from mikrobot.store.quality import QualityScores
from mikrobot.store.trading_states import TradingStates
from mikrobot.workflows import data_quality
from mikrobot.workflows.calibration_halts import BY_CALIBRATION, apply
from mikrobot.workflows.gate_halts import halting
from mikrobot.workflows.reconcile import halted_of
from tests.integration.live.conftest import HISTORY, SOURCE, SYMBOL

MINUTE = timedelta(minutes=1)


@pytest.fixture
def minutes(history: Any) -> list[Bar]:
    return bars_of(SYMBOL, history.iloc[HISTORY:])


def crossed(bars: Sequence[Bar], *faults: int) -> list[Bar]:
    """Return the bars with the quotes of some of them crossed."""
    return [replace(bar, spread=-0.01) if number in faults else bar for number, bar in enumerate(bars)]


def skipped(both: Any) -> list[Any]:
    return [skip.close_time for skip in both.worker.ledger.skips("r1")]


def test_a_bad_bar_halts_its_minute_and_those_until_three_good_ones_have_closed(pair, pool, minutes):
    both = pair(FeaturePipeline([SYMBOL]))
    both.trade(crossed(minutes[:8], 2))
    assert skipped(both) == [bar.close_time for bar in minutes[2:5]]
    (state,) = TradingStates(pool).of_run("r1")
    assert (state.permission, state.by, state.symbol) == (Permission.HALTED, BY_QUALITY, SYMBOL)
    assert (state.since, state.until) == (minutes[2].close_time, minutes[5].close_time)
    assert state.reason == "data quality 0.00: quotes 0.00"
    skips = both.worker.ledger.skips("r1")
    assert {skip.reason for skip in skips} == {f"halted since {state.since:%Y-%m-%d %H:%M} UTC: {state.reason}"}
    decided = [decision.close_time for decision in both.worker.ledger.decisions("r1")]
    assert decided == [bar.close_time for bar in (*minutes[:2], *minutes[5:8])]


def test_a_halted_symbol_opens_nothing_while_its_position_leaves(pair, pool, minutes):
    both = pair(FeaturePipeline([SYMBOL]))
    both.trade(crossed(minutes[:45], *range(3, 45, 2)))
    ledger, run = both.worker.ledger, both.worker.run
    assert {order.submitted_at for order in ledger.orders("r1")} <= {bar.close_time for bar in minutes[:3]}
    fills = accounts.fills(ledger, run)
    assert fills[0].reason is FillReason.ENTRY
    leaving = [fill for fill in fills if fill.reason is not FillReason.ENTRY]
    assert len(leaving) == len(fills) - len(leaving) > 0
    assert all(fill.filled_at > minutes[3].close_time for fill in leaving)
    assert TradingStates(pool).of_run("r1")[0].until is None


STOP_ENTRIES = """
from mikrobot.decision.signals import Signal
from mikrobot.decision.strategies.strategy import Strategy
from mikrobot.domain.trading import Side

class StopEntries(Strategy):
    def signal(self, outlook, memory):
        return Signal(Side.BUY, outlook.close - 6 * outlook.atr, minutes=30, entry=outlook.close + 3 * outlook.atr)
"""


@pytest.mark.parametrize("killed", [False, True], ids=["undisturbed", "started again every minute"])
def test_a_halt_cancels_a_stop_entry_that_would_fill_and_so_does_the_run_decided_again(
    pair, pool, minutes, tmp_path, killed
):
    path = tmp_path / "rules.py"
    path.write_text(STOP_ENTRIES)
    used = {"strategies": (f"{path}:StopEntries",)}
    bars = crossed(
        [bar if number != 4 else replace(bar, high=bar.high * 1.01) for number, bar in enumerate(minutes[:6])], 3
    )
    both = pair(FeaturePipeline([SYMBOL]), **used)
    if killed:
        for bar in bars:
            pair(FeaturePipeline([SYMBOL]), bar.open_time, **used).trade([bar])
    else:
        both.trade(bars)
    ledger, run = both.worker.ledger, both.worker.run
    (order,) = ledger.orders("r1")
    assert order.submitted_at < bars[3].close_time < order.expires_at
    assert bars[4].high > order.entry
    assert accounts.fills(ledger, run) == []
    journal = accounts.journals(ledger, "r1")["fx"]
    (cancelled,) = [record for record in journal if getattr(record, "reason", "") == f"trading of {SYMBOL} is halted"]
    assert cancelled.ts == milliseconds(bars[3].close_time)
    again = trader_of(run, accounts.opened_venue(run, both.worker.settings), both.worker.settings, ledger)
    again.permits.by_data = of_run(TradingStates(pool), run)
    for bar in bars:
        again.play([bar], bar.close_time)
        if bar.close_time == order.submitted_at:
            again.venue.place(order)
    assert again.venue.exchange.accounts["fx"].journal == journal


def test_a_miscalibrated_symbol_is_not_traded_until_its_verdict_is_too_old(pair, pool, minutes):
    both = pair(FeaturePipeline([SYMBOL]))
    both.trade(minutes[:2])
    reason = "miscalibrated from 2024-03-09 to 2024-03-10: the probabilities are too high"
    for _ in range(2):
        apply(pool, SOURCE, {SYMBOL: reason}, now=minutes[1].close_time)
    both.trade(minutes[2:4])
    apply(pool, SOURCE, {SYMBOL: ""}, now=minutes[3].close_time)
    both.trade(minutes[4:6])
    assert skipped(both) == [bar.close_time for bar in minutes[2:4]]
    (state,) = TradingStates(pool).of_run("r1")
    assert (state.by, state.reason) == (BY_CALIBRATION, reason)
    halted = {skip.reason for skip in both.worker.ledger.skips("r1")}
    assert halted == {f"halted since {state.since:%Y-%m-%d %H:%M} UTC: {reason}"}


def test_a_halt_survives_the_restart_of_both_processes_at_every_minute(pair, pool, minutes):
    bars = crossed(minutes[:9], 2, 4)
    for bar in bars:
        pair(FeaturePipeline([SYMBOL]), bar.open_time).trade([bar])
    both = pair(FeaturePipeline([SYMBOL]), bars[-1].close_time)
    assert skipped(both) == [bar.close_time for bar in bars[2:7]]
    (state,) = TradingStates(pool).of_run("r1")
    assert (state.since, state.until) == (bars[2].close_time, bars[7].close_time)


def test_a_run_that_is_decided_again_halts_at_the_same_closes_for_the_same_reasons(pair, pool, minutes):
    both = pair(FeaturePipeline([SYMBOL]))
    both.trade(crossed(minutes[:10], 2))
    with pytest.raises(GateError), halting(pool, SOURCE, SYMBOL, "bars", clock=both.worker.clock):
        raise GateError("EURUSD: 40 of 60 are bad")
    both.trade(minutes[10:14])
    with halting(pool, SOURCE, SYMBOL, "bars", clock=both.worker.clock):
        pass
    both.trade(minutes[14:20])
    skips = {(skip.symbol, skip.close_time): skip.reason for skip in both.worker.ledger.skips("r1")}
    assert [at for _, at in skips] == [bar.close_time for bar in (*minutes[2:5], *minutes[10:14])]
    assert "the expectation suite of bars failed: EURUSD: 40 of 60 are bad" in skips[SYMBOL, minutes[10].close_time]
    assert halted_of(pool, both.worker.run) == skips


def test_the_last_day_of_a_run_is_summed_up_with_its_halts(pair, database, minutes):
    pair(FeaturePipeline([SYMBOL])).trade(crossed(minutes[:8], 2))
    data = data_quality.assess(database, "r1")
    (scores,) = data.symbols
    assert (scores.closes, scores.low, scores.last, scores.least) == (8, 1, 1.0, 0.0)
    assert scores.parts == (("quotes", 1),)
    assert [(halt.since, halt.until) for halt in data.halts] == [(minutes[2].close_time, minutes[5].close_time)]


def test_a_suite_that_fails_again_is_one_halt_and_another_source_is_not_concerned(pair, pool, minutes):
    both = pair(FeaturePipeline([SYMBOL]))
    for source in (SOURCE, SOURCE, "binance"):
        with pytest.raises(GateError), halting(pool, source, SYMBOL, "features", clock=both.worker.clock):
            raise GateError("bad")
    with halting(pool, "binance", SYMBOL, "features", clock=both.worker.clock):
        pass
    both.trade(minutes[:2])
    assert skipped(both) == [bar.close_time for bar in minutes[:2]]
    (state,) = TradingStates(pool).of_run("r1")
    assert state.by == "quality gate of features"


def test_every_bar_is_stored_with_its_score_and_the_metrics_show_the_last_one(pair, pool, minutes, tmp_path):
    both = pair(FeaturePipeline([SYMBOL]))
    both.trade(crossed(minutes[:4], 3))
    scores = QualityScores(pool).between(SOURCE, [SYMBOL], minutes[0].open_time, minutes[3].close_time)
    assert [(score.close_time, score.score) for score in scores] == [
        (bar.close_time, 0.0 if number == 3 else 1.0) for number, bar in enumerate(minutes[:4])
    ]
    assert set(scores[0].parts) >= {"completeness_m1", "gap", "spike", "stuck", "quotes"}
    assert "lateness" not in scores[0].parts
    (tmp_path / "run").mkdir()
    both.worker.halts.report(tmp_path)
    assert reports.DATA.read(tmp_path) is None
    pid_records.record("worker", tmp_path, os.getpid())
    reported = {SYMBOL: SymbolData(0.0, halted=True, close_time=minutes[3].close_time.timestamp())}
    assert reports.DATA.read(tmp_path) == MarketData(SOURCE, reported)


def test_a_silent_feed_in_the_present_is_a_halt_until_three_good_bars(pair, pool: Pool, minutes):
    both = pair(FeaturePipeline([SYMBOL]))
    run, segment = both.worker.run, both.worker.segment
    watch = both.worker.halts
    watch.run = replace(run, source="simulated")
    watch.clock = clock = ManualClock(segment.trade_until)
    watch.restore(segment.trade_until)
    for _ in range(4):
        watch.look_for_silence(segment.trade_until)
        assert not watch.objection(SYMBOL)
        clock.sleep(60)
    clock.sleep(5)
    watch.look_for_silence(segment.trade_until)
    (state,) = TradingStates(pool).of_run("r1")
    assert state.reason == "the feed is silent: no bar for 4 minutes on an open market"
    assert (state.since, state.until) == (clock.now(), None)
    clock.sleep(60)
    watch.look_for_silence(segment.trade_until)
    assert len(TradingStates(pool).of_run("r1")) == 1

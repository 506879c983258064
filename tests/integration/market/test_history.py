"""Backfill from the simulated market with the real quality gate and the real store."""

from datetime import timedelta

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

from expectations.quality_gate import check
from mikrobot.domain.errors import GateError
from mikrobot.domain.market import Timeframe
from mikrobot.market.history import backfill
from mikrobot.market.simulated import EPOCH, SimulatedSource
from mikrobot.runtime import ManualClock
from mikrobot.store.bars import BarStore

START, END = EPOCH + timedelta(days=5), EPOCH + timedelta(days=15)


def gate(bars):
    return check(bars, "bars")


@pytest.fixture
def source():
    return SimulatedSource(["EURUSD"], 7, ManualClock(EPOCH + timedelta(days=20)))


def test_bars_pass_the_gate_into_the_store_and_are_fetched_once(source, pool):
    store = BarStore(pool)
    report = backfill(source, store, "EURUSD", START, end=END, check=gate)
    held = store.range("simulated", "EURUSD", Timeframe.M1, START, end=END)
    assert report.stored == report.fetched == len(held) > 10_000
    assert_frame_equal(held, source.history("EURUSD", START, END))
    assert backfill(source, store, "EURUSD", START, end=END, check=gate).fetched == 0
    later = backfill(source, store, "EURUSD", START, end=END + timedelta(hours=1), check=gate)
    assert later.fetched == later.stored == 60


class Damaged(SimulatedSource):
    """The simulated market with crossed highs and lows in some rows of each frame."""

    rows: tuple[int, ...] = (3,)

    def history(self, symbol, start, end):
        bars = super().history(symbol, start, end)
        rows = [row for row in self.rows if row < len(bars)]
        bars.loc[rows, ["high", "low"]] = bars.loc[rows, ["low", "high"]].to_numpy() * np.array([0.9, 1.1])
        return bars


def test_bad_bars_are_quarantined_and_too_many_stop_everything(pool):
    store = BarStore(pool)
    source = Damaged(["EURUSD"], 7, ManualClock(EPOCH + timedelta(days=20)))
    report = backfill(source, store, "EURUSD", START, end=START + timedelta(days=5), check=gate)
    assert report.quarantined == 1
    assert report.stored == report.fetched - 1
    kept = store.quarantined("simulated", "EURUSD", "bars")
    assert len(kept) == 1
    assert kept["reason"].iloc[0]

    source.rows = tuple(range(500))
    with pytest.raises(GateError, match=r"EURUSD: bars from .* 500 of "):
        backfill(source, store, "EURUSD", START, end=END, check=gate)
    assert store.span("simulated", "EURUSD", Timeframe.M1) == (START, report.last)
    assert len(store.quarantined("simulated", "EURUSD", "bars")) == 1

"""A feature row that fails the catalog's checks is kept out of inference, and its reason is in the ledger."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from mikrobot.domain.market import Bar, Timeframe, bars_of
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.features.row_check import STILL
from mikrobot.live.published_bars import DIFFERS
from tests.integration.live.conftest import HISTORY, SOURCE, SYMBOL, SureService


class DefectivePipeline(FeaturePipeline):
    """A pipeline that returns one wrong value at one close."""

    def __init__(self, at: datetime, column: str, value: float) -> None:
        super().__init__([SYMBOL])
        self.at, self.number, self.value = at, self.columns.index(column), value

    def update(self, bar: Bar, book: tuple[float, ...] | None = None) -> NDArray[np.float64]:
        values = super().update(bar, book)
        if bar.close_time == self.at:
            values[self.number] = self.value
        return values


def test_a_bar_that_differs_from_the_stored_one_is_quarantined_and_its_row_is_not_traded(pair, history):
    minutes = bars_of(SYMBOL, history.iloc[HISTORY : HISTORY + 3])
    stored = replace(minutes[1], close=minutes[1].open)
    both = pair(FeaturePipeline([SYMBOL]))
    bars = both.streamer.bars
    bars.append(SOURCE, stored)
    both.trade(minutes)
    start, end = minutes[0].open_time, minutes[2].close_time
    assert bars_of(SYMBOL, bars.range(SOURCE, SYMBOL, Timeframe.M1, start, end=end)) == [minutes[0], stored, minutes[2]]
    flagged, halted = both.worker.ledger.skips("r1")
    assert (flagged.close_time, flagged.reason) == (stored.close_time, f"the feature row was flagged: {DIFFERS}")
    assert halted.reason.endswith("data quality 0.00: sources 0.00")
    (revision,) = bars.versions.revisions(SOURCE, [SYMBOL], start, end=end)
    assert (revision.bar, revision.reason) == (minutes[1], DIFFERS)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("m1_rsi_14", 140.0, "m1_rsi_14 is 140, expected it finite and within [0, 100]"),
        ("m1_return_1", float("-inf"), "m1_return_1 is -inf, expected it finite and within [-inf, inf]"),
        ("m1_ema_9", float("nan"), f"m1_ema_9 is missing after {HISTORY + 2} bars, expected it known after 8"),
    ],
)
def test_a_flagged_row_is_skipped_with_its_reason_and_nothing_is_opened(pair, history, column, value, reason):
    minutes = bars_of(SYMBOL, history.iloc[HISTORY : HISTORY + 3])
    defective = minutes[1].close_time
    both = pair(DefectivePipeline(defective, column, value))
    both.trade(minutes)
    streamer, ledger = both.streamer, both.worker.ledger
    assert [(skip.close_time, skip.reason) for skip in ledger.skips("r1")] == [
        (defective, f"the feature row was flagged: {reason}")
    ]
    assert [record.close_time for record in ledger.decisions("r1")] == [minutes[0].close_time, minutes[2].close_time]
    assert all(record.close_time != defective for record in ledger.predictions("r1"))
    assert all(order.submitted_at != defective for order in ledger.orders("r1"))
    kept = streamer.bars.quarantined(SOURCE, SYMBOL, "live rows")
    assert kept["reason"].tolist() == [reason]
    assert kept["at"].tolist() == [defective]
    assert set(CATALOG.columns) < set(kept["row"].iloc[0])
    assert streamer.rows.latest(SOURCE, SYMBOL) == minutes[2].close_time


def test_rows_of_a_feed_that_repeats_its_last_price_are_flagged_until_it_moves(pair, history):
    minutes = bars_of(SYMBOL, history.iloc[HISTORY : HISTORY + STILL + 3])
    price = minutes[0].close
    stuck = [replace(bar, open=price, high=price, low=price, close=price) for bar in minutes[1:-1]]
    both = pair(FeaturePipeline([SYMBOL]))
    both.trade([minutes[0], *stuck, minutes[-1]])
    flagged = both.streamer.bars.quarantined(SOURCE, SYMBOL, "live rows")
    assert flagged["at"].tolist() == [bar.close_time for bar in stuck[STILL - 1 :]]
    assert f"not moved for {STILL} bars" in flagged["reason"].iloc[0]


def test_an_answer_of_a_model_made_for_other_features_is_no_reason_to_trade(pair, history):
    both = pair(FeaturePipeline([SYMBOL]))
    both.worker.forecasts.predictions = SureService("000000000000")
    both.trade(bars_of(SYMBOL, history.iloc[HISTORY : HISTORY + 1]))
    (skip,) = both.worker.ledger.skips("r1")
    assert skip.reason == f"model bos v1 was made for features 000000000000, these are {CATALOG.version}; train again"
    assert both.worker.ledger.counts("r1")["decisions"] == 0


def test_a_sound_market_is_never_flagged_and_is_traded(pair, history):
    both = pair(FeaturePipeline([SYMBOL]))
    both.trade(bars_of(SYMBOL, history.iloc[HISTORY:]))
    counts = both.worker.ledger.counts("r1")
    assert (counts["decisions"], counts["skips"]) == (60, 0)
    assert counts["orders"] > 0

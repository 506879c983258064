"""What lowers the quality score of a bar, and what does not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.errors import DataError
from mikrobot.domain.market import Bar, bars_of
from mikrobot.domain.quality import HALT_BELOW, QualityScore
from mikrobot.market.quality.feed_parts import Arrival, feed_parts
from mikrobot.market.quality.scoring import WEIGHTS, BarScorer, combined, score_frame
from mikrobot.market.simulated import SimulatedSource
from mikrobot.runtime import ManualClock

MINUTE = timedelta(minutes=1)
WEDNESDAY = datetime(2025, 6, 18, tzinfo=UTC)
COIN, PAIR = "BTCUSDT", "EURUSD"
SOURCE = SimulatedSource((COIN, PAIR), 7, ManualClock(WEDNESDAY + timedelta(days=2)))


def bars(symbol: str, hours: int = 40) -> list[Bar]:
    frame = SOURCE.history(symbol, WEDNESDAY - timedelta(hours=hours - 12), WEDNESDAY + timedelta(hours=12))
    return bars_of(symbol, frame)


def scored(given: list[Bar]) -> list[QualityScore]:
    scorer = BarScorer()
    return [scorer.score(bar) for bar in given]


def low(given: list[Bar]) -> list[tuple[int, str]]:
    """Return the bars, counted from the last one at 0 back, that halt, with the lowest part of each."""
    scores = scored(given)
    return [
        (number - len(scores) + 1, min(score.parts, key=score.parts.__getitem__))
        for number, score in enumerate(scores)
        if score.score < HALT_BELOW
    ]


@pytest.mark.parametrize("symbol", [COIN, PAIR])
def test_an_ordinary_market_is_good(symbol):
    assert low(bars(symbol)) == []


def test_the_parts_that_do_not_apply_are_missing():
    first, *_, last = scored(bars(PAIR))
    assert set(first.parts) == {"quotes"}
    assert set(last.parts) == {
        "completeness_m1", "completeness_m5", "completeness_h1", "gap", "spike", "stuck", "volume", "quotes",
    }  # fmt: skip
    assert last.score == 1.0


def test_a_missing_minute_is_a_gap_of_a_coin_and_normal_in_fx():
    coin, pair = bars(COIN), bars(PAIR)
    assert low([*coin[:-2], coin[-1]]) == [(0, "gap")]
    assert low([*pair[:-3], pair[-1]]) == []
    assert low([*pair[:-4], pair[-1]]) == [(0, "gap")]


def test_a_closed_market_is_no_gap():
    friday = SOURCE.history(PAIR, datetime(2025, 6, 13, 12, tzinfo=UTC), datetime(2025, 6, 16, 12, tzinfo=UTC))
    assert (score_frame(PAIR, friday)["score"] >= HALT_BELOW).all()


def shifted(bar: Bar, factor: float) -> Bar:
    prices = {name: getattr(bar, name) * factor for name in ("open", "high", "low", "close")}
    return replace(bar, **prices)


@pytest.mark.parametrize("symbol", [COIN, PAIR])
def test_a_whole_bar_at_a_wrong_price_is_a_spike_no_later_than_when_the_price_is_back(symbol):
    given = bars(symbol)
    given[-2] = shifted(given[-2], 1.01)
    spikes = [place for place, part in low(given) if part == "spike"]
    assert spikes
    assert set(spikes) <= {-1, 0}


def test_a_wick_without_trades_is_a_spike_at_once():
    given = bars(COIN)
    given[-1] = replace(given[-1], low=given[-1].low * 0.97)
    assert low(given) == [(0, "spike")]


def test_a_fall_that_is_traded_and_goes_on_is_no_spike():
    given = bars(COIN)
    fallen = [shifted(bar, 0.95) for bar in given[-10:]]
    crash = replace(fallen[0], open=given[-11].close, high=given[-11].close, volume=fallen[0].volume * 12)
    assert low([*given[:-10], crash, *fallen[1:]]) == []


def test_a_fall_of_fx_that_goes_on_is_no_spike_although_nobody_counts_trades():
    given = [replace(bar, volume=float("nan")) for bar in bars(PAIR)]
    fallen = [shifted(bar, 0.985) for bar in given[-10:]]
    crash = replace(fallen[0], open=given[-11].close, high=given[-11].close)
    assert low([*given[:-10], crash, *fallen[1:]]) == []


@pytest.mark.parametrize(("symbol", "most"), [(COIN, 2), (PAIR, 20)])
def test_a_feed_that_repeats_its_last_price_is_noticed(symbol, most):
    given = bars(symbol)
    price = given[-31].close
    stuck = [
        replace(bar, open=price, high=price, low=price, close=price, volume=0.0 if symbol == COIN else float("nan"))
        for bar in given[-30:]
    ]
    noticed = low([*given[:-30], *stuck])
    assert noticed[0][0] + 30 <= most
    assert noticed[-1][0] == 0


def test_a_coin_whose_bars_repeat_themselves_is_noticed_at_the_first_one():
    given = bars(COIN)
    given[-1] = replace(given[-2], open_time=given[-1].open_time)
    assert low(given) == [(0, "stuck")]


def test_crossed_quotes_are_noticed_at_once_and_tolerated_in_a_source_that_often_has_them():
    given = bars(PAIR)
    assert low([*given[:-1], replace(given[-1], spread=-1e-5)]) == [(0, "quotes")]
    often = [replace(bar, spread=-1e-6) if n % 30 == 0 else bar for n, bar in enumerate(given)]
    noticed = low(often)
    assert 0 < len(noticed) < 15
    assert noticed[-1][0] < -600


@pytest.mark.parametrize(
    ("arrival", "parts"),
    [
        (Arrival(), {}),
        (Arrival(late_s=9.0), {"lateness": 1.0}),
        (Arrival(late_s=60.0), {"lateness": 0.0}),
        (Arrival(delay_s=1.0), {"feed_delay": 1.0}),
        (Arrival(delay_s=30.0), {"feed_delay": 0.0}),
        (Arrival(revision="none"), {"sources": 1.0}),
        (Arrival(revision="volume"), {"sources": 0.97}),
        (Arrival(revision="price"), {"sources": 0.0}),
        (Arrival(aggregates="none"), {"aggregates": 1.0}),
        (Arrival(aggregates="volume"), {"aggregates": 0.97}),
        (Arrival(aggregates="price"), {"aggregates": 0.0}),
        (Arrival(refused=1), {"refused": 0.0}),
        (Arrival(book="live"), {"book": 1.0}),
        (Arrival(book="lost"), {"book": 0.0}),
    ],
)
def test_what_the_feed_knows_is_a_part_only_where_it_is_known(arrival, parts):
    assert feed_parts(arrival) == parts


@pytest.mark.parametrize("name", sorted(WEIGHTS))
def test_no_part_takes_more_off_the_score_than_its_weight(name):
    assert combined({name: 0.0}) == 1 - WEIGHTS[name]


def test_a_late_bar_lowers_its_own_score_only():
    first, second = bars(COIN)[:2]
    scorer = BarScorer()
    assert scorer.score(first, Arrival(late_s=35.0)).score == 0.5
    assert scorer.score(second, Arrival(late_s=1.0)).score == 1.0


def test_a_snapshot_continues_the_state_exactly_and_one_of_another_version_is_refused():
    given = bars(PAIR)
    whole = scored(given)
    scorer, later = BarScorer(), BarScorer()
    for bar in given[:1000]:
        scorer.score(bar)
    later.restore(PAIR, scorer.snapshot(PAIR))
    assert [later.score(bar) for bar in given[1000:]] == whole[1000:]
    with pytest.raises(DataError, match="quality state"):
        later.restore(PAIR, b"old")


def test_the_score_of_a_close_does_not_depend_on_later_bars():
    frame = SOURCE.history(COIN, WEDNESDAY, WEDNESDAY + timedelta(hours=12))
    frame.loc[300, ["open", "high", "low", "close"]] *= 1.05
    whole = score_frame(COIN, frame)
    for length in (299, 300, 301, 302):
        prefix = score_frame(COIN, frame.iloc[:length])
        pd.testing.assert_frame_equal(prefix, whole.iloc[:length])


def test_a_frame_without_bars_has_no_scores():
    empty: Any = SOURCE.history(COIN, WEDNESDAY, WEDNESDAY)
    assert score_frame(COIN, empty).empty
    assert np.isfinite(score_frame(COIN, SOURCE.history(COIN, WEDNESDAY, WEDNESDAY + MINUTE))["score"]).all()


def test_a_minute_without_trades_is_normal_where_there_are_some_and_an_outage_is_not():
    given = bars(COIN)
    rare = [replace(bar, volume=0.0, high=bar.close, low=bar.close, open=bar.close) for bar in given[::400]]
    thin = sorted([bar for n, bar in enumerate(given) if n % 400] + rare, key=lambda bar: bar.open_time)
    assert low(thin[:-3]) == []
    outage = [replace(bar, volume=0.0, high=bar.close, low=bar.close, open=bar.close) for bar in thin[-3:]]
    assert {part for _, part in low([*thin[:-3], *outage])} == {"volume"}

"""Trades generated inside bars of any kind."""

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import BAR_COLUMNS
from mikrobot.market.local_venue.listed_bars import listed_bars
from mikrobot.market.local_venue.listing import listing_of
from mikrobot.market.local_venue.trades import EVENTS, MOST_TRADES, numbers_of_trades, trades_of

LISTING = listing_of(instrument("BTCUSDT"))
NAN = float("nan")


def frame(rows):
    """Return a bar frame of rows of open, high, low, close, volume, trades and taker volume."""
    table = pd.DataFrame(
        rows, columns=["open", "high", "low", "close", "volume", "trades", "taker_volume"], dtype=float
    )
    table["open_time"] = pd.date_range("2024-03-04", periods=len(table), freq="min", tz="UTC").as_unit("us")
    table["spread"] = NAN
    return table[list(BAR_COLUMNS)]


def random_rows(seed):
    """Return bars of few ticks, few trades and few size steps, in which every special case is frequent."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(400):
        path = 100 + rng.integers(-2, 3, 4) / 100
        volume = int(rng.integers(1, 40)) if rng.random() < 0.5 else int(rng.integers(40, 10**6))
        taker = rng.choice([0, volume, int(rng.integers(0, volume + 1))])
        fewest = 4 if rng.random() < 0.5 else 60
        rows.append([path[0], path.max(), path.min(), path[3], max(volume, 4) / 1e5, fewest, taker / 1e5])
    return rows


def check(bars):
    """Compare the trades of listed bars with the bars, exactly."""
    trades = trades_of(bars, LISTING, 5)
    assert (trades.number == numbers_of_trades(bars, LISTING)).all()
    assert (trades.number <= MOST_TRADES).all()
    for row, number in enumerate(trades.number):
        price, size, buy = trades.price[row, :number], trades.size[row, :number], trades.buy[row, :number]
        event = trades.event[row, :number]
        assert size.sum() == bars.volume[row]
        assert size[buy].sum() == bars.taker[row]
        assert trades.count[row, :number].sum() == bars.count[row]
        if number == 0:
            continue
        ends = (price[0], price.max(), price.min(), price[-1])
        assert ends == (bars.open[row], bars.high[row], bars.low[row], bars.close[row])
        assert size.min() > 0
        assert trades.count[row, :number].min() > 0
        assert (np.diff(event) > 0).all()
        assert event[0] > 0
        assert event[-1] < EVENTS


@pytest.mark.parametrize("seed", range(5))
def test_trades_aggregate_to_bars_of_any_kind(seed):
    rows = random_rows(seed)
    bars = listed_bars(frame(rows), LISTING, 3)
    given = np.rint(np.array(rows) * [1e8, 1e8, 1e8, 1e8, 1e8, 1, 1e8]).astype(np.int64)
    listed = np.stack((bars.open, bars.high, bars.low, bars.close, bars.volume, bars.count, bars.taker), axis=1)
    assert (listed == given).all()
    check(bars)


@pytest.mark.parametrize(
    "row",
    [
        [100, 100, 100, 100, 0, 0, 0],
        [100, 101, 99, 100.5, NAN, NAN, NAN],
        [100, 101, 99, 100.5, 0, NAN, NAN],
        [100, 101, 99, 100.5, 5, NAN, NAN],
        [100, 101, 99, 100.5, 5, 1, 2],
        [100, 100, 100, 100, 5, 1, 2],
        [100.123456, 100.2, 100.1, 100.15, 0.00000004, 9, 0.00000001],
        [100, 101, 99, 100.5, 0.00000001, 9, 0],
    ],
    ids=str,
)
def test_a_bar_that_no_trades_make_is_completed(row):
    check(listed_bars(frame([row]), LISTING, 3))


def test_prices_of_a_bar_on_the_grid_stay_on_it():
    bars = listed_bars(frame(random_rows(9)), LISTING, 3)
    trades = trades_of(bars, LISTING, 5)
    assert (trades.price % LISTING.tick == 0).all()


def test_the_trades_of_a_bar_do_not_depend_on_its_neighbours():
    bars = listed_bars(frame(random_rows(4)), LISTING, 3)
    whole, part = trades_of(bars, LISTING, 5), trades_of(bars.part(100, 103), LISTING, 5)
    for row in range(3):
        number = part.number[row]
        for name in ("price", "size", "count", "buy", "event"):
            assert (getattr(whole, name)[100 + row, :number] == getattr(part, name)[row, :number]).all()

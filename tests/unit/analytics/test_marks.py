from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from mikrobot.analytics.marks import excursions, marked, notional_traded, spread_cost
from mikrobot.analytics.trades import OpenTrade
from mikrobot.domain.market import BAR_COLUMNS
from mikrobot.domain.trading import Fill, FillReason, OrderIntent, Side, Trade

START = pd.Timestamp("2025-03-03 08:00", tz="UTC")
OPENING = Decimal("10000")
CLOSES = [1.1000, 1.1010, 1.0990, 1.1020, 1.1030, 1.1025]
SPREAD = 0.0002


def bars(closes: list[float] = CLOSES, spread: float = SPREAD) -> pd.DataFrame:
    close = np.array(closes)
    frame = pd.DataFrame(
        {
            "open_time": pd.date_range(START, periods=len(close), freq="min", unit="us"),
            "open": close,
            "high": close + 0.0005,
            "low": close - 0.0005,
            "close": close,
            "volume": 1.0,
            "spread": spread,
        }
    )
    return frame[[name for name in BAR_COLUMNS if name in frame]]


def trade(
    side: Side, entry: str, leave: str, pnl: str, first: int = 1, last: int = 4, reason: FillReason = FillReason.TARGET,
    symbol: str = "EURUSD", stop_distance: str = "0.0020",
) -> Trade:  # fmt: skip
    """Return a trade of 0.1 lots entered at the open of bar `first` and closed at the close of bar `last`."""
    begin = (START + timedelta(minutes=first)).to_pydatetime()
    end = (START + timedelta(minutes=last + 1)).to_pydatetime()
    lots = Decimal("0.1")
    stop = Decimal(entry) - side.sign * Decimal(stop_distance)
    order = OrderIntent("o", "d", symbol, side, lots, stop, Decimal("9"), begin, end)
    return Trade(
        order,
        Fill("i", "o", symbol, side, lots, Decimal(entry), FillReason.ENTRY, Decimal("0.35"), Decimal(0), begin),
        Fill("x", "o", symbol, side.opposite, lots, Decimal(leave), reason, Decimal("0.35"), Decimal(pnl), end),
    )


def test_a_long_position_is_marked_at_bid_and_pays_its_fees_at_the_fills() -> None:
    held = trade(Side.BUY, "1.1012", "1.1030", "18.00")
    equity = marked([held], {"EURUSD": bars()}, OPENING)["equity"].tolist()
    unrealised = [0.1 * 100_000 * (close - 1.1012) for close in CLOSES]
    entered = 10_000 - 0.35
    expected = [
        entered + unrealised[0],  # the close at which the order was filled: the bar before the entry bar
        *(entered + profit for profit in unrealised[1:4]),
        10_000 - 0.70 + 18.00,
        10_000 - 0.70 + 18.00,
    ]
    assert equity == pytest.approx(expected, abs=1e-9)


def test_a_short_position_is_marked_at_ask() -> None:
    held = trade(Side.SELL, "1.1010", "1.1032", "-22.00")
    equity = marked([held], {"EURUSD": bars()}, OPENING)["equity"]
    assert equity.iloc[2] == pytest.approx(10_000 - 0.35 - 0.1 * 100_000 * (CLOSES[2] + SPREAD - 1.1010))


def test_without_a_quoted_spread_the_typical_one_is_used() -> None:
    held = trade(Side.SELL, "1.1010", "1.1032", "-22.00")
    equity = marked([held], {"EURUSD": bars(spread=float("nan"))}, OPENING)["equity"]
    assert equity.iloc[2] == pytest.approx(10_000 - 0.35 - 0.1 * 100_000 * (CLOSES[2] + 0.00008 - 1.1010))


def test_equity_ends_at_the_opening_plus_every_net_result() -> None:
    trades = [trade(Side.BUY, "1.1012", "1.1030", "18.00"), trade(Side.SELL, "1.1010", "1.1032", "-22.00")]
    equity = marked(trades, {"EURUSD": bars()}, OPENING)["equity"]
    assert equity.iloc[-1] == pytest.approx(float(OPENING + sum(closed.pnl for closed in trades)), abs=1e-9)


def test_a_trade_without_bars_moves_the_equity_at_its_exit() -> None:
    marks = marked([trade(Side.BUY, "1.1012", "1.1030", "18.00")], {}, OPENING)
    assert marks["equity"].tolist() == [pytest.approx(10_017.30)]


def test_yen_are_converted_at_the_exit_price() -> None:
    frame = bars([150.0, 150.5, 151.0, 150.2, 150.4, 150.4], spread=0.01)
    held = trade(Side.BUY, "150.510", "150.400", "-7.31", symbol="USDJPY", stop_distance="1.000")
    marks = marked([held], {"USDJPY": frame}, OPENING)
    assert marks["equity"].iloc[2] == pytest.approx(10_000 - 0.35 + 10_000 * (151.0 - 150.51) / 150.4)
    assert marks["notional"].iloc[2] == pytest.approx(10_000 * 151.0 / 150.4)


def test_open_positions_are_counted_from_entry_to_exit() -> None:
    marks = marked([trade(Side.BUY, "1.1012", "1.1030", "18.00")], {"EURUSD": bars()}, OPENING)
    assert marks["open"].tolist() == [1, 1, 1, 1, 0, 0]


def test_an_open_position_is_marked_to_the_last_bar_with_its_commission() -> None:
    held = trade(Side.SELL, "1.1010", "1.1032", "-22.00")
    marks = marked([], {"EURUSD": bars()}, OPENING, [OpenTrade(held.order, held.entry)])
    assert marks["open"].tolist() == [1] * 6
    assert marks["equity"].iloc[-1] == pytest.approx(10_000 - 0.35 - 0.1 * 100_000 * (CLOSES[-1] + SPREAD - 1.1010))
    assert marked([], {}, OPENING, [OpenTrade(held.order, held.entry)])["equity"].tolist() == [10_000 - 0.35]


def test_an_open_position_in_yen_is_converted_at_each_price() -> None:
    frame = bars([150.0, 150.5, 151.0, 150.2, 150.4, 150.4], spread=0.01)
    held = trade(Side.BUY, "150.510", "150.400", "-7.31", symbol="USDJPY", stop_distance="1.000")
    marks = marked([], {"USDJPY": frame}, OPENING, [OpenTrade(held.order, held.entry)])
    assert marks["equity"].iloc[2] == pytest.approx(10_000 - 0.35 + 10_000 * (151.0 - 150.51) / 151.0, abs=1e-9)


def test_simultaneous_positions_add_up() -> None:
    trades = [
        trade(side, "1.1012", "1.1030", "18.00", first=first, last=first + 2)
        for first in (0, 1, 2)
        for side in (Side.BUY, Side.SELL)
    ]
    alone = [marked([single], {"EURUSD": bars()}, OPENING) for single in trades]
    together = marked(trades, {"EURUSD": bars()}, OPENING)
    for name, base in (("equity", 10_000), ("open", 0), ("notional", 0)):
        expected = base + sum(marks[name].to_numpy() - base for marks in alone)
        assert together[name].tolist() == pytest.approx(expected.tolist(), abs=1e-9), name


def test_excursions_use_whole_bars_before_the_exit_bar_and_of_that_only_the_exit() -> None:
    (excursion,) = excursions([trade(Side.BUY, "1.1012", "1.1014", "2.00")], {"EURUSD": bars()})
    assert excursion is not None
    assert excursion.adverse == pytest.approx((1.1012 - (CLOSES[2] - 0.0005)) / 0.0020)
    assert excursion.favourable == pytest.approx((CLOSES[3] + 0.0005 - 1.1012) / 0.0020)


def test_an_exit_price_beyond_those_bars_counts() -> None:
    (excursion,) = excursions([trade(Side.BUY, "1.1012", "1.1030", "18.00")], {"EURUSD": bars()})
    assert excursion is not None
    assert excursion.favourable == pytest.approx((1.1030 - 1.1012) / 0.0020)


def test_a_position_left_at_an_open_was_held_through_the_bar_before_it() -> None:
    (excursion,) = excursions(
        [trade(Side.BUY, "1.1012", "1.1030", "18.00", reason=FillReason.TIME)], {"EURUSD": bars()}
    )
    assert excursion is not None
    assert excursion.favourable == pytest.approx((CLOSES[4] + 0.0005 - 1.1012) / 0.0020)


def test_a_short_position_is_measured_at_ask() -> None:
    (excursion,) = excursions([trade(Side.SELL, "1.1010", "1.1012", "-2.00")], {"EURUSD": bars()})
    assert excursion is not None
    assert excursion.adverse == pytest.approx((CLOSES[3] + 0.0005 + SPREAD - 1.1010) / 0.0020)
    assert excursion.favourable == pytest.approx((1.1010 - (CLOSES[2] - 0.0005 + SPREAD)) / 0.0020)


def test_an_entry_beyond_its_stop_has_no_excursion_in_r() -> None:
    gapped = trade(Side.BUY, "1.1012", "1.1030", "18.00", stop_distance="-0.0001")
    assert excursions([gapped], {"EURUSD": bars()}) == [None]
    assert excursions([trade(Side.BUY, "1.1012", "1.1030", "18.00")], {}) == [None]


def test_the_spread_is_paid_once_per_trade() -> None:
    trades = [trade(Side.BUY, "1.1012", "1.1030", "18.00"), trade(Side.SELL, "1.1010", "1.1032", "-22.00")]
    assert spread_cost(trades, {"EURUSD": bars()}) == Decimal("4.00")


def test_a_fill_by_an_order_book_pays_the_distance_from_its_best_bid_instead() -> None:
    """10,000 units: a buy 0.0005 above the best bid, and a sell 0.0001 below it."""
    bought = trade(Side.BUY, "1.1012", "1.1030", "18.00")
    entry = replace(bought.entry, spread=Decimal("0.0005"))
    assert spread_cost([replace(bought, entry=entry)], {"EURUSD": bars()}) == Decimal("5.00")
    leave = replace(bought.exit, spread=Decimal("0.0001"))
    assert spread_cost([replace(bought, entry=entry, exit=leave)], {"EURUSD": bars()}) == Decimal("6.00")
    assert spread_cost([replace(bought, exit=leave)], {"EURUSD": bars()}) == Decimal("3.00")


def test_notional_counts_entry_and_exit() -> None:
    assert notional_traded([trade(Side.BUY, "1.1012", "1.1030", "18.00")]) == pytest.approx(10_000 * (1.1012 + 1.1030))

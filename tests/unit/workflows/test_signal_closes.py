"""A backtest that calls the strategies only where a signal can exist trades as one that calls them at every close."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mikrobot.decision.strategies.catalog import STRATEGIES
from mikrobot.domain.market import close_times
from mikrobot.domain.trading import Decision
from mikrobot.domain.trading_states import TradingState
from mikrobot.live.halts import halted_rows, halts_of
from mikrobot.live.strategies import opened
from mikrobot.live.trader import Traded, Trader
from mikrobot.paper.journal import Moved
from mikrobot.paper.venue import Venue
from mikrobot.settings import Settings
from mikrobot.workflows.backtest import trade
from mikrobot.workflows.backtest_outlooks import market_of
from mikrobot.workflows.signal_closes import trade_signals

START = datetime(2025, 1, 6, 8, tzinfo=UTC)
"""In the sessions of every strategy; a daily rollover and a new day follow."""

PRICES = {"EURJPY": 160.0, "EURUSD": 1.05, "USDJPY": 150.0, "BTCUSDT": 95_000.0}
COLUMNS = {
    "m1_break_5": ("m1_break_5_bos", "m1_break_5_broken"),
    "m5_break_5": ("m5_break_5_bos", "m5_break_5_broken"),
}


def market(symbol: str, seed: int, count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return bars with gaps, and outlooks that lack some closes and some levels."""
    rng = np.random.default_rng(seed)
    price = PRICES[symbol]
    unit = price * 1e-4
    close = price + np.cumsum(rng.normal(0, 2 * unit, count))
    opened_at = np.concatenate(([price], close[:-1]))
    high, low = np.maximum(opened_at, close), np.minimum(opened_at, close)
    minutes = np.flatnonzero(rng.random(count * 2) < 0.9)[:count]
    spread = np.where(rng.random(count) < 0.1, np.nan, rng.random(count) * unit)
    bars = pd.DataFrame(
        {
            "open_time": pd.DatetimeIndex(START + pd.to_timedelta(minutes, unit="min")),
            "open": opened_at,
            "high": high + rng.random(count) * unit,
            "low": low - rng.random(count) * unit,
            "close": close,
            "volume": 1.0,
            "spread": spread,
            "trades": np.nan,
            "taker_volume": np.nan,
        }
    )
    given_levels = {
        "atr": np.where(rng.random(count) < 0.05, np.nan, 5 * unit),
        "above": np.where(rng.random(count) < 0.2, np.nan, high + unit),
        "below": np.where(rng.random(count) < 0.2, np.nan, low - unit),
        "up": rng.random(count),
        "down": rng.random(count),
        "by": "rules",
    }
    for sign, level in COLUMNS.values():
        given_levels[sign] = rng.choice([-1.0, 0.0, 1.0], count, p=[0.05, 0.9, 0.05])
        given_levels[level] = close - given_levels[sign] * unit / 2
    given_levels["m5_sequence_5_structure"] = rng.choice([-1.0, 1.0], count)
    outlooks = pd.DataFrame(given_levels, pd.DatetimeIndex(close_times(bars)))
    return bars, outlooks[rng.random(count) < 0.95]


def halts(symbol: str, closes: pd.DatetimeIndex, seed: int) -> tuple[list[TradingState], pd.DatetimeIndex]:
    """Return halts for the data of one symbol, and the closes at which they apply."""
    halted = halted_rows(np.where(np.random.default_rng(seed).random(len(closes)) < 0.03, 0.5, 1.0))
    return halts_of(symbol, closes, halted), closes[halted]


def both(
    chosen: Settings, symbols: tuple[str, ...], seed: int, count: int, *, halting: bool = False
) -> tuple[list[Any], list[Any]]:
    """Return what is traded with every close decided, and with the filter."""
    by_data = list[TradingState]()
    markets = {symbol: market(symbol, seed + number, count) for number, symbol in enumerate(symbols)}
    bars = {symbol: pair[0] for symbol, pair in markets.items()}
    ledgers = []
    with opened(chosen) as using:
        outlooks = {
            symbol: pair[1][["atr", "above", "below", "up", "down", "by", *using.columns]]
            for symbol, pair in markets.items()
        }
        for number, symbol in enumerate(symbols if halting else ()):
            states, halted = halts(symbol, pd.DatetimeIndex(close_times(bars[symbol])), seed + number)
            by_data = sorted([*by_data, *states], key=lambda state: state.since)
            outlooks[symbol] = outlooks[symbol][~outlooks[symbol].index.isin(halted)]
        for filtered in (False, True):
            venue = Venue(symbols, chosen.seed)
            venue.open(START, chosen.balance)
            account, decisions = Traded(Trader("backtest", venue, chosen.trading, using.fresh())), list[Decision]()
            account.trader.permits.by_data = by_data
            if filtered:
                trade_signals(account, bars, outlooks, decisions.append)
            else:
                trade(account, market_of(bars, outlooks), decisions.append)
            approved = [decision for decision in decisions if decision.approved]
            journals = [one.journal for one in venue.exchange.accounts.values()]
            ledgers.append([account.orders, approved, journals, account.decisions, account.trades, account.held])
    return ledgers[0], ledgers[1]


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    strategies=st.lists(st.sampled_from(list(STRATEGIES)), min_size=1, unique=True).map(tuple),
    symbols=st.sampled_from([("EURUSD",), ("EURJPY", "USDJPY"), ("BTCUSDT", "EURUSD")]),
    profile=st.sampled_from(["session1", "lightning", "ftmo"]),
    probability=st.floats(0.0, 1.0),
    minutes=st.integers(1, 120),
    halting=st.booleans(),
)
def test_the_filter_changes_no_order_fill_or_approved_decision(
    seed: int, strategies: tuple[str, ...], symbols: tuple[str, ...], profile: Any, probability: float, minutes: int,
    *, halting: bool,
) -> None:  # fmt: skip
    parameters = {f"{name}.minutes": minutes for name in strategies}
    chosen = Settings(
        strategies=strategies, profile=profile, entry_probability=probability, strategy_parameters=parameters
    )
    every, filtered = both(chosen, symbols, seed, 300, halting=halting)
    assert filtered == every


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_markets_of_the_comparison_are_traded(strategy: str) -> None:
    every, filtered = both(Settings(strategies=(strategy,), entry_probability=0.8), ("EURUSD", "USDJPY"), 3, 1_000)
    assert filtered == every
    orders, _, _, _, trades, _ = every
    assert orders
    assert trades


@pytest.mark.parametrize("strategy", ["m5_bos", "m1_retest"])
def test_halts_for_the_data_cancel_the_same_entries_with_the_filter(strategy: str) -> None:
    every, filtered = both(Settings(strategies=(strategy,)), ("EURUSD", "USDJPY"), 3, 1_000, halting=True)
    assert filtered == every
    moved = [record for journal in every[2] for record in journal if isinstance(record, Moved)]
    assert any(record.reason.endswith("is halted") for record in moved)

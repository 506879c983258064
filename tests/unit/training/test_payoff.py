"""Results of trading predictions, on trades computed by hand."""

from dataclasses import replace

import numpy as np
import pytest

from mikrobot.training.evaluation_figures import Payoff
from mikrobot.training.payoff import FEWEST_TRADES, RISK_ATR, payoff

MINUTE = np.timedelta64(1, "m")


@pytest.fixture
def every_hour(make_dataset):
    """Forty samples, one per hour, each with a move of one ATR towards its side."""
    data = make_dataset(40)
    time = np.datetime64("2024-03-04T00:00", "us") + np.arange(40) * np.timedelta64(60, "m")
    return replace(data, time=time, end=time + 5 * MINUTE, move=np.full(40, 1e-4), sigma_atr=np.full(40, 1e-4))


def test_a_trade_earns_its_move_less_the_spread_and_both_commissions(every_hour):
    summary = payoff(np.ones(40), every_hour, "bos")
    assert summary.trades == 40
    assert summary.gross_r == pytest.approx(1 / RISK_ATR)
    in_price = 0.00008 / 1.1 + 2 * 3.5 / 100_000
    assert summary.cost_r == pytest.approx(in_price / (RISK_ATR * 1e-4))
    assert summary.expectancy_r == pytest.approx(summary.gross_r - summary.cost_r)


def test_a_false_break_is_traded_against_its_side(every_hour):
    assert payoff(np.ones(40), every_hour, "false_break").gross_r == pytest.approx(-1 / RISK_ATR)


def test_crypto_pays_a_share_of_its_price(every_hour):
    data = replace(every_hour, symbol=np.full(40, "BTCUSDT"), close=np.full(40, 50_000.0))
    assert payoff(np.ones(40), data, "bos").cost_r == pytest.approx((0.01 / 50_000 + 0.002) / (RISK_ATR * 1e-4))


def test_one_position_at_a_time_is_held(every_hour):
    crowded = replace(every_hour, time=every_hour.time[0] + np.arange(40) * MINUTE)
    crowded = replace(crowded, end=crowded.time + 5 * MINUTE)
    assert payoff(np.ones(40), crowded, "bos").trades == 8


def test_too_few_trades_say_nothing(every_hour):
    few = np.where(np.arange(40) < FEWEST_TRADES - 1, 0.9, 0.1)
    assert payoff(few, every_hour, "bos") == Payoff(
        trades=FEWEST_TRADES - 1, expectancy_r=None, gross_r=None, cost_r=None, sharpe=None
    )


def test_the_sharpe_ratio_counts_days_without_a_trade(every_hour):
    moves = np.where(np.arange(40) % 2, 3e-4, -1e-4)
    data = replace(every_hour, move=moves, time=every_hour.time + np.arange(40) * np.timedelta64(1, "D"))
    data = replace(data, end=data.time + 5 * MINUTE)
    summary = payoff(np.ones(40), data, "bos")
    results = moves / (RISK_ATR * 1e-4) - summary.cost_r
    days = np.unique(data.time.astype("datetime64[D]"))
    years = float((days[-1] - days[0]).astype(int) + 1) / 365.25
    assert summary.sharpe == pytest.approx(results.mean() / results.std(ddof=1) * np.sqrt(len(days) / years))

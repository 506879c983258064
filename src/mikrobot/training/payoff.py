"""Result after costs of trading a model's predictions by the simplest rule.

If an outcome is more probable than not, the rule takes its side at the close and exits at the end of
the horizon, with one position per symbol at a time. There is no stop and no target. The result shows
if the predictions point in the direction of price by more than the costs of trading them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mikrobot.domain.instruments.registry import instrument
from mikrobot.models.catalog import kind_of
from mikrobot.paper.contracts import listed
from mikrobot.paper.profiles import MT5_HEDGING
from mikrobot.training.dataset import Dataset
from mikrobot.training.day_bootstrap import Observations
from mikrobot.training.evaluation_figures import Payoff
from mikrobot.training.scores import THRESHOLD

Floats = NDArray[np.float64]

RISK_ATR = 1.5
"""Risk R of a trade in ATR: the stop distance of the decision rule."""

FEWEST_TRADES = 30
"""Trades below which no result is reported."""


@dataclass(frozen=True, slots=True)
class Followed:
    """Trades by the rule, in units of `RISK_ATR` ATR at the entry; in order of time within each symbol.

    Attributes
    ----------
    gross, costs : ndarray of float64, shape (trades,)
        Result before costs; costs, which are the typical spread and both commissions.
    times : ndarray of datetime64, shape (trades,)
        Entries, UTC.
    """

    gross: Floats
    costs: Floats
    times: NDArray[np.datetime64]

    @property
    def net(self) -> Observations:
        """Results after costs."""
        return Observations(self.gross - self.costs, self.times)


def follow(probability: Floats, data: Dataset, kind: str) -> Followed:
    """Trade the samples whose outcome is more probable than not; see `payoff`."""
    taken = _taken(np.flatnonzero(probability >= THRESHOLD), data)
    direction = float(kind_of(kind).direction)
    risk = RISK_ATR * data.sigma_atr[taken]
    cost = np.array([_costs(str(symbol)) for symbol in np.unique(data.symbol)])[_places(data.symbol, taken)]
    gross = direction * data.move[taken] / risk
    return Followed(gross, (cost[:, 0] / data.close[taken] + cost[:, 1]) / risk, data.time[taken])


def payoff(probability: Floats, data: Dataset, kind: str) -> Payoff:
    """Trade the samples whose outcome is more probable than not, and return the summary.

    Reports only the number of trades below `FEWEST_TRADES`; R is `RISK_ATR` ATR at the entry.

    Parameters
    ----------
    probability : ndarray of float, shape (samples,)
    data : Dataset
        Samples in order of time within each symbol.
    kind : str
        Kind of the model: a false break is traded against its side, every other kind with its side.
    """
    traded = follow(probability, data, kind)
    trades = len(traded.gross)
    if trades < FEWEST_TRADES:
        return Payoff(trades)
    net = traded.net
    return Payoff(
        trades=trades,
        expectancy_r=float(np.mean(net.values)),
        gross_r=float(np.mean(traded.gross)),
        cost_r=float(np.mean(traded.costs)),
        sharpe=_sharpe(net.values, net.times, data.time),
    )


def _taken(wanted: NDArray[np.int64], data: Dataset) -> NDArray[np.int64]:
    """Choose the samples that one position per symbol can take, the earliest first."""
    taken: list[int] = []
    free: dict[str, np.datetime64] = {}
    for number in wanted[np.argsort(data.time[wanted], kind="stable")]:
        symbol = str(data.symbol[number])
        if symbol not in free or data.time[number] >= free[symbol]:
            taken.append(int(number))
            free[symbol] = data.end[number]
    return np.array(taken, dtype=np.int64)


def _places(symbols: NDArray[np.str_], chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.searchsorted(np.unique(symbols), symbols[chosen])


def _costs(symbol: str) -> tuple[float, float]:
    """Return the costs of a round trip: those in price, and those as a share of the price."""
    traded, contract = instrument(symbol), listed(instrument(symbol))
    commission = contract.commission(MT5_HEDGING.commission_per_lot) / traded.lot
    if traded.asset == "fx":
        return float(traded.spread), 2.0 * float(commission)
    if traded.market == "crypto":
        return float(traded.spread), 2.0 * float(contract.taker_fee)
    return float(traded.spread + 2 * commission), 2.0 * float(contract.taker_fee)


def _sharpe(results: Floats, times: NDArray[np.datetime64], span: NDArray[np.datetime64]) -> float | None:
    """Return the yearly Sharpe ratio of daily sums, days without a trade included."""
    days, of_day = span.astype("datetime64[D]"), times.astype("datetime64[D]")
    traded = np.unique(days)
    sums = np.bincount(np.searchsorted(traded, of_day), results, len(traded))
    years = max(float((traded[-1] - traded[0]).astype(int) + 1), 1.0) / 365.25
    deviation = float(sums.std(ddof=1)) if len(sums) > 1 else 0.0
    return float(sums.mean() / deviation * np.sqrt(len(traded) / years)) if deviation > 0.0 else None

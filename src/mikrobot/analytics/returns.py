"""Returns of an account and what they say of its risk: figures over daily returns.

Follows the conventions printed in `figures.MEASURES`; empyrical does the mathematics. Knows
nothing of trades.
"""

from collections.abc import Callable, Mapping

import empyrical
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.analytics.figures import Figure, figure
from mikrobot.domain.market import AssetClass

PERIODS: dict[AssetClass, int] = {"fx": 252, "crypto": 365}
"""Trading days a year; an account that trades any crypto lives by the crypto calendar."""

TAIL_DAYS = 20
"""Fewer days than this have no 5 % of them."""

_FLAT = 1e-12

Returns = NDArray[np.float64]


def daily_equity(equity: pd.Series, calendar: AssetClass) -> pd.Series:
    """Take the last equity of every market day.

    Parameters
    ----------
    equity : Series of float
        Marks of the account in order of time, index datetime64 UTC; account currency. A day
        without a mark is no market day and is left out.
    calendar : "fx" or "crypto"
        On "fx" Saturday and Sunday belong to the Monday after them.

    Returns
    -------
    Series of float
        By day, midnight UTC; known at the end of that day.
    """
    days = pd.DatetimeIndex(equity.index).floor("D")
    if calendar == "fx":
        days = days + pd.to_timedelta(np.where(days.dayofweek >= 5, 7 - days.dayofweek, 0), unit="D")
    return equity.groupby(days).last()


def daily_returns(daily: pd.Series, opening: float) -> pd.Series:
    """Return each day's change over the day before, the first day's over the opening balance.

    >>> days = pd.Series([101.0, 99.99], pd.to_datetime(["2025-01-06", "2025-01-07"], utc=True))
    >>> daily_returns(days, 100.0).round(6).tolist()
    [0.01, -0.01]
    """
    before = daily.shift(1, fill_value=opening)
    return daily / before - 1


def per_period(annual: float, periods: int) -> float:
    """Convert an annual rate to that of a period, geometrically."""
    return float((1 + annual) ** (1 / periods) - 1)


def return_figures(returns: pd.Series, periods: int, risk_free: float = 0.0) -> Mapping[str, Figure]:
    """Judge daily returns.

    Parameters
    ----------
    returns : Series of float
        As `daily_returns` gives them.
    periods : int
        Days a year.
    risk_free : float
        A year, as a fraction; converted geometrically.

    Returns
    -------
    mapping of str to Figure
        total_return, cagr, volatility, sharpe, sortino, calmar, value_at_risk and tail_ratio; None
        with the reason where there are too few days, or they do not vary.
    """
    values = returns.to_numpy("float64")
    few = "" if len(values) >= 2 else f"{len(values)} days of returns, two are needed"
    ruined = few or ("the account was ruined" if np.any(values <= -1) else "")
    tails = "" if len(values) >= TAIL_DAYS else f"{len(values)} days of returns, {TAIL_DAYS} are needed"
    rate, at = per_period(risk_free, periods), {"annualization": periods}
    return {
        "total_return": _figure(
            "" if len(values) else "no day was traded", lambda: empyrical.cum_returns_final(values)
        ),
        "cagr": _figure(ruined, lambda: empyrical.annual_return(values, **at)),
        "volatility": _figure(few, lambda: empyrical.annual_volatility(values, **at)),
        "sharpe": _figure(
            few or ("the daily returns do not vary" if _constant(values) else ""),
            lambda: empyrical.sharpe_ratio(values, rate, **at),
        ),
        "sortino": _figure(
            few or ("" if np.any(values < rate) else "no day fell below the risk-free rate"),
            lambda: empyrical.sortino_ratio(values, rate, **at),
        ),
        "calmar": _figure(
            ruined or ("" if np.any(values < 0) else "the daily equity never fell"),
            lambda: empyrical.calmar_ratio(values, **at),
        ),
        "value_at_risk": _figure(tails, lambda: empyrical.value_at_risk(values)),
        "tail_ratio": _figure(
            tails or ("" if np.percentile(values, 5) else "the 5th percentile is 0"),
            lambda: empyrical.tail_ratio(values),
        ),
    }


def relative_figures(
    returns: pd.Series, benchmark: pd.Series, periods: int, risk_free: float = 0.0
) -> Mapping[str, Figure]:
    """Hold daily returns against those of a benchmark, on the days that both have.

    Returns
    -------
    mapping of str to Figure
        beta and alpha; None with the reason where fewer than two days are common, or the
        benchmark does not move.
    """
    both = pd.concat([returns, benchmark], axis=1, join="inner").to_numpy("float64")
    own, other = both[:, 0], both[:, 1]
    rate = per_period(risk_free, periods)
    missing = f"{len(both)} days in common, two are needed" if len(both) < 2 else ""
    missing = missing or ("the benchmark does not move" if _constant(other) else "")
    return {
        "beta": _figure(missing, lambda: empyrical.beta_aligned(own, other, rate)),
        "alpha": _figure(missing, lambda: empyrical.alpha_aligned(own, other, rate, annualization=periods)),
    }


def drawdown_figures(equity: pd.Series, opening: float) -> Mapping[str, Figure]:
    """Find the deepest and the longest fall of the equity, at every mark.

    Parameters
    ----------
    equity : Series of float
        Marks in order of time, index datetime64 UTC.
    opening : float
        The first peak, which stands since the first mark.
    """
    if equity.empty:
        return dict.fromkeys(("max_drawdown", "drawdown_days"), Figure(None, "no mark of the equity"))
    return {
        "max_drawdown": Figure(-float(drawdowns(equity, opening).min())),
        "drawdown_days": Figure(_longest_below_days(equity, opening)),
    }


def drawdowns(equity: pd.Series, opening: float) -> pd.Series:
    """Return at each mark how far the equity lies below its last peak, as a fraction from 0 down.

    >>> times = pd.date_range("2025-01-06", periods=3, freq="h", tz="UTC")
    >>> drawdowns(pd.Series([110.0, 99.0, 110.0], times), 100.0).round(6).tolist()
    [0.0, -0.1, 0.0]
    """
    return equity / equity.cummax().clip(lower=opening) - 1


def _longest_below_days(equity: pd.Series, opening: float) -> float:
    """Return the longest time from the last mark at a peak to the first that reaches it again."""
    days = (equity.index - equity.index[0]) / pd.Timedelta(days=1)
    at_peak = drawdowns(equity, opening).to_numpy() >= -_FLAT
    stations = np.unique(np.concatenate([[0], np.flatnonzero(at_peak), [len(days) - 1]]))
    beneath = (np.diff(stations) > 1) | ~(at_peak[stations[:-1]] & at_peak[stations[1:]])
    return float(np.max(np.diff(days.to_numpy()[stations])[beneath], initial=0.0))


def _constant(values: Returns) -> bool:
    return bool(np.ptp(values) <= _FLAT * max(1.0, float(np.abs(values).max())))


def _figure(missing: str, compute: Callable[[], float]) -> Figure:
    """Compute a figure unless something is missing."""
    return Figure(None, missing) if missing else figure(compute(), "the returns are not finite")

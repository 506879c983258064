"""Return and risk figures of an account from its daily returns and equity marks.

Follows the definitions in `figures.MEASURES`; computed by empyrical. Does not use trades.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.analytics.figures import Figure, figure, shortfall
from mikrobot.domain.instruments.instrument import Market

PERIODS: dict[Market, int] = {"fx": 252, "crypto": 365}
"""Trading days a year; an account that trades any crypto uses the crypto calendar."""

PAUSE_DAYS = 7
"""Minimum length of a gap between marks that does not count as market time: a gap between segments, or lost data."""

RUINED = "ruined: the equity fell to zero or below, so returns are undefined from then on"

_FLAT = 1e-12

Returns = NDArray[np.float64]


def daily_equity(equity: pd.Series, calendar: Market) -> pd.Series:
    """Return the last equity of every market day.

    Parameters
    ----------
    equity : Series of float
        Marks of the account in order of time, index datetime64 UTC; account currency. A day
        without a mark is not a market day and is left out.
    calendar : "fx" or "crypto"
        With "fx", Saturday and Sunday belong to the following Monday.

    Returns
    -------
    Series of float
        By day, index midnight UTC; available at the end of that day.
    """
    days = pd.DatetimeIndex(equity.index).floor("D")
    if calendar == "fx":
        days = days + pd.to_timedelta(np.where(days.dayofweek >= 5, 7 - days.dayofweek, 0), unit="D")
    return equity.groupby(days).last()


def daily_returns(daily: pd.Series, opening: float) -> pd.Series:
    """Return the return of each day over the previous day; the first day over the opening balance.

    >>> days = pd.Series([101.0, 99.99], pd.to_datetime(["2025-01-06", "2025-01-07"], utc=True))
    >>> daily_returns(days, 100.0).round(6).tolist()
    [0.01, -0.01]
    """
    before = daily.shift(1, fill_value=opening)
    return daily / before - 1


def returns_by_day(equity: pd.Series, opening: float, calendar: Market) -> pd.Series:
    """Return the daily returns of equity marks; a mark at midnight belongs to the day that ends.

    Parameters
    ----------
    equity : Series of float
        Marks of the account in order of time, index datetime64 UTC; account currency.
    opening : float
        Balance before the first mark.
    calendar : "fx" or "crypto"
        As in `daily_equity`.
    """
    ended = equity.set_axis(pd.DatetimeIndex(equity.index) - pd.Timedelta(microseconds=1))
    return daily_returns(daily_equity(ended, calendar), opening)


def per_period(annual: float, periods: int) -> float:
    """Convert an annual rate geometrically to a rate per period."""
    return float((1 + annual) ** (1 / periods) - 1)


def until_ruin(returns: pd.Series) -> pd.Series:
    """Return daily returns up to and including the day of a total loss, if there is one.

    >>> until_ruin(pd.Series([0.1, -1.2, 1.0, 2.0])).tolist()
    [0.1, -1.2]
    """
    lost = np.flatnonzero(returns.to_numpy() <= -1)
    return returns.iloc[: lost[0] + 1] if len(lost) else returns


def return_figures(
    returns: pd.Series, periods: int, risk_free: float = 0.0, *, drawdown: float | None = None, ruined: str = ""
) -> Mapping[str, Figure]:
    """Compute the figures of daily returns.

    Parameters
    ----------
    returns : Series of float
        From `daily_returns`.
    periods : int
        Trading days a year.
    risk_free : float
        Annual rate, as a fraction; converted geometrically.
    drawdown : float, optional
        Maximum drawdown of the equity marks, as a fraction; by default that of the daily returns.
    ruined : str
        Reason why returns are undefined, for a ruin that may have happened within a day; by default
        derived from the returns.

    Returns
    -------
    mapping of str to Figure
        total_return, cagr, volatility, sharpe, sortino, calmar, value_at_risk and tail_ratio; None
        with a reason if the account was ruined, there are too few days, or the returns do not vary.
    """
    import empyrical  # takes a second, which every live process would need

    values = returns.to_numpy("float64")
    ruined = ruined or (RUINED if np.any(values <= -1) else "")
    rate, at = per_period(risk_free, periods), {"annualization": periods}
    deepest = abs(empyrical.max_drawdown(values)) if drawdown is None and len(values) else drawdown or 0.0

    def computed(name: str, compute: Callable[[], float], undefined: str = "") -> Figure:
        return _figure(ruined or shortfall(name, len(values)) or undefined, compute)

    return {
        "total_return": _figure(shortfall("total_return", len(values)), lambda: empyrical.cum_returns_final(values)),
        "cagr": computed("cagr", lambda: empyrical.annual_return(values, **at)),
        "volatility": computed("volatility", lambda: empyrical.annual_volatility(values, **at)),
        "sharpe": computed(
            "sharpe",
            lambda: empyrical.sharpe_ratio(values, rate, **at),
            "the daily returns do not vary" if _constant(values) else "",
        ),
        "sortino": computed(
            "sortino",
            lambda: empyrical.sortino_ratio(values, rate, **at),
            "" if np.any(values < rate) else "no day fell below the risk-free rate",
        ),
        "calmar": computed(
            "calmar",
            lambda: empyrical.annual_return(values, **at) / deepest,
            "" if deepest > 0 else "the equity never fell",
        ),
        "value_at_risk": computed("value_at_risk", lambda: empyrical.value_at_risk(values)),
        "tail_ratio": computed(
            "tail_ratio",
            lambda: empyrical.tail_ratio(values),
            "" if len(values) and np.percentile(values, 5) else "the 5th percentile is 0",
        ),
    }


def equity_figures(
    equity: pd.Series, returns: pd.Series, opening: float, periods: int, *, risk_free: float = 0.0, ruined: str = ""
) -> dict[str, Figure]:
    """Return the figures of returns and drawdowns, both based on the same maximum drawdown.

    Parameters
    ----------
    equity : Series of float
        Marks in order of time, index datetime64 UTC; account currency.
    returns : Series of float
        From `returns_by_day`.
    opening : float
        Balance before the first mark.
    periods, risk_free, ruined
        As in `return_figures`.
    """
    drawdown = drawdown_figures(equity, opening)
    deepest = drawdown["max_drawdown"].value
    return {**return_figures(returns, periods, risk_free, drawdown=deepest, ruined=ruined), **drawdown}


def relative_figures(
    returns: pd.Series, benchmark: pd.Series, periods: int, risk_free: float = 0.0, *, ruined: str = ""
) -> Mapping[str, Figure]:
    """Compute alpha and beta of daily returns against a benchmark, over the days that both have.

    The return of a day that only one of them has is compounded into its return on the next common day.

    Parameters
    ----------
    returns, benchmark : Series of float
        From `daily_returns`, both with the same start; index the days.
    periods : int
        Trading days a year.
    risk_free : float
        Annual rate, as a fraction; converted geometrically.
    ruined : str
        As in `return_figures`.

    Returns
    -------
    mapping of str to Figure
        beta and alpha; None with a reason if either account was ruined, too few days are common, or the
        benchmark does not move.
    """
    import empyrical

    both = _common_returns(returns, benchmark)
    own, other = both[:, 0], both[:, 1]
    rate = per_period(risk_free, periods)
    ruined = ruined or (RUINED if np.any(returns <= -1) else "")
    undefined = ruined or ("the benchmark was ruined" if np.any(benchmark <= -1) else "")
    still = "the benchmark does not move" if _constant(other) else ""
    return {
        "beta": _figure(
            undefined or shortfall("beta", len(both)) or still, lambda: empyrical.beta_aligned(own, other, rate)
        ),
        "alpha": _figure(
            undefined or shortfall("alpha", len(both)) or still,
            lambda: empyrical.alpha_aligned(own, other, rate, annualization=periods),
        ),
    }


def _common_returns(returns: pd.Series, benchmark: pd.Series) -> Returns:
    """Return the returns of both series between their common days, one column each."""
    levels = pd.concat([(1 + daily).cumprod() for daily in (returns, benchmark)], axis=1, join="inner")
    before = levels.shift(1, fill_value=1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        common: Returns = (levels / before - 1).to_numpy("float64")
    return common


def drawdown_figures(equity: pd.Series, opening: float) -> Mapping[str, Figure]:
    """Compute the maximum and the longest drawdown of the equity over all marks.

    Parameters
    ----------
    equity : Series of float
        Marks in order of time, index datetime64 UTC.
    opening : float
        Opening balance, which counts as the first peak, at the time of the first mark.
    """
    days = (pd.DatetimeIndex(equity.index) - pd.Timedelta(microseconds=1)).floor("D").nunique()
    return {
        "max_drawdown": _figure(
            shortfall("max_drawdown", len(equity)), lambda: abs(float(drawdowns(equity, opening).min()))
        ),
        "drawdown_days": _figure(shortfall("drawdown_days", days), lambda: _longest_below_days(equity, opening)),
    }


def drawdowns(equity: pd.Series, opening: float) -> pd.Series:
    """Return the drawdown at each mark: the distance of the equity below its previous peak, a fraction of 0 or less.

    >>> times = pd.date_range("2025-01-06", periods=3, freq="h", tz="UTC")
    >>> drawdowns(pd.Series([110.0, 99.0, 110.0], times), 100.0).round(6).tolist()
    [0.0, -0.1, 0.0]
    """
    return equity / equity.cummax().clip(lower=opening) - 1


def _longest_below_days(equity: pd.Series, opening: float) -> float:
    """Return the longest time from the last mark at a peak to the first mark that reaches it again, in days."""
    gaps = np.diff(((equity.index - equity.index[0]) / pd.Timedelta(days=1)).to_numpy())
    days = np.concatenate([[0.0], np.cumsum(np.where(gaps < PAUSE_DAYS, gaps, 0.0))])
    at_peak = drawdowns(equity, opening).to_numpy() >= -_FLAT
    stations = np.unique(np.concatenate([[0], np.flatnonzero(at_peak), [len(days) - 1]]))
    beneath = (np.diff(stations) > 1) | ~(at_peak[stations[:-1]] & at_peak[stations[1:]])
    return float(np.max(np.diff(days[stations])[beneath], initial=0.0))


def _constant(values: Returns) -> bool:
    return not len(values) or bool(np.ptp(values) <= _FLAT * max(1.0, float(np.abs(values).max())))


def _figure(missing: str, compute: Callable[[], float]) -> Figure:
    """Compute a figure unless something is missing."""
    return Figure(None, missing) if missing else figure(compute(), "the returns are not finite")

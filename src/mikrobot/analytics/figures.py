"""The figures of the analytics: a finite value, or the reason for its absence; never NaN or infinity.

`MEASURES` lists each figure once, with its label, unit, definition and minimum number of observations.
Does not compute the figures.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["money", "share", "ratio", "R", "days", "minutes", "times", "count"]


@dataclass(frozen=True, slots=True)
class Measure:
    """The label, unit and definition of a figure.

    Attributes
    ----------
    label : str
    unit : str
        "share" is a fraction of 1, shown in percent; "R" is the risk of the trade at its initial stop.
    convention : str
        The definition, printed next to the figure.
    least : int
        Minimum number of observations; with fewer there is no figure.
    observation : (str, str)
        Name of one observation, singular and plural.
    """

    label: str
    unit: Unit
    convention: str
    least: int
    observation: tuple[str, str]

    @property
    def stated(self) -> str:
        """The convention and the minimum number of observations."""
        return f"{self.convention}; needs {self._counted(self.least)}"

    def shortfall(self, count: int) -> str:
        """Return the reason if `count` observations are too few, otherwise an empty string."""
        if count >= self.least:
            return ""
        return f"{self._counted(count)}, {self.least} {'is' if self.least == 1 else 'are'} needed"

    def _counted(self, count: int) -> str:
        return f"{count} {self.observation[count != 1]}"


@dataclass(frozen=True, slots=True)
class Figure:
    """A finite value, or None with a reason.

    Attributes
    ----------
    value : float or None
    reason : str
        Empty if there is a value.
    """

    value: float | None
    reason: str = ""


def figure(value: float, otherwise: str) -> Figure:
    """Return a finite value as a figure; for any other value, return None with the given reason.

    >>> figure(1.5, "no loss"), figure(float("inf"), "no loss")
    (Figure(value=1.5, reason=''), Figure(value=None, reason='no loss'))
    """
    return Figure(float(value)) if math.isfinite(value) else Figure(None, otherwise)


def to_json(figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Return figures as plain JSON values: all values by name, and the reasons of the null values."""
    return {
        "values": {name: shown.value for name, shown in figures.items()},
        "reasons": {name: shown.reason for name, shown in figures.items() if shown.value is None},
    }


def shortfall(name: str, count: int) -> str:
    """Return the reason if `count` observations are too few for a figure of `MEASURES`, otherwise an empty string.

    >>> shortfall("value_at_risk", 2), shortfall("value_at_risk", 20)
    ('2 days of returns, 20 are needed', '')
    """
    return MEASURES[name].shortfall(count)


MONTH, QUARTER = 30, 90
"""Minimum number of days for a standard deviation (a month) and for a compounded annual figure (a quarter).
The standard error of a standard deviation of 30 days is 13 % of it. Compounding 90 days to a year raises
their growth to a power of 4 at most."""

_DAYS = ("day of returns", "days of returns")
_COMMON = ("day of returns in common", "days of returns in common")
_MARKED = ("day with an equity mark", "days with an equity mark")
_MARKS = ("equity mark", "equity marks")
_TRADES = ("trade", "trades")

MEASURES: dict[str, Measure] = {
    "total_return": Measure(
        "Return", "share", "last equity over the opening balance, minus 1; deposits do not count as return", 1, _DAYS
    ),
    "cagr": Measure(
        "Annualised return", "share", "compounded: growth to the power of (periods a year / days), minus 1",
        QUARTER, _DAYS,
    ),
    "volatility": Measure(
        "Annualised volatility", "share",
        "standard deviation (ddof 1) of daily returns, times the square root of the periods a year",
        MONTH, _DAYS,
    ),
    "sharpe": Measure(
        "Sharpe ratio", "ratio", "mean over standard deviation (ddof 1) of daily excess returns, annualised",
        MONTH, _DAYS,
    ),
    "sortino": Measure(
        "Sortino ratio", "ratio",
        "mean daily excess return over the root mean square of its negative values, counting all days; annualised",
        MONTH, _DAYS,
    ),
    "calmar": Measure("Calmar ratio", "ratio", "annualised return over the maximum drawdown", QUARTER, _DAYS),
    "max_drawdown": Measure(
        "Maximum drawdown", "share", "deepest fall of the equity below its previous peak, at any mark", 1, _MARKS
    ),
    "drawdown_days": Measure(
        "Longest drawdown", "days",
        "from a peak of the equity until it reaches that peak again, or to the end; in calendar days, without market "
        "pauses of a week or more",
        5, _MARKED,
    ),
    "value_at_risk": Measure(
        "Daily VaR, 95 %", "share", "historical: 5th percentile of daily returns", 20, _DAYS
    ),
    "tail_ratio": Measure(
        "Tail ratio", "ratio", "95th percentile of daily returns over the 5th percentile, unsigned", 20, _DAYS
    ),
    "beta": Measure(
        "Beta", "ratio",
        "covariance of daily excess returns with those of the benchmark, over the variance of the latter",
        MONTH, _COMMON,
    ),
    "alpha": Measure(
        "Annualised alpha", "share",
        "mean daily excess return minus beta times that of the benchmark, compounded to a year",
        QUARTER, _COMMON,
    ),
    "exposure": Measure("Exposure", "share", "share of the market's minutes with an open position", 1, _MARKS),
    "leverage": Measure(
        "Leverage", "times", "notional of the open positions over the equity, mean of all minutes", 1, _MARKS
    ),
    "turnover": Measure("Turnover", "times", "notional of all fills over the mean equity, whole span", 1, _MARKS),
    "win_rate": Measure("Win rate", "share", "trades with a positive net result over all trades", 1, _TRADES),
    "average_win": Measure("Average win", "money", "mean net result of the winning trades", 1, _TRADES),
    "average_loss": Measure("Average loss", "money", "mean net result of the losing trades", 1, _TRADES),
    "payoff": Measure(
        "Payoff", "ratio", "average win over average loss, unsigned", 1, _TRADES
    ),
    "profit_factor": Measure(
        "Profit factor", "ratio", "sum of the winning trades over the sum of the losing trades, unsigned", 1, _TRADES
    ),
    "expectancy": Measure("Expectancy", "money", "mean net result of a trade", 1, _TRADES),
    "expectancy_r": Measure(
        "Expectancy in R", "R", "mean of the net result over the loss at the initial stop", 1, _TRADES
    ),
    "mae_r": Measure(
        "Maximum adverse excursion", "R",
        "largest unrealised loss of a trade in the bars before its exit bar, mean of all trades",
        1, _TRADES,
    ),
    "mfe_r": Measure(
        "Maximum favourable excursion", "R",
        "largest unrealised gain of a trade in the bars before its exit bar, mean of all trades",
        1, _TRADES,
    ),
    "holding_median": Measure("Median holding time", "minutes", "from entry to exit", 1, _TRADES),
    "holding_longest": Measure("Longest holding time", "minutes", "from entry to exit", 1, _TRADES),
    "ambiguous_share": Measure(
        "Ambiguous trades", "share",
        "trades whose exit bar reached both stop and target, so that the stop was assumed, over all trades",
        1, _TRADES,
    ),
}  # fmt: skip

"""A figure with its convention, or the reason why there is none; never NaN or infinity.

Lists every figure of the analytics once: what it is called, its unit, how it is defined, and how many
observations it needs.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["money", "share", "ratio", "R", "days", "minutes", "times", "count"]


@dataclass(frozen=True, slots=True)
class Measure:
    """How a figure is shown and defined.

    Attributes
    ----------
    label : str
    unit : str
        "share" is a fraction of 1 that is shown in percent; "R" is the risk of the trade at its first stop.
    convention : str
        The definition, as it is printed beside the figure.
    least : int
        Observations below which there is no figure.
    observation : (str, str)
        What is counted, singular and plural.
    """

    label: str
    unit: Unit
    convention: str
    least: int
    observation: tuple[str, str]

    @property
    def stated(self) -> str:
        """The convention with the observations it needs."""
        return f"{self.convention}; needs {self._counted(self.least)}"

    def shortfall(self, count: int) -> str:
        """Return what is missing to a figure of so many observations, or an empty string."""
        if count >= self.least:
            return ""
        return f"{self._counted(count)}, {self.least} {'is' if self.least == 1 else 'are'} needed"

    def _counted(self, count: int) -> str:
        return f"{count} {self.observation[count != 1]}"


@dataclass(frozen=True, slots=True)
class Figure:
    """A finite value, or None with the reason.

    Attributes
    ----------
    value : float or None
    reason : str
        Empty where there is a value.
    """

    value: float | None
    reason: str = ""


def figure(value: float, otherwise: str) -> Figure:
    """Keep a finite value; of any other, only the reason why it cannot be told.

    >>> figure(1.5, "no loss"), figure(float("inf"), "no loss")
    (Figure(value=1.5, reason=''), Figure(value=None, reason='no loss'))
    """
    return Figure(float(value)) if math.isfinite(value) else Figure(None, otherwise)


def to_json(figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Return figures as plain JSON values: the values by name, and the reasons of those that are null."""
    return {
        "values": {name: each.value for name, each in figures.items()},
        "reasons": {name: each.reason for name, each in figures.items() if each.value is None},
    }


def shortfall(name: str, count: int) -> str:
    """Return what is missing to a figure of `MEASURES`, or an empty string.

    >>> shortfall("value_at_risk", 2), shortfall("value_at_risk", 20)
    ('2 days of returns, 20 are needed', '')
    """
    return MEASURES[name].shortfall(count)


MONTH, QUARTER = 30, 90
"""Days from which a spread, and a compounded year, are given. The standard error of a standard deviation
of 30 days is 13 % of it; compounding 90 days to a year raises their growth to a power of 4 at most."""

_DAYS = ("day of returns", "days of returns")
_COMMON = ("day of returns in common", "days of returns in common")
_MARKED = ("day with a mark of the equity", "days with a mark of the equity")
_MARKS = ("mark of the equity", "marks of the equity")
_TRADES = ("trade", "trades")

MEASURES: dict[str, Measure] = {
    "total_return": Measure(
        "Return", "share", "last equity over the opening balance, less 1; deposits are no return", 1, _DAYS
    ),
    "cagr": Measure(
        "Return a year", "share", "compounded: growth to the power of (periods a year / days), less 1", QUARTER, _DAYS
    ),
    "volatility": Measure(
        "Volatility a year", "share", "standard deviation (ddof 1) of daily returns, times the root of the periods",
        MONTH, _DAYS,
    ),
    "sharpe": Measure(
        "Sharpe", "ratio", "mean over standard deviation (ddof 1) of daily excess returns, annualised", MONTH, _DAYS
    ),
    "sortino": Measure(
        "Sortino", "ratio",
        "mean daily excess return over the root mean square of its negative parts, all days counted; annualised",
        MONTH, _DAYS,
    ),
    "calmar": Measure("Calmar", "ratio", "return a year over the largest drawdown", QUARTER, _DAYS),
    "max_drawdown": Measure(
        "Largest drawdown", "share", "deepest fall of the equity at any mark below its last peak", 1, _MARKS
    ),
    "drawdown_days": Measure(
        "Longest drawdown", "days",
        "from a peak of the equity until it is reached again, or to the end; calendar days, without pauses of the "
        "market of a week or more",
        5, _MARKED,
    ),
    "value_at_risk": Measure(
        "VaR 95 %, a day", "share", "historical: the daily return that 5 % of the days undercut", 20, _DAYS
    ),
    "tail_ratio": Measure(
        "Tail ratio", "ratio", "95th percentile of daily returns over the 5th, unsigned", 20, _DAYS
    ),
    "beta": Measure(
        "Beta", "ratio", "covariance of daily excess returns with the benchmark's over its variance", MONTH, _COMMON
    ),
    "alpha": Measure(
        "Alpha a year", "share",
        "mean daily excess return less beta times the benchmark's, compounded",
        QUARTER, _COMMON,
    ),
    "exposure": Measure("Exposure", "share", "share of the market's minutes with an open position", 1, _MARKS),
    "leverage": Measure(
        "Leverage", "times", "mean notional of the open positions over the equity, all minutes", 1, _MARKS
    ),
    "turnover": Measure("Turnover", "times", "notional of every fill over the mean equity, whole span", 1, _MARKS),
    "win_rate": Measure("Win rate", "share", "trades with a positive net result over all trades", 1, _TRADES),
    "average_win": Measure("Average win", "money", "mean net result of the winning trades", 1, _TRADES),
    "average_loss": Measure("Average loss", "money", "mean net result of the losing trades", 1, _TRADES),
    "payoff": Measure(
        "Payoff", "ratio", "average win over average loss, unsigned", 1, _TRADES
    ),
    "profit_factor": Measure(
        "Profit factor", "ratio", "sum of the wins over the sum of the losses, per trade", 1, _TRADES
    ),
    "expectancy": Measure("Expectancy", "money", "mean net result of a trade", 1, _TRADES),
    "expectancy_r": Measure(
        "Expectancy in R", "R", "mean net result over what the first stop would have lost", 1, _TRADES
    ),
    "mae_r": Measure(
        "Adverse excursion", "R", "mean of the worst open loss of each trade; bars before the exit bar", 1, _TRADES
    ),
    "mfe_r": Measure(
        "Favourable excursion", "R", "mean of the best open gain of each trade; bars before the exit bar", 1, _TRADES
    ),
    "holding_median": Measure("Holding time", "minutes", "median from entry to exit", 1, _TRADES),
    "holding_longest": Measure("Longest holding", "minutes", "from entry to exit", 1, _TRADES),
    "ambiguous_share": Measure(
        "Ambiguous trades", "share", "one bar held both stop and target, and the stop was assumed; over all trades",
        1, _TRADES,
    ),
}  # fmt: skip

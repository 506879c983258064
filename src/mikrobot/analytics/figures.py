"""A figure with its convention, or the reason why there is none; never NaN or infinity.

Lists every figure of the analytics once: what it is called, its unit, and how it is defined.
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
    """

    label: str
    unit: Unit
    convention: str


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


MEASURES: dict[str, Measure] = {
    "total_return": Measure("Return", "share", "last equity over the opening balance, less 1"),
    "cagr": Measure("Return a year", "share", "compounded: growth to the power of (periods a year / days), less 1"),
    "volatility": Measure(
        "Volatility a year", "share", "standard deviation (ddof 1) of daily returns, times the root of the periods"
    ),
    "sharpe": Measure("Sharpe", "ratio", "mean over standard deviation (ddof 1) of daily excess returns, annualised"),
    "sortino": Measure(
        "Sortino", "ratio", "mean daily excess return over the root mean square of its negative parts, all days counted"
    ),
    "calmar": Measure("Calmar", "ratio", "return a year over the largest drawdown of the daily equity"),
    "max_drawdown": Measure("Largest drawdown", "share", "deepest fall of the equity at any mark below its last peak"),
    "drawdown_days": Measure(
        "Longest drawdown", "days", "from a peak of the equity until it is reached again, or to the end; calendar days"
    ),
    "value_at_risk": Measure("VaR 95 %, a day", "share", "historical: the daily return that 5 % of the days undercut"),
    "tail_ratio": Measure("Tail ratio", "ratio", "95th percentile of daily returns over the 5th, unsigned"),
    "beta": Measure("Beta", "ratio", "covariance of daily excess returns with the benchmark's over its variance"),
    "alpha": Measure("Alpha a year", "share", "mean daily excess return less beta times the benchmark's, compounded"),
    "exposure": Measure("Exposure", "share", "share of the market's minutes with an open position"),
    "leverage": Measure("Leverage", "times", "mean notional of the open positions over the equity, all minutes"),
    "turnover": Measure("Turnover", "times", "notional of every fill over the mean equity, whole span"),
    "win_rate": Measure("Win rate", "share", "trades with a positive net result over all trades"),
    "average_win": Measure("Average win", "money", "mean net result of the winning trades"),
    "average_loss": Measure("Average loss", "money", "mean net result of the losing trades"),
    "payoff": Measure("Payoff", "ratio", "average win over average loss, unsigned"),
    "profit_factor": Measure("Profit factor", "ratio", "sum of the wins over the sum of the losses, per trade"),
    "expectancy": Measure("Expectancy", "money", "mean net result of a trade"),
    "expectancy_r": Measure("Expectancy in R", "R", "mean net result over what the first stop would have lost"),
    "mae_r": Measure("Adverse excursion", "R", "mean of the worst open loss of each trade; bars before the exit bar"),
    "mfe_r": Measure("Favourable excursion", "R", "mean of the best open gain of each trade; bars before the exit bar"),
    "holding_median": Measure("Holding time", "minutes", "median from entry to exit"),
    "holding_longest": Measure("Longest holding", "minutes", "from entry to exit"),
    "ambiguous_share": Measure(
        "Ambiguous trades", "share", "one bar held both stop and target, and the stop was assumed; over all trades"
    ),
}

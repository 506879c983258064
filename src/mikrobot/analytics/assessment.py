"""The assessment of an account over a span: every figure, with intervals, groups and benchmarks.

Combines the computations of the other modules of this package. Commands print `Assessment.to_json`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from mikrobot.analytics import stationary_bootstrap as bootstrap
from mikrobot.analytics.benchmarks import buy_and_hold
from mikrobot.analytics.charges import DEPOSIT, INSIDE, Charge, by_kind
from mikrobot.analytics.figures import MEASURES, Figure, shortfall, to_json
from mikrobot.analytics.marks import Excursion, excursions, marked, notional_traded, spread_cost
from mikrobot.analytics.periods import Period, periods
from mikrobot.analytics.regimes import volatility_regimes
from mikrobot.analytics.returns import (
    PERIODS,
    equity_figures,
    per_period,
    relative_figures,
    returns_by_day,
)
from mikrobot.analytics.stationary_bootstrap import Interval
from mikrobot.analytics.trades import (
    OpenTrade,
    Performance,
    by_exit,
    by_session,
    by_symbol,
    grouped,
    performance,
    r_multiple,
    trade_figures,
)
from mikrobot.domain.instruments.instrument import Market
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.trading import Trade

HOLD = "buy and hold"
RULES = "rules only"

Groups = Mapping[str, Mapping[str, Performance]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark account over the same span, and the comparison with it.

    Attributes
    ----------
    figures : mapping of str to Figure
        Returns and drawdown of the benchmark, and alpha and beta of the assessed account against it.
    equity : Series of float
        By instant, UTC.
    """

    figures: Mapping[str, Figure]
    equity: pd.Series


@dataclass(frozen=True, slots=True)
class Assessment:
    """The result of an account over a span.

    Attributes
    ----------
    total : Performance
        Of the whole account, from `account_performance`; money in Decimal.
    figures : mapping of str to Figure
        By the names of `MEASURES`.
    intervals : mapping of str to Interval
        Bootstrap intervals of some of the figures.
    groups : mapping of str to mapping of str to Performance
        By symbol, session, regime and exit.
    costs : mapping of str to Decimal
        By kind, account currency, positive when paid.
    months, weeks : tuple of Period
    benchmarks : mapping of str to Benchmark
    marks : DataFrame
        From `marks.marked`.
    returns : Series of float
        Daily.
    excursions : list of Excursion or None
        In the order of the trades.
    regimes : mapping of str to str
        By order id.
    calendar : "fx" or "crypto"
    risk_free : float
        Annual rate, as a fraction.
    ruined : str
        Amount and time at which the equity fell to zero or below; empty if it did not.
    """

    total: Performance
    figures: Mapping[str, Figure]
    intervals: Mapping[str, Interval]
    groups: Groups
    costs: Mapping[str, Decimal]
    months: tuple[Period, ...]
    weeks: tuple[Period, ...]
    benchmarks: Mapping[str, Benchmark]
    marks: pd.DataFrame
    returns: pd.Series
    excursions: Sequence[Excursion | None]
    regimes: Mapping[str, str]
    calendar: Market
    risk_free: float
    ruined: str = ""

    @property
    def conventions(self) -> tuple[str, ...]:
        """The conventions shared by all figures, one or two sentences each."""
        week = "Saturday and Sunday count as Monday" if self.calendar == "fx" else "every day counts"
        return (
            f"Calendar: {self.calendar}, {PERIODS[self.calendar]} periods a year; {week}. Days are UTC days; days "
            f"without a bar are left out. Days in this report: {len(self.returns)}.",
            f"Risk-free rate: {self.risk_free:.2%} a year, converted geometrically to a daily rate.",
            "Equity is marked to market at every bar close, long positions at the bid, short positions at the ask. It "
            "includes every cash entry: results, commission, swap, funding, insurance and deposits. A deposit is "
            "neither a return nor a drawdown.",
            "The net result of a trade is its price difference minus commission. Swap, funding and insurance count "
            "towards the profit and loss of the account only.",
            "R is the loss of a trade at its initial stop, before costs.",
            f"Intervals: {bootstrap.LEVEL:.0%}, from the percentiles of {bootstrap.RESAMPLES:,} stationary bootstrap "
            "resamples. The mean block length is the cube root of the number of observations.",
        )

    def to_json(self) -> dict[str, Any]:
        """Return the assessment without its series as plain JSON values, money as text."""
        return {
            "total": self.total.to_json(),
            "figures": to_json(self.figures),
            "intervals": {
                name: {"low": interval.low, "high": interval.high, "reason": interval.reason}
                for name, interval in self.intervals.items()
            },
            "groups": {
                kind: {name: total.to_json() for name, total in group.items()} for kind, group in self.groups.items()
            },
            "costs": {kind: str(amount) for kind, amount in self.costs.items()},
            "months": [period.to_json() for period in self.months],
            "weeks": [period.to_json() for period in self.weeks],
            "benchmarks": {name: to_json(benchmark.figures) for name, benchmark in self.benchmarks.items()},
            "conventions": {
                "general": list(self.conventions),
                "figures": {name: MEASURES[name].stated for name in self.figures},
            },
        }


def assess(
    trades: Sequence[Trade],
    bars: Mapping[str, pd.DataFrame],
    opening: Decimal,
    *,
    risk_free: float = 0.0,
    rules_only: pd.Series | None = None,
    held: Sequence[OpenTrade] = (),
    charges: Iterable[Charge] = (),
    seed: int = 0,
) -> Assessment:
    """Assess an account over the bars it traded.

    Parameters
    ----------
    trades : sequence of Trade
        In order of exit.
    bars : mapping of str to DataFrame
        M1 bar frames of the traded span by symbol.
    opening : Decimal
        Balance before the first trade, positive, account currency.
    risk_free : float
        Annual rate, as a fraction.
    rules_only : Series of float, optional
        Equity of the same strategy without its models, by instant, UTC: a second benchmark.
    held : sequence of OpenTrade
        Positions still open; their value and commission are in the equity.
    charges : iterable of Charge
        Every cash entry that no fill records, and slippage.
    seed : int
        Seed of the bootstrap.
    """
    charges = tuple(charges)
    positions: list[Trade | OpenTrade] = [*trades, *held]
    calendar = calendar_of([*bars, *(position.order.symbol for position in positions)])
    marks = marked(trades, bars, opening, held, charges=charges)
    ruined = ruin(marks["equity"])
    returns = returns_by_day(marks["nav"], float(opening), calendar)
    trade_excursions, regimes = excursions(trades, bars), volatility_regimes(trades, bars)
    others = {HOLD: buy_and_hold(bars, opening)} | ({RULES: rules_only} if rules_only is not None else {})
    benchmarks = _benchmarks(others, returns, float(opening), calendar, risk_free=risk_free, ruined=ruined)
    figures = {
        **equity_figures(marks["nav"], returns, float(opening), PERIODS[calendar], risk_free=risk_free, ruined=ruined),
        **_relative_to_hold(benchmarks),
        **_usage_figures(trades, marks, ruined),
        **trade_figures(trades),
        **_excursion_figures(trade_excursions),
    }
    return Assessment(
        total=account_performance(trades, opening, marks["nav"], charges),
        figures=figures,
        intervals=_intervals(
            trades, returns, PERIODS[calendar], risk_free, figures=figures, rng=np.random.default_rng(seed)
        ),
        groups=_groups(trades, bars, regimes, opening),
        costs=costs_of(trades, bars, charges),
        months=periods(returns, trades, "month"),
        weeks=periods(returns, trades, "week"),
        benchmarks=benchmarks,
        marks=marks,
        returns=returns,
        excursions=trade_excursions,
        regimes=regimes,
        calendar=calendar,
        risk_free=risk_free,
        ruined=ruined,
    )


def account_performance(
    trades: Sequence[Trade], opening: Decimal, nav: pd.Series, charges: Iterable[Charge] = ()
) -> Performance:
    """Compute the performance of a whole account: its closed trades and its other cash entries.

    Profit includes swap, funding and insurance. It excludes open positions: their value and commission
    are in the equity only.

    Parameters
    ----------
    trades, opening, charges
        As in `assess`.
    nav : Series of float
        From `marks.marked`.
    """
    closed = performance(trades, opening, nav)
    charged = sum((charge.amount for charge in charges if charge.is_cash and charge.kind != DEPOSIT), Decimal(0))
    return replace(closed, pnl=closed.pnl - charged)


def ruin(equity: pd.Series) -> str:
    """Return the amount and time of the ruin of an account, or an empty string.

    >>> ruin(pd.Series([100.0, -10.0], pd.to_datetime(["2025-01-06 09:00", "2025-01-07 10:30"], utc=True)))
    'ruined: the equity fell to -10.00 on 2025-01-07 10:30 UTC'
    """
    lost = equity[equity <= 0]
    return f"ruined: the equity fell to {lost.iloc[0]:,.2f} on {lost.index[0]:%Y-%m-%d %H:%M} UTC" if len(lost) else ""


def calendar_of(symbols: Sequence[str]) -> Market:
    """Return the calendar of an account: "crypto" if it trades any crypto symbol, otherwise "fx".

    >>> calendar_of(["EURUSD"]), calendar_of(["EURUSD", "BTCUSDT"])
    ('fx', 'crypto')
    """
    return "crypto" if any(not instrument(symbol).closes for symbol in symbols) else "fx"


def _benchmarks(
    others: Mapping[str, pd.Series],
    own: pd.Series,
    opening: float,
    calendar: Market,
    *,
    risk_free: float,
    ruined: str,
) -> dict[str, Benchmark]:
    """Return the benchmark accounts that have equity, each with its comparison."""
    benchmarks = {}
    for name, equity in others.items():
        if len(equity):
            returns = returns_by_day(equity, opening, calendar)
            figures = equity_figures(
                equity, returns, opening, PERIODS[calendar], risk_free=risk_free, ruined=ruin(equity)
            )
            relative = relative_figures(own, returns, PERIODS[calendar], risk_free, ruined=ruined)
            benchmarks[name] = Benchmark({**figures, **relative}, equity)
    return benchmarks


def _relative_to_hold(benchmarks: Mapping[str, Benchmark]) -> dict[str, Figure]:
    """Return beta and alpha against buy and hold."""
    against = benchmarks[HOLD].figures if HOLD in benchmarks else {}
    return {
        name: against.get(name, Figure(None, f"no bars to compare with; {shortfall(name, 0)}"))
        for name in ("beta", "alpha")
    }


def _groups(
    trades: Sequence[Trade], bars: Mapping[str, pd.DataFrame], regimes: Mapping[str, str], opening: Decimal
) -> Groups:
    def mark(some: Sequence[Trade]) -> pd.Series:
        symbols = {trade.order.symbol for trade in some}
        return marked(some, {symbol: frame for symbol, frame in bars.items() if symbol in symbols}, opening)["nav"]

    groups = {
        "symbol": by_symbol,
        "session": by_session,
        "regime": lambda trade: regimes[trade.order.id],
        "exit": by_exit,
    }
    return {name: grouped(trades, group, opening, mark) for name, group in groups.items()}


def costs_of(
    trades: Sequence[Trade], bars: Mapping[str, pd.DataFrame], charges: Iterable[Charge]
) -> dict[str, Decimal]:  # fmt: skip
    """Return the costs of trading by kind, account currency, positive when paid; the arguments are as in `assess`."""
    return {
        "commission": sum((trade.entry.fee + trade.exit.fee for trade in trades), Decimal(0)),
        f"spread{INSIDE}": spread_cost(trades, bars),
        **by_kind(charges),
    }


def _usage_figures(trades: Sequence[Trade], marks: pd.DataFrame, ruined: str) -> dict[str, Figure]:
    """Return exposure, leverage and turnover."""
    if missing := shortfall("exposure", len(marks)):
        return dict.fromkeys(("exposure", "leverage", "turnover"), Figure(None, missing))
    equity = marks["equity"]
    return {
        "exposure": Figure(float((marks["open"] > 0).mean())),
        "leverage": Figure(None, ruined) if ruined else Figure(float((marks["notional"] / equity).mean())),
        "turnover": Figure(None, ruined) if ruined else Figure(notional_traded(trades) / float(equity.mean())),
    }


def _excursion_figures(trade_excursions: Sequence[Excursion | None]) -> dict[str, Figure]:
    measured = [excursion for excursion in trade_excursions if excursion is not None]
    if not measured:
        missing = shortfall("mae_r", len(trade_excursions)) or "no trade has both bars and a stop behind its entry"
        return dict.fromkeys(("mae_r", "mfe_r"), Figure(None, missing))
    return {
        "mae_r": Figure(float(np.mean([excursion.adverse for excursion in measured]))),
        "mfe_r": Figure(float(np.mean([excursion.favourable for excursion in measured]))),
    }


def _intervals(
    trades: Sequence[Trade],
    returns: pd.Series,
    count: int,
    risk_free: float,
    *,
    figures: Mapping[str, Figure],
    rng: np.random.Generator,
) -> dict[str, Interval]:
    """Return the intervals of some figures; a missing figure has no interval, for the same reason."""
    results = np.array([float(trade.pnl) for trade in trades])
    in_r = np.array([r for r in map(r_multiple, trades) if r is not None])
    rate = per_period(risk_free, count)
    estimated = {
        **bootstrap.intervals(returns.to_numpy("float64"), {"sharpe": bootstrap.sharpe(count, rate)}, rng),
        **bootstrap.intervals(
            results,
            {
                "win_rate": bootstrap.share_positive,
                "profit_factor": bootstrap.profit_factor,
                "expectancy": bootstrap.mean,
            },
            rng,
        ),
        **bootstrap.intervals(in_r, {"expectancy_r": bootstrap.mean}, rng),
    }
    return {
        name: interval if figures[name].value is not None else Interval(None, None, figures[name].reason)
        for name, interval in estimated.items()
    }

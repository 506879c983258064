"""The full judgement of an account over a span: every figure, with intervals, groups and benchmarks.

Puts together what its neighbours compute; `Assessment.to_json` is what commands print.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from mikrobot.analytics import intervals as bootstrap
from mikrobot.analytics.benchmarks import buy_and_hold
from mikrobot.analytics.charges import INSIDE, Charge, by_kind
from mikrobot.analytics.figures import MEASURES, Figure, to_json
from mikrobot.analytics.intervals import Interval
from mikrobot.analytics.marks import Excursion, excursions, marked, notional_traded, spread_cost
from mikrobot.analytics.periods import Period, periods
from mikrobot.analytics.regimes import volatility_regimes
from mikrobot.analytics.returns import (
    PERIODS,
    daily_equity,
    daily_returns,
    drawdown_figures,
    per_period,
    relative_figures,
    return_figures,
)
from mikrobot.analytics.trades import (
    Performance,
    by_exit,
    by_session,
    by_symbol,
    grouped,
    performance,
    r_multiple,
    trade_figures,
)
from mikrobot.domain.market import AssetClass, instrument
from mikrobot.domain.trading import Trade

HOLD = "buy and hold"
RULES = "rules only"

Groups = Mapping[str, Mapping[str, Performance]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Another account over the same span, and ours held against it.

    Attributes
    ----------
    figures : mapping of str to Figure
        Its own returns and drawdown, and our alpha and beta against it.
    equity : Series of float
        By instant, UTC.
    """

    figures: Mapping[str, Figure]
    equity: pd.Series


@dataclass(frozen=True, slots=True)
class Assessment:
    """What an account did.

    Attributes
    ----------
    total : Performance
        Money in Decimal.
    figures : mapping of str to Figure
        By the names of `MEASURES`.
    intervals : mapping of str to Interval
        Of some of them.
    groups : mapping of str to mapping of str to Performance
        By symbol, session, regime and exit.
    costs : mapping of str to Decimal
        By kind, account currency, positive when paid.
    months, weeks : tuple of Period
    benchmarks : mapping of str to Benchmark
    marks : DataFrame
        As `marks.marked` gives them.
    returns : Series of float
        Daily.
    excursions : list of Excursion or None
        In the order of the trades.
    regimes : mapping of str to str
        By order id.
    calendar : "fx" or "crypto"
    risk_free : float
        A year, as a fraction.
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
    calendar: AssetClass
    risk_free: float

    @property
    def conventions(self) -> tuple[str, ...]:
        """What holds for all figures, in sentences."""
        week = "Saturday and Sunday count as Monday" if self.calendar == "fx" else "every day counts"
        return (
            f"{PERIODS[self.calendar]} periods a year, {self.calendar} calendar: {week}; UTC days, those without a bar "
            f"left out; {len(self.returns)} days here.",
            f"Risk-free rate {self.risk_free:.2%} a year, converted to days geometrically.",
            "Equity is marked at every bar close, long positions at bid, short ones at ask.",
            "R is what the trade would have lost at its first stop, costs aside.",
            f"Intervals: {bootstrap.LEVEL:.0%}, percentiles of {bootstrap.RESAMPLES:,} stationary bootstrap resamples, "
            "blocks of the cube root of the length on average.",
        )

    def to_json(self) -> dict[str, Any]:
        """Return everything but the series as plain JSON values, money as text."""
        return {
            "total": self.total.to_json(),
            "figures": to_json(self.figures),
            "intervals": {
                name: {"low": each.low, "high": each.high, "reason": each.reason}
                for name, each in self.intervals.items()
            },
            "groups": {
                kind: {name: each.to_json() for name, each in group.items()} for kind, group in self.groups.items()
            },
            "costs": {kind: str(amount) for kind, amount in self.costs.items()},
            "months": [period.to_json() for period in self.months],
            "weeks": [period.to_json() for period in self.weeks],
            "benchmarks": {name: to_json(each.figures) for name, each in self.benchmarks.items()},
            "conventions": {
                "general": list(self.conventions),
                "figures": {name: MEASURES[name].convention for name in self.figures},
            },
        }


def assess(
    trades: Sequence[Trade],
    bars: Mapping[str, pd.DataFrame],
    opening: Decimal,
    *,
    risk_free: float = 0.0,
    rules_only: pd.Series | None = None,
    charges: Iterable[Charge] = (),
    seed: int = 0,
) -> Assessment:
    """Judge closed trades over the bars they were made on.

    Parameters
    ----------
    trades : sequence of Trade
        In order of exit.
    bars : mapping of str to DataFrame
        M1 bar frames of the traded span by symbol.
    opening : Decimal
        Balance before the first trade, positive, account currency.
    risk_free : float
        A year, as a fraction.
    rules_only : Series of float, optional
        Equity of the same strategy without its models, by instant, UTC: a second benchmark.
    charges : iterable of Charge
        Slippage, swap and funding of the account; they stand in its costs.
    seed : int
        Of the bootstrap.
    """
    calendar = calendar_of([*bars, *(trade.order.symbol for trade in trades)])
    marks = marked(trades, bars, opening)
    returns = daily_returns(daily_equity(marks["equity"], calendar), float(opening))
    held, regimes = excursions(trades, bars), volatility_regimes(trades, bars)
    others = {HOLD: buy_and_hold(bars, opening)} | ({RULES: rules_only} if rules_only is not None else {})
    benchmarks = _benchmarks(others, returns, float(opening), calendar, risk_free)
    return Assessment(
        total=performance(trades, opening),
        figures={
            **return_figures(returns, PERIODS[calendar], risk_free),
            **drawdown_figures(marks["equity"], float(opening)),
            **_held_against(benchmarks),
            **_use(trades, marks),
            **trade_figures(trades),
            **_excursion_figures(held),
        },
        intervals=_intervals(trades, returns, PERIODS[calendar], risk_free, np.random.default_rng(seed)),
        groups=_groups(trades, regimes, opening),
        costs=_costs(trades, bars, charges),
        months=periods(returns, trades, "month"),
        weeks=periods(returns, trades, "week"),
        benchmarks=benchmarks,
        marks=marks,
        returns=returns,
        excursions=held,
        regimes=regimes,
        calendar=calendar,
        risk_free=risk_free,
    )


def calendar_of(symbols: Sequence[str]) -> AssetClass:
    """Return the calendar of an account: crypto as soon as it trades any.

    >>> calendar_of(["EURUSD"]), calendar_of(["EURUSD", "BTCUSDT"])
    ('fx', 'crypto')
    """
    return "crypto" if any(instrument(symbol).asset == "crypto" for symbol in symbols) else "fx"


def _benchmarks(
    others: Mapping[str, pd.Series], own: pd.Series, opening: float, calendar: AssetClass, risk_free: float
) -> dict[str, Benchmark]:
    """Return the other accounts that have any equity, ours held against each."""
    return {
        name: _benchmark(equity, own, opening, calendar, risk_free) for name, equity in others.items() if len(equity)
    }


def _benchmark(equity: pd.Series, own: pd.Series, opening: float, calendar: AssetClass, risk_free: float) -> Benchmark:
    returns = daily_returns(daily_equity(equity, calendar), opening)
    count = PERIODS[calendar]
    figures = {
        **return_figures(returns, count, risk_free),
        **drawdown_figures(equity, opening),
        **relative_figures(own, returns, count, risk_free),
    }
    return Benchmark(figures, equity)


def _held_against(benchmarks: Mapping[str, Benchmark]) -> dict[str, Figure]:
    """Return beta and alpha against buy and hold."""
    against = benchmarks[HOLD].figures if HOLD in benchmarks else {}
    return {name: against.get(name, Figure(None, "no bars to hold against")) for name in ("beta", "alpha")}


def _groups(trades: Sequence[Trade], regimes: Mapping[str, str], opening: Decimal) -> Groups:
    return {
        "symbol": grouped(trades, by_symbol, opening),
        "session": grouped(trades, by_session, opening),
        "regime": grouped(trades, lambda trade: regimes[trade.order.id], opening),
        "exit": grouped(trades, by_exit, opening),
    }


def _costs(
    trades: Sequence[Trade], bars: Mapping[str, pd.DataFrame], charges: Iterable[Charge]
) -> dict[str, Decimal]:  # fmt: skip
    """Return what trading cost, by kind."""
    return {
        "commission": sum((trade.entry.fee + trade.exit.fee for trade in trades), Decimal(0)),
        f"spread{INSIDE}": spread_cost(trades, bars),
        **by_kind(charges),
    }


def _use(trades: Sequence[Trade], marks: pd.DataFrame) -> dict[str, Figure]:
    """Return how much of the account was used."""
    if marks.empty:
        return dict.fromkeys(("exposure", "leverage", "turnover"), Figure(None, "no mark of the equity"))
    equity = marks["equity"]
    ruined = "the equity fell to zero" if (equity <= 0).any() else ""
    return {
        "exposure": Figure(float((marks["open"] > 0).mean())),
        "leverage": Figure(None, ruined) if ruined else Figure(float((marks["notional"] / equity).mean())),
        "turnover": Figure(None, ruined) if ruined else Figure(notional_traded(trades) / float(equity.mean())),
    }


def _excursion_figures(held: Sequence[Excursion | None]) -> dict[str, Figure]:
    known = [each for each in held if each is not None]
    if not known:
        return dict.fromkeys(("mae_r", "mfe_r"), Figure(None, "no trade with bars and a stop behind its entry"))
    return {
        "mae_r": Figure(float(np.mean([each.adverse for each in known]))),
        "mfe_r": Figure(float(np.mean([each.favourable for each in known]))),
    }


def _intervals(
    trades: Sequence[Trade], returns: pd.Series, count: int, risk_free: float, rng: np.random.Generator
) -> dict[str, Interval]:
    results = np.array([float(trade.pnl) for trade in trades])
    in_r = np.array([r for r in map(r_multiple, trades) if r is not None])
    rate = per_period(risk_free, count)
    return {
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

"""Search the parameters of one strategy on one span of a market.

A trial trades the bars of the span from the opening balance, as a backtest does. It receives nothing but the span: its
bars, and the outlooks and halts that were known by its end.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.trial import Trial

from mikrobot.analytics.assessment import calendar_of, costs_of, ruin
from mikrobot.analytics.figures import Figure
from mikrobot.analytics.marks import marked
from mikrobot.analytics.returns import PERIODS, equity_figures, returns_by_day
from mikrobot.analytics.trades import trade_figures
from mikrobot.domain.trading import Trade
from mikrobot.live.strategies import Strategies, start
from mikrobot.settings import Settings
from mikrobot.workflows.backtest import values_json
from mikrobot.workflows.backtest_market import BacktestMarket
from mikrobot.workflows.search_ranges import SearchRange
from mikrobot.workflows.signal_closes import trade_signals

METRICS = ("sharpe", "return_pct", "expectancy_r")
"""The figures of a backtest that a search can maximise."""

LEAST_TRADES = 10
"""A trial with fewer trades has no result and is not chosen."""


@dataclass(frozen=True, slots=True)
class SpanResult:
    """What one set of parameters has traded on one span.

    Attributes
    ----------
    nav : Series of float
        Equity without deposits by instant, UTC; open positions are marked, at the end as well.
    trades : tuple of Trade
        The closed trades, in order of exit.
    costs : mapping of str to Decimal
        By kind, account currency, positive when paid.
    """

    nav: pd.Series
    trades: tuple[Trade, ...]
    costs: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class ParameterTrial:
    """One trial of a search.

    Attributes
    ----------
    parameters : mapping of str to float
    value : float or None
        The metric, in the unit of a backtest; None if it has no value, or there are too few trades.
    returns : ndarray of float
        Daily.
    trades : int
    """

    parameters: Mapping[str, float]
    value: float | None
    returns: NDArray[np.float64]
    trades: int


@dataclass(frozen=True, slots=True)
class ParameterSearch:
    """The trials of a search, in their order; the first one has the default parameters."""

    trials: tuple[ParameterTrial, ...]

    @property
    def best(self) -> ParameterTrial:
        """The first of the trials with the highest value; the first trial if none has a value."""
        valued = [trial for trial in self.trials if trial.value is not None]
        return max(valued, key=lambda trial: trial.value or 0.0, default=self.trials[0])


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """What is searched, and how.

    Attributes
    ----------
    title : str
        Name of the strategy, the only one of the settings.
    space : tuple of SearchRange
    metric : str
        A name of `METRICS`; larger is better.
    trials : int
        Number of trials of a search, 1 or more.
    """

    title: str
    space: tuple[SearchRange, ...]
    metric: str
    trials: int


def search(
    market: BacktestMarket, settings: Settings, plan: SearchPlan, step: Callable[[], None] = lambda: None
) -> ParameterSearch:
    """Search the parameters with the best metric on a market; the same seed of the settings finds the same ones.

    Parameters
    ----------
    market : BacktestMarket
        The span, all of which is used.
    settings : Settings
        With one strategy.
    plan : SearchPlan
    step : callable
        Called after each trial.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=settings.seed))
    study.enqueue_trial({one.name: one.start for one in plan.space if not one.fixed})
    traded: dict[tuple[float, ...], ParameterTrial] = {}
    trials: list[ParameterTrial] = []

    def value_of(trial: Trial) -> float:
        parameters = {one.name: one.suggest(trial) for one in plan.space}
        values = tuple(parameters.values())
        if values not in traded:
            traded[values] = _trial(market, settings, plan, parameters)
        trials.append(traded[values])
        step()
        value = traded[values].value
        if value is None:
            raise optuna.TrialPruned
        return value

    study.optimize(value_of, n_trials=plan.trials)
    return ParameterSearch(tuple(trials))


def trade_span(market: BacktestMarket, settings: Settings, title: str, parameters: Mapping[str, float]) -> SpanResult:
    """Trade all bars of a market with the given parameters of the one strategy of the settings.

    Raises
    ------
    StrategyError
        If the strategy cannot be loaded or refuses the parameters.
    """
    chosen = settings.model_copy(update={"strategy_parameters": placed(settings, title, parameters)})
    with Strategies([start(settings.strategies[0], chosen)]) as strategies:
        account = trade_signals(market.open_account(settings, strategies), market.bars, market.outlooks)
    trades, charges, bars = account.trades, account.charges, market.bars
    nav = marked(trades, bars, settings.balance, account.held, charges=charges)["nav"]
    return SpanResult(nav, trades, costs_of(trades, bars, charges))


def placed(settings: Settings, title: str, parameters: Mapping[str, float]) -> dict[str, float]:
    """Return the setting `strategy_parameters` with other parameters of one strategy."""
    return settings.strategy_parameters | {f"{title}.{name}": value for name, value in parameters.items()}


def figures_of(nav: pd.Series, trades: Sequence[Trade], opening: Decimal, symbols: Sequence[str]) -> dict[str, Figure]:
    """Compute the figures of returns, drawdowns and trades.

    Parameters
    ----------
    nav : Series of float
        As in `SpanResult`.
    trades : sequence of Trade
    opening : Decimal
        Balance before the first mark.
    symbols : sequence of str
        All symbols of the market, which decide the calendar.
    """
    calendar = calendar_of(symbols)
    returns = returns_by_day(nav, float(opening), calendar)
    equity = equity_figures(nav, returns, float(opening), PERIODS[calendar], ruined=ruin(nav))
    return {**equity, **trade_figures(trades)}


def _trial(
    market: BacktestMarket, settings: Settings, plan: SearchPlan, parameters: Mapping[str, float]
) -> ParameterTrial:
    result, symbols = trade_span(market, settings, plan.title, parameters), list(market.halts)
    figures = figures_of(result.nav, result.trades, settings.balance, symbols)
    value = values_json(figures, [plan.metric])[plan.metric] if len(result.trades) >= LEAST_TRADES else None
    returns = returns_by_day(result.nav, float(settings.balance), calendar_of(symbols)).to_numpy("float64")
    return ParameterTrial(parameters, value, returns, len(result.trades))

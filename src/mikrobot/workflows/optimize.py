"""`mikrobot optimize`: search the parameters of one strategy, and judge the search by walk-forward.

The features and outlooks are computed once; a trial trades a cut of them. Registers nothing and changes no setting.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from mikrobot.analytics.assessment import calendar_of
from mikrobot.analytics.deflated_sharpe import EVIDENCE, DeflatedSharpe, deflated, sharpe_ratio
from mikrobot.analytics.figures import Figure
from mikrobot.analytics.returns import PERIODS
from mikrobot.domain.errors import UsageError
from mikrobot.live.strategies import opened, parameter_values
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.workflows.backtest import models_json, values_json
from mikrobot.workflows.backtest_market import BacktestMarket, Say, prepare
from mikrobot.workflows.parameter_search import (
    LEAST_TRADES,
    METRICS,
    ParameterSearch,
    SearchPlan,
    SpanResult,
    figures_of,
    placed,
    search,
)
from mikrobot.workflows.search_ranges import Narrowed, ranges
from mikrobot.workflows.walk_forward import FoldResult, Joined, check, folds_of, joined, walk_forward

ENOUGH_TRADES = 30
"""Trades out of sample below which a result is no evidence."""

SHOWN = ("return_pct", "sharpe", "max_drawdown_pct", "expectancy_r")

Progress = Callable[[int, int], None]
"""Callback that receives the number of finished trials and the number of all trials."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes
    ----------
    trials : int
        Trials of each search, 1 or more.
    folds : int
        Pieces that are traded out of sample, 1 or more.
    metric : str
        A name of `parameter_search.METRICS`.
    narrowed : tuple of Narrowed
        Ranges of parameters.
    """

    trials: int = 50
    folds: int = 4
    metric: str = "sharpe"
    narrowed: tuple[Narrowed, ...] = ()

    def check(self) -> None:
        """Refuse impossible values.

        Raises
        ------
        UsageError
        """
        for name, number in (("trials", self.trials), ("folds", self.folds)):
            if number < 1:
                raise UsageError(f"expected at least 1 of --{name}, found {number}")
        if self.metric not in METRICS:
            raise UsageError(f"there is no metric {self.metric!r}; the metrics are {', '.join(METRICS)}")


def optimize(
    settings: Settings, clock: Clock, paths: Sequence[Path], named: str | None,
    *, wanted: Wanted, start: datetime | None, end: datetime | None, say: Say,
    progress: Progress = lambda finished, trials: None,
) -> dict[str, Any]:  # fmt: skip
    """Search the parameters of the strategy of the settings; start the registry if it is needed and down.

    Parameters
    ----------
    settings : Settings
        With one strategy. The seed is that of the searches as well.
    paths, named, start, end
        As in `backtest.backtest`.
    wanted : Wanted
    progress : callable

    Returns
    -------
    dict
        Plain JSON values: the figures out of sample first, then each fold, the deflated Sharpe ratio, and the
        parameters chosen on all bars.

    Raises
    ------
    BarError, UnknownSymbol, ModelError, FeatureMismatch, ServiceError
        As `backtest_market.prepare`.
    StrategyError
        If the strategy cannot be loaded or has no such parameter.
    UsageError
        If a range is outside the bounds of its parameter, there are too few bars, the model was trained on the bars to
        trade, or `wanted` is impossible.
    """
    wanted.check()
    if len(settings.strategies) != 1:
        raise UsageError(f"one strategy is searched at a time, found {', '.join(settings.strategies)}; give --strategy")
    started_at = clock.now()
    with opened(settings) as strategies:
        strategy = strategies.running[0].described
    plan = SearchPlan(strategy.title, ranges(strategy, settings, wanted.narrowed), wanted.metric, wanted.trials)
    default = parameter_values(strategy, settings)
    market = prepare(settings, clock, paths, named, start=start, end=end, columns=strategy.columns, say=say)
    folds = folds_of(market.first_open, market.last_close, wanted.folds)
    check(market, folds, wanted.metric)
    total = wanted.trials * (wanted.folds + 1)
    finished = count(1)

    def step() -> None:
        progress(next(finished), total)

    say(f"searching {wanted.folds + 1} spans with {wanted.trials} trials each")
    results = walk_forward(market, settings, plan, folds, default=default, step=step)
    whole = search(market.cut(market.first_open, market.last_close), settings, plan, step)
    by_chosen, by_default = (
        joined([getattr(result, which) for result in results], settings.balance) for which in ("chosen", "default")
    )
    judged = _deflated(whole)
    outside = _outside(settings, market, by_chosen, by_default)
    doubts = _doubts(outside["chosen"], judged, whole)
    return {
        "out_of_sample": {"from": folds[0].cut.isoformat(), "to": folds[-1].until.isoformat(), **outside},
        "folds": [_fold(settings, market, plan, result) for result in results],
        "trials": {"each_search": wanted.trials, "searches": wanted.folds + 1},
        "deflated_sharpe": _annual(judged, PERIODS[calendar_of(list(market.halts))]),
        "evidence": not doubts,
        "verdict": _verdict(doubts),
        "parameters": dict(whole.best.parameters),
        "default": default,
        "setting": setting_line(placed(settings, strategy.title, whole.best.parameters)),
        "strategy": strategy.identity,
        **models_json(named, market.models),
        "profile": settings.profile,
        "seed": settings.seed,
        "data": _data(paths, market),
        "metric": wanted.metric,
        "ranges": {one.name: one.to_json() for one in plan.space},
        "seconds": round((clock.now() - started_at).total_seconds(), 1),
    }


def setting_line(parameters: Mapping[str, float]) -> str:
    """Return the line of `mikrobot.toml` that sets parameters.

    >>> setting_line({"m5_bos.least_atr": 1.5, "m5_bos.minutes": 60})
    'strategy_parameters = {"m5_bos.least_atr" = 1.5, "m5_bos.minutes" = 60}'
    """
    pairs = ", ".join(f'"{name}" = {value!r}' for name, value in parameters.items())
    return f"strategy_parameters = {{{pairs}}}"


def _data(paths: Sequence[Path], market: BacktestMarket) -> dict[str, Any]:
    return {
        "files": [str(path) for path in paths],
        "from": market.first_open.isoformat(),
        "to": market.last_close.isoformat(),
        "symbols": [symbol for symbol, frame in market.bars.items() if len(frame)],
        "bars": market.count,
    }


def _outside(settings: Settings, market: BacktestMarket, chosen: Joined, default: Joined) -> dict[str, Any]:
    """Return the figures of the pieces by the chosen parameters, by the default ones, and their difference."""
    own, other = (_figures(settings, market, one) for one in (chosen, default))
    return {
        "chosen": own,
        "default": other,
        "difference": {name: _less(own[name], other[name]) for name in (*SHOWN, "trades")}
        | {"costs": {kind: str(amount) for kind, amount in _less_costs(chosen, default).items()}},
    }


def _figures(settings: Settings, market: BacktestMarket, result: Joined | SpanResult) -> dict[str, Any]:
    figures = figures_of(result.nav, result.trades, settings.balance, list(market.halts))
    return {
        "trades": len(result.trades),
        **values_json(figures, SHOWN),
        "costs": {kind: str(amount) for kind, amount in result.costs.items()},
    }


def _less(own: float | None, other: float | None) -> float | None:
    return None if own is None or other is None else own - other


def _less_costs(chosen: Joined, default: Joined) -> dict[str, Any]:
    kinds = dict.fromkeys((*chosen.costs, *default.costs))
    return {kind: chosen.costs.get(kind, 0) - default.costs.get(kind, 0) for kind in kinds}


def _fold(settings: Settings, market: BacktestMarket, plan: SearchPlan, result: FoldResult) -> dict[str, Any]:
    fold, best, first = result.fold, result.search.best, result.search.trials[0]
    chosen, default = (_figures(settings, market, one) for one in (result.chosen, result.default))
    return {
        "searched": {"from": fold.since.isoformat(), "to": fold.cut.isoformat()},
        "traded": {"from": fold.cut.isoformat(), "to": fold.until.isoformat()},
        "parameters": dict(best.parameters),
        "in_sample": {plan.metric: best.value, "trades": best.trades},
        "out_of_sample": {plan.metric: chosen[plan.metric], "trades": chosen["trades"]},
        "first_trial_in_sample": {plan.metric: first.value, "trades": first.trades},
        "default_out_of_sample": {plan.metric: default[plan.metric], "trades": default["trades"]},
        "reasons": chosen["reasons"],
    }


def _deflated(searched: ParameterSearch) -> DeflatedSharpe:
    """Return the deflated Sharpe ratio of the best trial on all bars."""
    varying = [
        trial.returns
        for trial in searched.trials
        if len(trial.returns) > 1 and np.isfinite(trial.returns).all() and np.ptp(trial.returns) > 0
    ]
    return deflated(searched.best.returns, [sharpe_ratio(returns) for returns in varying], len(searched.trials))


def _annual(judged: DeflatedSharpe, periods: int) -> dict[str, Any]:
    """Return a deflated Sharpe ratio as plain JSON values, with annualised Sharpe ratios."""

    def annual(figure: Figure) -> float | None:
        return None if figure.value is None else figure.value * math.sqrt(periods)

    return {
        "trials": judged.trials,
        "days": judged.returns,
        "sharpe": annual(judged.sharpe),
        "expected_without_skill": annual(judged.expected),
        "skewness": judged.skewness.value,
        "kurtosis": judged.kurtosis.value,
        "probability": judged.probability.value,
        "reason": judged.probability.reason or None,
    }


def _doubts(chosen: Mapping[str, Any], judged: DeflatedSharpe, searched: ParameterSearch) -> list[str]:
    """Return why the result is no evidence."""
    doubts = []
    if judged.probability.value is None:
        doubts.append(f"there is no deflated Sharpe ratio ({judged.probability.reason})")
    elif judged.probability.value < EVIDENCE:
        doubts.append(f"the deflated Sharpe ratio is {judged.probability.value:.2f}, below {EVIDENCE}")
    if chosen["trades"] < ENOUGH_TRADES:
        doubts.append(f"{chosen['trades']} trades out of sample are fewer than {ENOUGH_TRADES}")
    if chosen["return_pct"] is None or chosen["return_pct"] <= 0:
        doubts.append("the return out of sample is not above 0")
    if searched.best.value is None:
        doubts.append(f"no trial on all bars has a result and {LEAST_TRADES} trades, so that the first one stays")
    return doubts


def _verdict(doubts: Sequence[str]) -> str:
    if doubts:
        return f"This is no evidence that the parameters are better than chance: {'; '.join(doubts)}."
    return (
        "The parameters earned more out of sample than nothing, and more on all bars than chance explains. This is a "
        "reason to try them on later bars, and no proof that they will earn anything."
    )

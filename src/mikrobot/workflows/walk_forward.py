"""Judge a parameter search by walk-forward: each piece of time is traded with parameters chosen on earlier bars only.

The searches are anchored: each one sees every piece before the one that it trades. Its market is cut at the beginning
of that piece, so that no later bar, outlook or halt can reach it; the feature rows of a close look back only, and a
model has learned from bars before the whole span. Every piece begins with the opening balance and no position.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain

import pandas as pd

from mikrobot.analytics.assessment import calendar_of
from mikrobot.analytics.figures import MEASURES
from mikrobot.analytics.returns import returns_by_day
from mikrobot.domain.errors import UsageError
from mikrobot.domain.market import close_times
from mikrobot.domain.trading import Trade
from mikrobot.settings import Settings
from mikrobot.workflows.backtest import OWN
from mikrobot.workflows.backtest_market import MINUTE, BacktestMarket
from mikrobot.workflows.parameter_search import ParameterSearch, SearchPlan, SpanResult, search, trade_span

FEWEST_BARS = 200
"""Minimum number of bars in a piece, over all symbols."""


@dataclass(frozen=True, slots=True)
class Fold:
    """A search on the closes in (since, cut], and the piece of time that is traded with its result, (cut, until]."""

    since: datetime
    cut: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class FoldResult:
    """The result of one fold.

    Attributes
    ----------
    fold : Fold
    search : ParameterSearch
    chosen, default : SpanResult
        The piece, traded with the chosen and with the default parameters.
    """

    fold: Fold
    search: ParameterSearch
    chosen: SpanResult
    default: SpanResult


@dataclass(frozen=True, slots=True)
class Joined:
    """The pieces of all folds as one account.

    Attributes
    ----------
    nav : Series of float
        Equity by instant, UTC; each piece grows the equity at the end of the one before. Ends with the piece in which
        the equity falls to zero or below.
    trades : tuple of Trade
    costs : dict of str to Decimal
        Sums by kind, account currency, of pieces that each begin with the opening balance.
    """

    nav: pd.Series
    trades: tuple[Trade, ...]
    costs: dict[str, Decimal]


def folds_of(since: datetime, until: datetime, count: int) -> list[Fold]:
    """Divide a span into one piece more than folds, of equal length to the minute.

    >>> from datetime import UTC
    >>> for fold in folds_of(datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 4, tzinfo=UTC), 2):
    ...     print(f"{fold.since:%d} {fold.cut:%d} {fold.until:%d}")
    01 02 03
    01 03 04
    """
    piece = (until - since) / (count + 1)
    cuts = [since + (piece * number) // MINUTE * MINUTE for number in range(1, count + 1)]
    return [Fold(since, cut, end) for cut, end in zip(cuts, [*cuts[1:], until], strict=True)]


def check(market: BacktestMarket, folds: Sequence[Fold], metric: str) -> None:
    """Refuse a market that is too short for the folds.

    Raises
    ------
    UsageError
        If a piece has fewer than `FEWEST_BARS` bars, or the first search too few days for its metric.
    """
    first = folds[0]
    for since, until in [(first.since, first.cut), *((fold.cut, fold.until) for fold in folds)]:
        if (bars := market.cut(since, until).count) < FEWEST_BARS:
            raise UsageError(
                f"the piece from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} has {bars} bars, expected at least "
                f"{FEWEST_BARS}; give more bars or fewer --folds"
            )
    if missing := MEASURES[OWN[metric]].shortfall(_days(market.cut(first.since, first.cut))):
        raise UsageError(
            f"the first search ends at {first.cut:%Y-%m-%d %H:%M} with {missing} for the metric {metric}; give more "
            "bars, fewer --folds or --metric return_pct"
        )


def walk_forward(
    market: BacktestMarket, settings: Settings, plan: SearchPlan, folds: Sequence[Fold],
    *, default: Mapping[str, float], step: Callable[[], None] = lambda: None,
) -> list[FoldResult]:  # fmt: skip
    """Search and trade each fold.

    Parameters
    ----------
    market : BacktestMarket
    settings : Settings
        With one strategy.
    plan : SearchPlan
    folds : sequence of Fold
    default : mapping of str to float
        The parameters to compare with.
    step : callable
        Called after each trial.
    """
    results = []
    for fold in folds:
        searched = search(market.cut(fold.since, fold.cut), settings, plan, step)
        piece, best = market.cut(fold.cut, fold.until), searched.best.parameters
        by_default = trade_span(piece, settings, plan.title, default)
        chosen = by_default if best == default else trade_span(piece, settings, plan.title, best)
        results.append(FoldResult(fold, searched, chosen, by_default))
    return results


def joined(results: Sequence[SpanResult], opening: Decimal) -> Joined:
    """Join the results of successive pieces, which all began with the same opening balance."""
    parts: list[pd.Series] = []
    for result in results:
        growth = float(parts[-1].iloc[-1]) / float(opening) if parts else 1.0
        parts.append(result.nav * growth)
        if (parts[-1] <= 0).any():
            break
    costs: dict[str, Decimal] = {}
    for kind, amount in chain.from_iterable(result.costs.items() for result in results):
        costs[kind] = costs.get(kind, Decimal(0)) + amount
    trades = tuple(chain.from_iterable(result.trades for result in results))
    return Joined(pd.concat(parts), trades, costs)


def _days(market: BacktestMarket) -> int:
    """Return the number of days of returns."""
    closes = pd.DatetimeIndex(pd.concat([close_times(frame) for frame in market.bars.values()]))
    flat = pd.Series(1.0, closes.unique().sort_values())
    return len(returns_by_day(flat, 1.0, calendar_of(list(market.halts))))

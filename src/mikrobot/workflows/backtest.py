"""`mikrobot backtest`: run the live decision and execution code over history, in one process.

Computes feature rows and predictions from files of bars, and trades them minute by minute through the
`Trader` that the worker also uses. A model predicts only closes later than its training data. Closes at which the
worker would be halted by the quality of the bars have no decision.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from mikrobot.analytics.assessment import RULES, Assessment, assess
from mikrobot.analytics.figures import Figure
from mikrobot.analytics.marks import marked
from mikrobot.domain.funding import NO_FUNDING, FundingByClose
from mikrobot.domain.order_books import NO_BOOKS, BooksAtOpen
from mikrobot.domain.trading import Decision
from mikrobot.live.strategies import Strategies, opened
from mikrobot.live.trader import Traded
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.workflows.backtest_files import NO_FILES, Files, Kept, facts_of, predictions_of, write
from mikrobot.workflows.backtest_market import Say, prepare
from mikrobot.workflows.backtest_outlooks import BarOutlook, Frames, market_of
from mikrobot.workflows.registered import Answering
from mikrobot.workflows.signal_closes import trade_signals


def backtest(
    settings: Settings, clock: Clock, paths: Sequence[Path], named: str | None,
    *, start: datetime | None, end: datetime | None, say: Say, files: Files = NO_FILES,
) -> dict[str, Any]:  # fmt: skip
    """Trade the bars of files as the live worker would; start the registry if it is needed and down.

    Parameters
    ----------
    paths : sequence of Path
        Files or folders of M1 bars; the features warm up on `history_days` of bars before `start`.
    named : str or None
        The model as ``name``, ``name@alias`` or ``name@version``, see `registered.by_symbol`. None: the rules
        alone, which follow a close beyond the level of the previous close.
    start, end : datetime or None
        Closes in (start, end] are traded; None: as early as the model allows, and to the end.
    files : Files
        Paths of the report and of the list of trades.

    Returns
    -------
    dict
        Plain JSON values: model, data, counts and files, with the figures of `figures_json`.

    Raises
    ------
    BarError, UnknownSymbol
        If a file has invalid bars or an unknown symbol.
    ModelError, FeatureMismatch, ServiceError
        If there is no such model for the current features, or the registry does not start.
    UsageError
        If a strategy or the calendar of news cannot be loaded, no bars are left to trade, the model was trained on the
        bars to trade, no symbol converts the quote currency of another to dollars, or the paths in `files` are invalid.
    StoreError
        If `files` cannot be written.
    """
    files.check(paths)
    with opened(settings) as strategies:
        return _backtest(settings, clock, paths, named, start=start, end=end, say=say, files=files, using=strategies)


def _backtest(
    settings: Settings, clock: Clock, paths: Sequence[Path], named: str | None,
    *, start: datetime | None, end: datetime | None, say: Say, files: Files, using: Strategies,
) -> dict[str, Any]:  # fmt: skip
    market = prepare(settings, clock, paths, named, start=start, end=end, columns=using.columns, say=say)
    start, models = market.since, market.models
    traded_bars, outlooks = market.bars, market.outlooks
    say(f"trading from {start:%Y-%m-%d %H:%M}")
    kept = Kept()
    started_at = clock.now()
    account = market.open_account(settings, using)
    if files.report is None:
        trade_signals(account, traded_bars, outlooks, kept)
    else:
        trade(account, market_of(traded_bars, outlooks), kept)
    seconds = (clock.now() - started_at).total_seconds()
    other = None if not models else trade_signals(market.open_account(settings, using), traded_bars, market.rules)
    judged = judge(account, traded_bars, settings, other)
    if files.wanted:
        facts = facts_of(
            settings, account, traded_bars, "backtest", source=market.source.name,
            simulated=market.source.simulated,
            span=(start, market.last_close),
            written_at=clock.now(),
            predictions=predictions_of(account.orders, outlooks, models) if models else [],
            decisions=kept.approved,
            refused=kept.refusals.listed(),
            specs=list({answering.model.spec.version: answering.model.spec for answering in models.values()}.values()),
        )  # fmt: skip
        write(files, facts, judged)
    return {
        **models_json(named, models),
        "profile": settings.profile,
        "strategies": [strategy.described.identity for strategy in using.running],
        "data": {
            "files": [str(path) for path in paths],
            "from": start.isoformat(),
            "to": market.last_close.isoformat(),
            "symbols": [symbol for symbol, frame in traded_bars.items() if len(frame)],
        },
        "bars": market.count,
        "halted": sum(int((one.closes > pd.Timestamp(start)).sum()) for one in market.halts.values()),
        "bars_per_s": round(market.count / seconds) if seconds else None,
        "decisions": account.decisions,
        "orders": len(account.orders),
        "files": files.to_json(),
        **figures_json(judged),
    }


def trade(
    account: Traded,
    market: Iterable[BarOutlook],
    keep: Callable[[Decision], None] = lambda decision: None,
    books: Callable[[datetime], BooksAtOpen] = lambda close_time: NO_BOOKS,
    *,
    funding: FundingByClose = NO_FUNDING,
) -> Traded:
    """Trade a market to its end.

    Parameters
    ----------
    account : Traded
        The trades so far; updated in place and returned.
    market : iterable of (Bar, Outlook or None)
        In order of close time; closes of one instant in the order of their decisions.
    keep : callable
        Called with every decision.
    books : callable
        Returns the order books at the opens of the bars that close at a time.
    funding : mapping
        Funding to charge before the bars that close at a time.
    """
    trader = account.trader
    for at, group in groupby(market, key=lambda pair: pair[0].close_time):
        minute = list(group)
        trader.play((bar for bar, _ in minute), at, books(at), {at: funding.get(at, ())})
        for _, minute_outlook in minute:
            if minute_outlook is None:
                continue
            for decision, order in trader.decide_and_place(minute_outlook):
                account.decisions += 1
                keep(decision)
                if order is not None:
                    account.orders.append(order)
    return account


def judge(account: Traded, bars: Frames, settings: Settings, rules: Traded | None) -> Assessment:
    """Assess the trades, compared with buy and hold and, if given, with the rules alone."""
    equity = None
    if rules is not None:
        equity = marked(rules.trades, bars, settings.balance, rules.held, charges=rules.charges)["nav"]
    return assess(
        account.trades,
        {symbol: frame for symbol, frame in bars.items() if len(frame)},
        settings.balance,
        rules_only=equity,
        held=account.held,
        charges=account.charges,
        seed=settings.seed,
    )


OWN = {
    "return_pct": "total_return",
    "sharpe": "sharpe",
    "sortino": "sortino",
    "max_drawdown_pct": "max_drawdown",
    "profit_factor": "profit_factor",
    "win_rate": "win_rate",
    "expectancy_r": "expectancy_r",
    "ambiguous_share": "ambiguous_share",
}
"""The figures of a backtest, and their names in `figures.MEASURES`."""

OF_BENCHMARK = ("return_pct", "max_drawdown_pct", "sharpe")


def figures_json(judged: Assessment) -> dict[str, Any]:
    """Return the figures of a backtest as plain JSON values, money as text; ``reasons`` explains each null."""
    return {
        "trades": judged.total.trades,
        "pnl": str(judged.total.pnl),
        **values_json(judged.figures, OWN),
        "costs": {kind: str(amount) for kind, amount in judged.costs.items()},
        "by_symbol": {symbol: group.to_json() for symbol, group in judged.groups["symbol"].items()},
        "benchmark": {
            name: values_json(benchmark.figures, OF_BENCHMARK) for name, benchmark in judged.benchmarks.items()
        },
    }


def values_json(figures: Mapping[str, Figure], names: Iterable[str]) -> dict[str, Any]:
    """Return figures by their names in a backtest, see `OWN`, and as ``reasons`` the reason for each null."""
    chosen = {name: figures[OWN[name]] for name in names}
    values = {name: _percent(f.value) if name.endswith("_pct") else f.value for name, f in chosen.items()}
    return values | {"reasons": {name: figure.reason for name, figure in chosen.items() if figure.value is None}}


def _percent(share: float | None) -> float | None:
    return None if share is None or math.isnan(share) else 100 * share


def models_json(named: str | None, models: Mapping[str, Answering]) -> dict[str, Any]:
    """Return the model that was asked for, and those that answered for each symbol, as plain JSON values."""
    versions = sorted({model.version for model in models.values() if model.version}, key=int)
    return {
        "model": named.partition("@")[0] if named else RULES,
        "version": ", ".join(versions) or None,
        "answered_by": {
            symbol: {"model": model.name, "version": model.version, "trained_on": list(model.model.spec.symbols)}
            for symbol, model in models.items()
        },
    }

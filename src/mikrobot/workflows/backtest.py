"""`mikrobot backtest`: run the live decision and execution code over history, in one process.

Computes feature rows and predictions from files of bars, and trades them minute by minute through the
`Trader` that the worker also uses. A model predicts only closes later than its training data. Closes at which the
worker would be halted by the quality of the bars have no decision.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import pandas as pd

from mikrobot.analytics.assessment import RULES, Assessment, assess
from mikrobot.analytics.figures import Figure
from mikrobot.analytics.marks import marked
from mikrobot.domain.errors import UsageError
from mikrobot.domain.funding import NO_FUNDING, FundingByClose
from mikrobot.domain.instruments.rates import require_rates
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import close_times
from mikrobot.domain.news import NewsCalendar
from mikrobot.domain.order_books import NO_BOOKS, BooksAtOpen
from mikrobot.domain.trading import Decision
from mikrobot.domain.trading_states import TradingState
from mikrobot.live.halts import halted_rows, halts_of
from mikrobot.live.strategies import Strategies, opened
from mikrobot.live.trader import Traded, Trader
from mikrobot.market import news_file
from mikrobot.market.inference import off_grid
from mikrobot.market.quality.scoring import score_frame
from mikrobot.market.reading import reading_of
from mikrobot.market.replay import ReplaySource
from mikrobot.models.catalog import TRADED
from mikrobot.models.task import Task
from mikrobot.paper.venue import Venue
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.stack import local_stack
from mikrobot.workflows import registered
from mikrobot.workflows.backtest_files import NO_FILES, Files, Kept, facts_of, predictions_of, write
from mikrobot.workflows.backtest_outlooks import (
    BarOutlook,
    Frames,
    by_model,
    by_rules,
    columns_read,
    feature_rows,
    market_of,
)
from mikrobot.workflows.registered import Answering
from mikrobot.workflows.signal_closes import trade_signals

Say = Callable[[str], None]
MINUTE = timedelta(minutes=1)


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
    news = news_file.read(settings.news) if settings.news else None
    source = ReplaySource(paths, reading_of(settings), clock)
    models = {} if named is None else _loaded(settings, clock, named, source.symbols(), say=say)
    start = _start(source, models.values(), start)
    bars = _read(source, start - timedelta(days=settings.history_days), end)
    require_rates(bars)
    for symbol, frame in bars.items():
        if note := off_grid(instrument(symbol), frame):
            say(note)
    traded_bars = _traded_bars(bars, start, end)
    _name_untraded(source, traded_bars, say)
    say(f"computing features of {', '.join(bars)}")
    by_models, rules = _outlooks(settings, bars, models, using.columns)
    halts = _halts(bars)
    by_models = _without(halts, by_models)
    rules = _without(halts, rules)
    outlooks = by_models or rules
    say(f"trading from {start:%Y-%m-%d %H:%M}")
    kept = Kept()
    started_at = clock.now()
    account = _nothing(settings, halts, start, using, news=news)
    if files.report is None:
        trade_signals(account, traded_bars, outlooks, kept)
    else:
        trade(account, market_of(traded_bars, outlooks), kept)
    seconds = (clock.now() - started_at).total_seconds()
    other = (
        None if not models else trade_signals(_nothing(settings, halts, start, using, news=news), traded_bars, rules)
    )
    judged = judge(account, traded_bars, settings, other)
    if files.wanted:
        facts = facts_of(
            settings, account, traded_bars, "backtest", source=source.name,
            simulated=source.simulated,
            span=(start, _end(traded_bars)),
            written_at=clock.now(),
            predictions=predictions_of(account.orders, outlooks, models) if models else [],
            decisions=kept.approved,
            refused=kept.refusals.listed(),
            specs=list({answering.model.spec.version: answering.model.spec for answering in models.values()}.values()),
        )  # fmt: skip
        write(files, facts, judged)
    count = sum(map(len, traded_bars.values()))
    return {
        **_models_json(named, models),
        "profile": settings.profile,
        "strategies": [strategy.described.identity for strategy in using.running],
        "data": {
            "files": [str(path) for path in paths],
            "from": start.isoformat(),
            "to": _end(traded_bars).isoformat(),
            "symbols": [symbol for symbol, frame in traded_bars.items() if len(frame)],
        },
        "bars": count,
        "halted": sum(int((one.closes > pd.Timestamp(start)).sum()) for one in halts.values()),
        "bars_per_s": round(count / seconds) if seconds else None,
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
        **_values(judged.figures, OWN),
        "costs": {kind: str(amount) for kind, amount in judged.costs.items()},
        "by_symbol": {symbol: group.to_json() for symbol, group in judged.groups["symbol"].items()},
        "benchmark": {name: _values(benchmark.figures, OF_BENCHMARK) for name, benchmark in judged.benchmarks.items()},
    }


def _values(figures: Mapping[str, Figure], names: Iterable[str]) -> dict[str, Any]:
    """Return figures by their names in a backtest, and the reason for each null."""
    chosen = {name: figures[OWN[name]] for name in names}
    values = {name: _percent(f.value) if name.endswith("_pct") else f.value for name, f in chosen.items()}
    return values | {"reasons": {name: figure.reason for name, figure in chosen.items() if figure.value is None}}


def _percent(share: float | None) -> float | None:
    return None if share is None or math.isnan(share) else 100 * share


@dataclass(frozen=True, slots=True)
class _Halts:
    """The halts of one symbol for the quality of its bars, and the closes that they cover."""

    closes: pd.DatetimeIndex
    states: list[TradingState]


def _nothing(
    settings: Settings, halts: Mapping[str, _Halts], start: datetime, strategies: Strategies,
    *, news: NewsCalendar | None,
) -> Traded:  # fmt: skip
    venue = Venue(halts, settings.seed)
    venue.open(start, settings.balance)
    trader = Trader("backtest", venue, settings.trading, strategies.fresh(), news=news)
    trader.permits.by_data = sorted((state for one in halts.values() for state in one.states), key=attrgetter("since"))
    return Traded(trader)


def _read(source: ReplaySource, since: datetime, end: datetime | None) -> dict[str, pd.DataFrame]:
    """Read the bars of every symbol that has bars in the span."""
    spans = {symbol: source.span(symbol) for symbol in source.symbols()}
    read = {symbol: source.history(symbol, max(first, since), end or last) for symbol, (first, last) in spans.items()}
    return {symbol: frame for symbol, frame in read.items() if len(frame)}


def _loaded(settings: Settings, clock: Clock, named: str, symbols: Sequence[str], *, say: Say) -> dict[str, Answering]:
    with local_stack.running(settings, clock, say, ("mlflow",)):
        from mikrobot.store.model_registry import open_registry

        return registered.by_symbol(open_registry(settings), named, symbols)


def _start(source: ReplaySource, models: Iterable[Answering], asked: datetime | None) -> datetime:
    spans = [source.span(symbol) for symbol in source.symbols()]
    first, last = min(start for start, _ in spans), max(end for _, end in spans)
    newest = max((answering.model.spec for answering in models), key=lambda spec: spec.trained_until, default=None)
    if newest is None:
        return asked or first
    learned = newest.trained_until
    if asked is not None and asked < learned:
        raise UsageError(
            f"model {newest.name} version {newest.version} learned from bars up to "
            f"{learned:%Y-%m-%d %H:%M}, later than --from {asked:%Y-%m-%d %H:%M}; trade later bars, or --rules-only"
        )
    if learned >= last:
        raise UsageError(
            f"model {newest.name} version {newest.version} learned from {newest.source} bars up to "
            f"{learned:%Y-%m-%d %H:%M}, and the files end at {last:%Y-%m-%d %H:%M}; give later bars, or --rules-only"
        )
    return asked or max(first, learned)


def _traded_bars(bars: Frames, start: datetime, end: datetime | None) -> dict[str, pd.DataFrame]:
    """Return the bars of each symbol that close in the traded span; at least one symbol has some."""
    traded_bars = {symbol: _span(frame, start, end) for symbol, frame in bars.items()}
    if not any(map(len, traded_bars.values())):
        span = f"after {start:%Y-%m-%d %H:%M}" + (f" and by {end:%Y-%m-%d %H:%M}" if end else "")
        raise UsageError(f"no bar closes {span}; give other bars, or another --from or --to")
    return traded_bars


def _name_untraded(source: ReplaySource, traded_bars: Frames, say: Say) -> None:
    """Name the symbols of the files that have no bar to trade."""
    for symbol in source.symbols():
        if not len(traded_bars.get(symbol, ())):
            first, last = source.span(symbol)
            say(f"{symbol} has no bar in the traded span; its files have {first:%Y-%m-%d} to {last:%Y-%m-%d}")


def _end(traded_bars: Frames) -> datetime:
    """Return the last close of the traded bars."""
    last: pd.Timestamp = max(frame["open_time"].max() for frame in traded_bars.values() if len(frame))
    return last.to_pydatetime() + MINUTE


def _span(frame: pd.DataFrame, start: datetime, end: datetime | None) -> pd.DataFrame:
    closes = close_times(frame)
    return frame[(closes > start) & (closes <= (end or closes.max()))]


def _outlooks(
    settings: Settings, bars: Frames, models: Mapping[str, Answering], columns: Sequence[str]
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Return the outlooks of the models and those of the rules alone, by symbol."""
    without_model = Task(TRADED, settings.swing).columns
    levels = {symbol: models[symbol].levels if symbol in models else without_model for symbol in bars}
    rows = dict(feature_rows(bars, columns_read(models, levels, columns)))
    by_models = {symbol: by_model(model, rows[symbol], columns) for symbol, model in models.items() if symbol in rows}
    return by_models, {symbol: by_rules(bars[symbol], rows[symbol], levels[symbol], columns) for symbol in bars}


def _halts(bars: Frames) -> dict[str, _Halts]:
    """Return the halts of each symbol for the quality of its bars."""
    halts = {}
    for symbol, frame in bars.items():
        scored = score_frame(symbol, frame)
        closes, halted = pd.DatetimeIndex(scored["close_time"]), halted_rows(scored["score"].to_numpy())
        halts[symbol] = _Halts(closes[halted], halts_of(symbol, closes, halted))
    return halts


def _without(halts: Mapping[str, _Halts], outlooks: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {symbol: frame[~frame.index.isin(halts[symbol].closes)] for symbol, frame in outlooks.items()}


def _models_json(named: str | None, models: Mapping[str, Answering]) -> dict[str, Any]:
    versions = sorted({model.version for model in models.values() if model.version}, key=int)
    return {
        "model": named.partition("@")[0] if named else RULES,
        "version": ", ".join(versions) or None,
        "answered_by": {
            symbol: {"model": model.name, "version": model.version, "trained_on": list(model.model.spec.symbols)}
            for symbol, model in models.items()
        },
    }

"""`mikrobot backtest`: the live decision and execution code over history, in one process.

Computes feature rows and predictions of bars from files, and trades them minute by minute through the
`Trader` of the worker. A model is asked only about closes later than everything it has learned from.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from heapq import merge
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mikrobot.analytics.assessment import RULES, Assessment, assess
from mikrobot.analytics.figures import Figure
from mikrobot.analytics.marks import marked
from mikrobot.decision.product_owner import Outlook
from mikrobot.domain.errors import UsageError
from mikrobot.domain.market import Bar, bars_of, close_times, leads, leads_first
from mikrobot.domain.trading import Decision, answered_by
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.live.trader import ATR, Traded, Trader, outlook
from mikrobot.market.replay import ReplaySource
from mikrobot.models.catalog import TRADED
from mikrobot.models.task import Task
from mikrobot.paper.venue import Venue
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.stack import local_stack
from mikrobot.workflows import registered
from mikrobot.workflows.backtest_files import NO_FILES, Files, Kept, facts_of, predictions_of, write
from mikrobot.workflows.registered import Answering

Say = Callable[[str], None]
Frames = Mapping[str, pd.DataFrame]
Seen = tuple[Bar, Outlook | None]
"""A bar, and what is known at its close; None where it is not decided on."""

AT_ONCE = 50_000
"""Bars of a symbol whose feature rows are in memory at once."""

MINUTE = timedelta(minutes=1)
OUTLOOK = ("atr", "above", "below", "up", "down", "by")


def backtest(
    settings: Settings, clock: Clock, paths: Sequence[Path], named: str | None,
    *, start: datetime | None, end: datetime | None, say: Say, files: Files = NO_FILES,
) -> dict[str, Any]:  # fmt: skip
    """Trade the bars of files as the worker would have; start the registry if a model is needed and it is down.

    Parameters
    ----------
    paths : sequence of Path
        Files or folders of M1 bars; `history_days` of them before `start` warm the features up.
    named : str or None
        The model, ``name``, ``name@alias`` or ``name@version``, see `registered.each`; None: the rules
        alone, by which a close beyond the level that stood at the close before is followed.
    start, end : datetime or None
        Closes in (start, end] are traded; None: as early as the model allows, and to the end.
    files : Files
        Where the report and the list of trades go.

    Returns
    -------
    dict
        Plain JSON values: what was traded, and the figures of `told`.

    Raises
    ------
    BarError, UnknownSymbol
        If a file is not sound.
    ModelError, FeatureMismatch, ServiceError
        If there is no such model for the present features.
    UsageError
        If nothing is left to trade, the model has learned from what is to be traded, or `files` cannot be.
    StoreError
        If `files` cannot be written.
    """
    files.check(paths)
    source = ReplaySource(paths)
    models = {} if named is None else _loaded(settings, clock, named, source.symbols(), say=say)
    start = _start(source, models.values(), start)
    bars = _read(source, start - timedelta(days=settings.history_days), end)
    traded_bars = {symbol: _span(frame, start, end) for symbol, frame in bars.items()}
    if not any(map(len, traded_bars.values())):
        span = f"after {start:%Y-%m-%d %H:%M}" + (f" and by {end:%Y-%m-%d %H:%M}" if end else "")
        raise UsageError(f"no bar closes {span}; give other bars, or another --from or --to")
    say(f"computing features of {', '.join(bars)}")
    levels = {
        symbol: models[symbol].levels if symbol in models else Task(TRADED, settings.swing).columns for symbol in bars
    }
    rows = {symbol: frame for symbol, frame in _rows(bars, _columns(models, levels))}
    rules = {symbol: by_rules(bars[symbol], rows[symbol], levels[symbol]) for symbol in bars}
    outlooks = {symbol: by_model(each, rows[symbol]) for symbol, each in models.items() if symbol in rows} or rules
    say(f"trading from {start:%Y-%m-%d %H:%M}")
    begun, kept = clock.now(), Kept()
    done = trade(_nothing(settings, bars, start), _market(bars, outlooks, start, end), kept)
    seconds = (clock.now() - begun).total_seconds()
    other = None if not models else trade(_nothing(settings, bars, start), _market(bars, rules, start, end))
    judged = judge(done, traded_bars, settings, other)
    if files.wanted:
        facts = facts_of(
            settings, done, traded_bars, "backtest", source=source.name,
            simulated=source.simulated,
            span=(start, max(frame["open_time"].max() for frame in traded_bars.values() if len(frame)) + MINUTE),
            written_at=clock.now(),
            predictions=predictions_of(done.orders, outlooks, models) if models else [],
            decisions=kept.approved,
            refused=kept.refusals.listed(),
            specs=list({each.model.spec.version: each.model.spec for each in models.values()}.values()),
        )  # fmt: skip
        write(files, facts, judged)
    return {
        "model": named.partition("@")[0] if named else RULES,
        "version": ", ".join(sorted({each.version for each in models.values() if each.version}, key=int)) or None,
        "answered_by": {symbol: _named(each) for symbol, each in models.items()},
        "profile": settings.profile,
        "data": {"files": [str(path) for path in paths], "from": start.isoformat(), "symbols": list(bars)},
        "bars": sum(map(len, traded_bars.values())),
        "bars_per_s": round(sum(map(len, traded_bars.values())) / seconds) if seconds else None,
        "decisions": done.decisions,
        "orders": len(done.orders),
        "files": files.to_json(),
        **told(judged),
    }


def trade(done: Traded, market: Iterable[Seen], keep: Callable[[Decision], None] = lambda decision: None) -> Traded:
    """Trade a market to its end.

    Parameters
    ----------
    done : Traded
        What was traded before; goes on and is returned.
    market : iterable of (Bar, Outlook or None)
        In order of closes, those of one instant in the order in which they are decided on.
    keep : callable
        Given every decision.
    """
    trader = done.trader
    for at, group in groupby(market, key=lambda seen: seen[0].close_time):
        minute = list(group)
        trader.play((bar for bar, _ in minute), at)
        for _, known in minute:
            if known is None:
                continue
            decision, order = trader.decide_and_place(known)
            done.decisions += 1
            keep(decision)
            if order is not None:
                done.orders.append(order)
    return done


def market_of(bars: Frames, outlooks: Mapping[str, pd.DataFrame]) -> Iterator[Seen]:
    """Merge symbols by time; outlooks have the columns `OUTLOOK` by close, and lack what is not decided on."""
    return merge(*(_seen(symbol, frame, outlooks[symbol]) for symbol, frame in bars.items()), key=_close)


def by_model(answering: Answering, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the outlooks of feature rows that a model has answered for, on the levels that it was trained on."""
    spec = answering.model.spec
    above, below = answering.levels
    chances = answering.model.predict(rows[list(spec.columns)].to_numpy("float64"))
    by = answered_by(answering.name, spec.version, spec.symbols)
    return _outlooks(rows, rows[above], rows[below], chances[:, 0], down=chances[:, 1], by=by)


def by_rules(bars: pd.DataFrame, rows: pd.DataFrame, levels: tuple[str, str]) -> pd.DataFrame:
    """Return the outlooks of the rules alone: sure of a break at a close beyond the level of the close before.

    Parameters
    ----------
    bars : DataFrame
        A bar frame.
    rows : DataFrame
        The feature rows of its closes.
    levels : (str, str)
        Columns of the levels above and below.
    """
    above, below, close = rows[levels[0]].shift(), rows[levels[1]].shift(), bars["close"].to_numpy()
    return _outlooks(rows, above, below, (close > above).astype(float), down=(close < below).astype(float), by=RULES)


def judge(done: Traded, bars: Frames, settings: Settings, rules: Traded | None) -> Assessment:
    """Judge what was traded, beside buy and hold and, where given, the rules alone."""
    equity = None
    if rules is not None:
        equity = marked(rules.trades, bars, settings.balance, rules.held, charges=rules.charges)["nav"]
    return assess(
        done.trades,
        {symbol: frame for symbol, frame in bars.items() if len(frame)},
        settings.balance,
        rules_only=equity,
        held=done.held,
        charges=done.charges,
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


def told(judged: Assessment) -> dict[str, Any]:
    """Return the figures of a backtest as plain JSON values, money as text; null ones have their reason beside."""
    return {
        "trades": judged.total.trades,
        "pnl": str(judged.total.pnl),
        **_values(judged.figures, OWN),
        "costs": {kind: str(amount) for kind, amount in judged.costs.items()},
        "by_symbol": {symbol: each.to_json() for symbol, each in judged.groups["symbol"].items()},
        "benchmark": {name: _values(each.figures, OF_BENCHMARK) for name, each in judged.benchmarks.items()},
    }


def _values(figures: Mapping[str, Figure], names: Iterable[str]) -> dict[str, Any]:
    """Return figures by their names in a backtest, and the reasons of those that are null."""
    known = {name: figures[OWN[name]] for name in names}
    values = {name: _percent(each.value) if name.endswith("_pct") else each.value for name, each in known.items()}
    return values | {"reasons": {name: each.reason for name, each in known.items() if each.value is None}}


def _nothing(settings: Settings, symbols: Iterable[str], start: datetime) -> Traded:
    venue = Venue(symbols, settings.seed)
    venue.open(start, settings.balance)
    return Traded(Trader("backtest", venue, settings.trading, settings.entry_probability))


def _read(source: ReplaySource, since: datetime, end: datetime | None) -> dict[str, pd.DataFrame]:
    """Read the bars of every symbol that has any in the span."""
    spans = {symbol: source.span(symbol) for symbol in source.symbols()}
    read = {symbol: source.history(symbol, max(first, since), end or last) for symbol, (first, last) in spans.items()}
    return {symbol: frame for symbol, frame in read.items() if len(frame)}


def _loaded(settings: Settings, clock: Clock, named: str, symbols: Sequence[str], *, say: Say) -> dict[str, Answering]:
    with local_stack.running(settings, clock, say, ("mlflow",)):
        from mikrobot.models.registry import Registry

        return registered.each(Registry(settings.mlflow_url), named, symbols)


def _named(answering: Answering) -> dict[str, Any]:
    return {
        "model": answering.name, "version": answering.version, "trained_on": list(answering.model.spec.symbols)
    }  # fmt: skip


def _start(source: ReplaySource, models: Iterable[Answering], asked: datetime | None) -> datetime:
    first = min(source.span(symbol)[0] for symbol in source.symbols())
    newest = max((each.model.spec for each in models), key=lambda spec: spec.trained_until, default=None)
    if newest is None:
        return asked or first
    learned = newest.trained_until
    if asked is not None and asked < learned:
        raise UsageError(
            f"model {newest.name} version {newest.version} learned from bars up to "
            f"{learned:%Y-%m-%d %H:%M}, later than --from {asked:%Y-%m-%d %H:%M}; trade later bars, or --rules-only"
        )
    return asked or max(first, learned)


def _span(frame: pd.DataFrame, start: datetime, end: datetime | None) -> pd.DataFrame:
    closes = close_times(frame)
    return frame[(closes > start) & (closes <= (end or closes.max()))]


def _market(
    bars: Frames, outlooks: Mapping[str, pd.DataFrame], start: datetime, end: datetime | None
) -> Iterator[Seen]:
    return market_of({symbol: _span(frame, start, end) for symbol, frame in bars.items()}, outlooks)


def _columns(models: Mapping[str, Answering], levels: Mapping[str, tuple[str, str]]) -> list[str]:
    """Return what is read of a feature row."""
    shown = [name for each in models.values() for name in each.model.spec.columns]
    return list(dict.fromkeys([ATR, *(name for both in levels.values() for name in both), *shown]))


def _rows(bars: Frames, wanted: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Compute the feature rows of symbols piece by piece, leads first, and keep these columns of them."""
    picked = [CATALOG.columns.index(name) for name in wanted]
    led_by, lead_rows = leads(bars), dict[str, pd.DataFrame]()
    for symbol in leads_first(bars):
        frame, lead = bars[symbol], lead_rows.get(led_by.get(symbol, ""))
        if symbol in led_by.values():
            lead_rows[symbol] = FeaturePipeline([symbol]).lead_rows(symbol, frame)
        pipeline = FeaturePipeline([symbol])
        pieces = (frame.iloc[first : first + AT_ONCE] for first in range(0, len(frame), AT_ONCE))
        values = [pipeline.compute(symbol, piece, lead)[:, picked] for piece in pieces]
        yield symbol, pd.DataFrame(np.concatenate(values), index=pd.DatetimeIndex(close_times(frame)), columns=wanted)


def _outlooks(rows: pd.DataFrame, above: Any, below: Any, up: Any, *, down: Any, by: str) -> pd.DataFrame:
    numbers = dict(zip(OUTLOOK[:-1], (rows[ATR], above, below, up, down), strict=True))
    return pd.DataFrame(numbers, rows.index, dtype="float64").assign(by=by)


def _seen(symbol: str, frame: pd.DataFrame, known: pd.DataFrame) -> Iterator[Seen]:
    """Yield the bars of one symbol with what is known at their closes."""
    for first in range(0, len(frame), AT_ONCE):
        piece = frame.iloc[first : first + AT_ONCE]
        closes = pd.DatetimeIndex(close_times(piece))
        decided = closes.isin(known.index).tolist()
        values = known.reindex(closes).to_numpy().tolist()
        for bar, (atr, above, below, up, down, by), there in zip(bars_of(symbol, piece), values, decided, strict=True):
            yield bar, outlook(bar, atr, above, below, up=up, down=down, by=by) if there else None


def _close(seen: Seen) -> datetime:
    return seen[0].close_time


def _percent(share: float | None) -> float | None:
    return None if share is None or math.isnan(share) else 100 * share

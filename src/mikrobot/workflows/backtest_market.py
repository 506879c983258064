"""The market of a backtest: the bars of files, the outlooks at their closes, and the halts for their quality.

It is computed once. `cut` returns a part of it, without anything that is known later only. Does not trade.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter
from pathlib import Path

import pandas as pd

from mikrobot.domain.errors import UsageError
from mikrobot.domain.instruments.rates import require_rates
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import close_times
from mikrobot.domain.news import NewsCalendar
from mikrobot.domain.trading_states import TradingState
from mikrobot.live.halts import halted_rows, halts_of
from mikrobot.live.strategies import Strategies
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
from mikrobot.workflows.backtest_outlooks import Frames, by_model, by_rules, columns_read, feature_rows
from mikrobot.workflows.registered import Answering

Say = Callable[[str], None]
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class SymbolHalts:
    """The halts of one symbol for the quality of its bars.

    Attributes
    ----------
    closes : DatetimeIndex
        The closes that they cover, UTC.
    states : list of TradingState
        In order of time.
    """

    closes: pd.DatetimeIndex
    states: list[TradingState]


@dataclass(frozen=True, slots=True)
class BacktestMarket:
    """What a backtest trades.

    Attributes
    ----------
    source : ReplaySource
    since : datetime
        Time at which the account opens, UTC; every traded close is later.
    bars : dict of str to DataFrame
        The bars to trade by symbol, a bar frame each; may be empty.
    by_models, rules : dict of str to DataFrame
        The outlooks of the models, empty without one, and those of the rules alone, by symbol. Each has the columns
        `backtest_outlooks.OUTLOOK` by close, also before `since`, and no row for halted closes.
    halts : dict of str to SymbolHalts
    models : dict of str to Answering
    news : NewsCalendar or None
        None: there is no calendar.
    """

    source: ReplaySource
    since: datetime
    bars: dict[str, pd.DataFrame]
    by_models: dict[str, pd.DataFrame]
    rules: dict[str, pd.DataFrame]
    halts: dict[str, SymbolHalts]
    models: dict[str, Answering]
    news: NewsCalendar | None

    @property
    def outlooks(self) -> dict[str, pd.DataFrame]:
        """The outlooks to trade: of the models, without one those of the rules."""
        return self.by_models or self.rules

    @property
    def first_open(self) -> datetime:
        """The first open time of the bars to trade."""
        first: pd.Timestamp = min(frame["open_time"].iloc[0] for frame in self.bars.values() if len(frame))
        return first.to_pydatetime()

    @property
    def last_close(self) -> datetime:
        """The last close of the bars to trade."""
        last: pd.Timestamp = max(frame["open_time"].max() for frame in self.bars.values() if len(frame))
        return last.to_pydatetime() + MINUTE

    @property
    def count(self) -> int:
        """The number of bars to trade."""
        return sum(map(len, self.bars.values()))

    def cut(self, since: datetime, until: datetime) -> "BacktestMarket":
        """Return the market with the bars that close in (since, until], and without any later outlook or halt."""
        return replace(
            self,
            since=since,
            bars={symbol: _span(frame, since, until) for symbol, frame in self.bars.items()},
            by_models=_until(self.by_models, until),
            rules=_until(self.rules, until),
            halts={
                symbol: SymbolHalts(
                    one.closes[one.closes <= pd.Timestamp(until)], [s for s in one.states if s.since <= until]
                )
                for symbol, one in self.halts.items()
            },
        )

    def open_account(self, settings: Settings, strategies: Strategies) -> Traded:
        """Return the accounts of strategies without their memories, with the opening balance and no trade."""
        venue = Venue(self.halts, settings.seed)
        venue.open(self.since, settings.balance)
        trader = Trader("backtest", venue, settings.trading, strategies.fresh(), news=self.news)
        states = (state for one in self.halts.values() for state in one.states)
        trader.permits.by_data = sorted(states, key=attrgetter("since"))
        return Traded(trader)


def prepare(
    settings: Settings, clock: Clock, paths: Sequence[Path], named: str | None,
    *, start: datetime | None, end: datetime | None, columns: Sequence[str], say: Say,
) -> BacktestMarket:  # fmt: skip
    """Read the bars of files and compute their outlooks and halts; start the registry if it is needed and down.

    Parameters
    ----------
    paths, named, start, end
        As in `backtest.backtest`.
    columns : sequence of str
        The feature columns that the strategies read.

    Raises
    ------
    BarError, UnknownSymbol
        If a file has invalid bars or an unknown symbol.
    ModelError, FeatureMismatch, ServiceError
        If there is no such model for the current features, or the registry does not start.
    UsageError
        If the calendar of news cannot be read, no bars are left to trade, the model was trained on the bars to trade,
        or no symbol converts the quote currency of another to dollars.
    """
    news = news_file.read(settings.news) if settings.news else None
    source = ReplaySource(paths, reading_of(settings), clock)
    models = {} if named is None else _loaded(settings, clock, named, source.symbols(), say=say)
    since = _start(source, models.values(), start)
    bars = _read(source, since - timedelta(days=settings.history_days), end)
    require_rates(bars)
    for symbol, frame in bars.items():
        if note := off_grid(instrument(symbol), frame):
            say(note)
    traded_bars = _traded_bars(bars, since, end)
    _name_untraded(source, traded_bars, say)
    say(f"computing features of {', '.join(bars)}")
    by_models, rules = _outlooks(settings, bars, models, columns)
    halts = _halts(bars)
    return BacktestMarket(
        source, since, traded_bars, _without(halts, by_models), _without(halts, rules), halts, models, news
    )


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


def _span(frame: pd.DataFrame, start: datetime, end: datetime | None) -> pd.DataFrame:
    closes = close_times(frame)
    return frame[(closes > start) & (closes <= (end or closes.max()))]


def _until(outlooks: Frames, until: datetime) -> dict[str, pd.DataFrame]:
    return {symbol: frame[frame.index <= pd.Timestamp(until)] for symbol, frame in outlooks.items()}


def _outlooks(
    settings: Settings, bars: Frames, models: Mapping[str, Answering], columns: Sequence[str]
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Return the outlooks of the models and those of the rules alone, by symbol."""
    without_model = Task(TRADED, settings.swing).columns
    levels = {symbol: models[symbol].levels if symbol in models else without_model for symbol in bars}
    rows = dict(feature_rows(bars, columns_read(models, levels, columns)))
    by_models = {symbol: by_model(model, rows[symbol], columns) for symbol, model in models.items() if symbol in rows}
    return by_models, {symbol: by_rules(bars[symbol], rows[symbol], levels[symbol], columns) for symbol in bars}


def _halts(bars: Frames) -> dict[str, SymbolHalts]:
    """Return the halts of each symbol for the quality of its bars."""
    halts = {}
    for symbol, frame in bars.items():
        scored = score_frame(symbol, frame)
        closes, halted = pd.DatetimeIndex(scored["close_time"]), halted_rows(scored["score"].to_numpy())
        halts[symbol] = SymbolHalts(closes[halted], halts_of(symbol, closes, halted))
    return halts


def _without(halts: Mapping[str, SymbolHalts], outlooks: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {symbol: frame[~frame.index.isin(halts[symbol].closes)] for symbol, frame in outlooks.items()}

"""Trade a recorded run again as a backtest, and compare the two order by order.

Uses the run's recorded settings, the stored bars, order books, funding, quality scores and feature rows, and the model
versions that predicted in the run, and predicts again; reuses none of the decisions or trades of the run.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from mikrobot.analytics import fidelity
from mikrobot.analytics.report import Facts
from mikrobot.domain.errors import UsageError
from mikrobot.domain.funding import FundingByClose
from mikrobot.domain.market import Timeframe, close_times
from mikrobot.domain.trading import BASELINE, Decision, Prediction, Side
from mikrobot.domain.trading_states import TradingState
from mikrobot.live import accounts, wiring
from mikrobot.live.arms import share_of
from mikrobot.live.halts import by_data, halted_closes
from mikrobot.live.opening_books import OpeningBooks
from mikrobot.live.operator_states import applied, of_run
from mikrobot.live.run_funding import RunFunding
from mikrobot.live.session import recorded_run
from mikrobot.live.strategies import Strategies, opened
from mikrobot.live.trader import ATR, Traded, Trader
from mikrobot.models.catalog import TRADED
from mikrobot.models.registry import Registry
from mikrobot.models.spec import ModelSpec
from mikrobot.paper.fills import fills_of
from mikrobot.paper.venue import Venue
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.stack import local_stack
from mikrobot.store.bars import BarStore
from mikrobot.store.books import BookSamples
from mikrobot.store.feast import offline
from mikrobot.store.ledger import Ledger
from mikrobot.store.model_registry import open_registry
from mikrobot.store.postgres import database
from mikrobot.store.postgres.database import Pool
from mikrobot.store.quality import QualityScores
from mikrobot.store.runs import FOLLOWS, Run, Runs
from mikrobot.store.trading_states import TradingStates
from mikrobot.workflows.backtest import figures_json, judge, trade
from mikrobot.workflows.backtest_files import NO_FILES, Files, facts_of, write
from mikrobot.workflows.backtest_market import Say
from mikrobot.workflows.backtest_outlooks import OUTLOOK, by_model, market_of
from mikrobot.workflows.registered import Answering


def compare(settings: Settings, clock: Clock, run_id: str, say: Say, *, files: Files = NO_FILES) -> dict[str, Any]:
    """Trade a run again and compare; start the services that are needed and down, and stop them again.

    Parameters
    ----------
    run_id : str
        A run id, or ``last``.
    files : Files
        Paths of the report and of the list of trades of the backtest.

    Returns
    -------
    dict
        The keys of `backtest`, with ``fidelity``, see `analytics.fidelity.Fidelity`, and ``journals_alike``: for
        each account, true if its journal equals that of the run to the byte.

    Raises
    ------
    UsageError
        If there is no such run, it has no predictions, or the paths in `files` are invalid.
    ModelError, ServiceError, StoreError
        If a model, the registry or the stores cannot be used, or `files` cannot be written.
    """
    files.check()
    with local_stack.running(settings, clock, say, ("mlflow",)), database.open_pool(settings) as pool:
        run, ledger = recorded_run(Runs(pool), run_id), Ledger(pool)
        paper = record_of(ledger, run)
        say(f"trading run {run.id} again")
        settings, begun = wiring.rules_of(settings, run), clock.now()
        with opened(settings) as strategies:
            again = traded_again(pool, run, settings, paper.predictions, strategies=strategies)
        seconds = (clock.now() - begun).total_seconds()
        recorded = accounts.lines_of(accounts.of_the_hours(run, accounts.journals(ledger, run.id)))
    accounts_of = again.traded.trader.venue.exchange.accounts
    comparison, judged = fidelity.compare(paper, again.account), judge(again.traded, again.bars, settings, None)
    if files.wanted:
        write(files, _facts(again, run, settings, clock), judged)
    bars = sum(map(len, again.bars.values()))
    replayed = accounts.lines_of({name: account.journal for name, account in accounts_of.items()})
    return {
        "run": run.id,
        "model": TRADED,
        "version": ", ".join(sorted({prediction.model_version for prediction in paper.predictions})),
        "profile": settings.profile,
        "data": {"source": run.source, "from": run.starts_at.isoformat(), "symbols": list(run.symbols)},
        "bars": bars,
        "halted": len(again.halted),
        "bars_per_s": round(bars / seconds) if seconds else None,
        "decisions": len(again.decisions),
        "files": files.to_json(),
        **figures_json(judged),
        "fidelity": comparison.to_json(),
        "journals_alike": {
            name: [line for line in recorded if line.account == name]
            == [line for line in replayed if line.account == name]
            for name in accounts_of
        },
    }


@dataclass(slots=True)
class Again:
    """The state and records of a run that is traded again."""

    traded: Traded
    bars: dict[str, pd.DataFrame] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    skips: dict[fidelity.Close, str] = field(default_factory=dict)
    specs: list[ModelSpec] = field(default_factory=list)
    halted: Mapping[fidelity.Close, str] = field(default_factory=dict)

    @property
    def account(self) -> fidelity.RunRecord:
        """Its record for the comparison."""
        journals = {name: account.journal for name, account in self.traded.trader.venue.exchange.accounts.items()}
        fills = fills_of(journals)
        return fidelity.RunRecord(self.traded.orders, fills, self.decisions, self.predictions, self.skips)


def record_of(ledger: Ledger, run: Run) -> fidelity.RunRecord:
    """Return a run's record within its hours, without its later trading in the present and its closing.

    Raises
    ------
    UsageError
        If the run has no predictions.
    DataError
        If the run was traded before journals were kept.
    """
    accounts.fills(ledger, run)  # refuses a run that is older than journals
    record = fidelity.RunRecord(
        [order for order in ledger.orders(run.id) if order.submitted_at <= run.ends_at],
        fills_of(accounts.of_the_hours(run, accounts.journals(ledger, run.id))),
        [decision for decision in ledger.decisions(run.id) if decision.close_time <= run.ends_at],
        [prediction for prediction in ledger.predictions(run.id) if prediction.close_time <= run.ends_at],
        {
            (skip.symbol, skip.close_time): skip.reason
            for skip in ledger.skips(run.id)
            if skip.close_time <= run.ends_at
        },
    )
    if not record.predictions:
        raise UsageError(f"run {run.id} has no predictions: there is nothing to compare")
    return record


def traded_again(
    pool: Pool, run: Run, settings: Settings, predictions: Sequence[Prediction],
    *, strategies: Strategies, begin: Callable[[Trader], None] = lambda trader: None,
) -> Again:  # fmt: skip
    """Trade the hours of a run again, from what is stored of its market.

    Parameters
    ----------
    run : Run
    settings : Settings
        The rules to trade by.
    predictions : sequence of Prediction
        Of the run; they name the version that predicted at each close.
    strategies : Strategies
    begin : callable
        Called with the trader before its first minute.
    """
    halted = halted_of(pool, run)
    charged = RunFunding.of(run, pool).between(run.starts_at, run.ends_at)
    states = of_run(TradingStates(pool), run)
    return _again(
        run, settings, BarStore(pool), BookSamples(pool),
        paper=predictions, halted=halted, funding=charged, strategies=strategies, states=states, begin=begin,
    )  # fmt: skip


def halted_of(pool: Pool, run: Run) -> dict[fidelity.Close, str]:
    """Return the closes of a run's hours at which its data halted trading, with the reason.

    Decided again from the recorded scores; failed expectation suites are taken from the record of the run.
    """
    scores, halted = QualityScores(pool), dict[fidelity.Close, str]()
    recorded = TradingStates(pool).of_run(str(run.settings.get(FOLLOWS, run.id)))
    for segment in run.segments:
        of_segment = scores.between(run.source, segment.symbols, segment.trade_from, segment.trade_until)
        halted |= halted_closes(of_segment, recorded)
    return halted


def _again(
    run: Run, settings: Settings, bars: BarStore, samples: BookSamples,
    *, paper: Sequence[Prediction], halted: Mapping[fidelity.Close, str], funding: FundingByClose,
    strategies: Strategies, states: Sequence[TradingState], begin: Callable[[Trader], None],
) -> Again:  # fmt: skip
    venue = accounts.opened_venue(run, settings)
    again = Again(Traded(Trader(run.id, venue, settings.trading, strategies, share_of(run), run.news)))
    permits = again.traded.trader.permits
    permits.by_operators, permits.by_data = applied(states), list(filter(by_data, states))
    again.skips |= halted
    again.halted = halted
    begin(again.traded.trader)
    registry = open_registry(settings)
    models = {maker: _served(registry, *maker) for maker in {(maker.model, maker.model_version) for maker in paper}}
    again.specs = [served.trained.model.spec for served in models.values()]
    for number, segment in enumerate(run.segments):
        if number:
            again.traded.trader.venue = _taken_up(again.traded.trader.venue, run, settings, bars, at=segment.trade_from)
        frames = {
            symbol: bars.range(
                run.source, symbol, Timeframe.M1, run.trades_from(symbol, segment), end=segment.trade_until
            )
            for symbol in segment.symbols
        }
        again.bars |= frames
        outlooks = {
            symbol: _outlooks(again, run, settings, symbol, frame=frame, paper=paper, models=models)
            for symbol, frame in frames.items()
        }
        books = OpeningBooks(run.source, segment.symbols, samples)
        market = market_of(frames, outlooks)
        trade(again.traded, market, again.decisions.append, books.opening, funding=funding)
    return again


@dataclass(frozen=True, slots=True)
class Served:
    """A version as it was served: with its training's calibration up to its newest window's end, then with the window.

    Windows between the two are not stored, so predictions that were made with one of them may differ.
    """

    trained: Answering
    rolled: Answering
    until: datetime

    def outlooks(self, rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
        """Return the outlooks of feature rows, by close, with the columns that strategies read."""
        later = rows.index > pd.Timestamp(self.until)
        parts = [
            by_model(answering, rows[own], columns)
            for answering, own in ((self.trained, ~later), (self.rolled, later))
            if own.any()
        ]
        return pd.concat(parts)


def _served(registry: Registry, name: str, version: str) -> Served:
    """Load the version that made predictions; the baseline has no window."""
    model = registry.load(TRADED, version, rolled=False)
    trained = Answering(model.diffusion() if name == BASELINE else model, name)
    window = None if name == BASELINE else registry.window(TRADED, version)
    if window is None:
        return Served(trained, trained, model.spec.trained_until)
    return Served(trained, Answering(replace(model, intervals=window.intervals()), name), window.until)


def _facts(again: Again, run: Run, settings: Settings, clock: Clock) -> Facts:
    return facts_of(
        settings, again.traded, again.bars, run.id, source=run.source,
        simulated=run.simulated,
        span=(run.starts_at, run.ends_at),
        written_at=clock.now(),
        predictions=again.predictions,
        decisions=again.decisions,
        specs=again.specs,
    )  # fmt: skip


def _taken_up(venue: Venue, run: Run, settings: Settings, bars: BarStore, *, at: datetime) -> Venue:
    """Restore the accounts from their journals, as the worker of the next segment does."""
    fresh = Venue(run.symbols, settings.seed)
    journals = {name: account.journal for name, account in venue.exchange.accounts.items()}
    fresh.restore(journals, accounts.last_bars(run, bars, at), at)
    return fresh


def _outlooks(
    again: Again, run: Run, settings: Settings, symbol: str, *, frame: pd.DataFrame,
    paper: Sequence[Prediction], models: Mapping[tuple[str, str], Served],
) -> pd.DataFrame:  # fmt: skip
    """Return the outlooks at a symbol's closes, each by the version served at that close; record missing rows."""
    closes = pd.DatetimeIndex(close_times(frame))
    events = pd.DataFrame({"source": run.source, "symbol": symbol, "event_timestamp": closes})
    trained = [answering.trained for answering in models.values()]
    shown = (name for answering in trained for name in (*answering.levels, *answering.model.spec.columns))
    read = again.traded.trader.strategies.columns
    columns = list(dict.fromkeys((ATR, *shown, *read)))
    rows = offline.training_rows(settings, events, columns).set_index("event_timestamp")[columns]
    rows = rows[[(symbol, at.to_pydatetime()) not in again.skips for at in rows.index]]
    missing = rows.isna().all(axis=1)
    again.skips |= {(symbol, at.to_pydatetime()): "no feature row of it is stored" for at in rows.index[missing]}
    served = pd.Series(
        {
            prediction.close_time: (prediction.model, prediction.model_version)
            for prediction in paper
            if prediction.symbol == symbol
        },
        dtype=object,
    )
    makers = served.reindex(rows.index).ffill().bfill()
    parts = []
    for version, answering in models.items():
        chosen = rows[~missing & np.array([maker == version for maker in makers], dtype=bool)]
        if len(chosen):
            outlooks = answering.outlooks(chosen, read)
            again.predictions += _predictions(symbol, answering.trained, chosen, outlooks)
            parts.append(outlooks)
    return pd.concat(parts).sort_index() if parts else pd.DataFrame(columns=OUTLOOK, index=closes[:0])


def _predictions(symbol: str, answering: Answering, rows: pd.DataFrame, outlooks: pd.DataFrame) -> Iterator[Prediction]:
    """Yield the predictions that the worker records: one for each side that has a level."""
    spec = answering.model.spec
    inputs = rows[list(spec.columns)]
    for at, values, up, down in zip(
        rows.index, inputs.to_numpy().tolist(), outlooks["up"], outlooks["down"], strict=True
    ):
        features = dict(zip(spec.columns, values, strict=True))
        for side, chance in ((Side.BUY, up), (Side.SELL, down)):
            if not math.isnan(chance):
                close = at.to_pydatetime()
                yield Prediction(symbol, side, close, chance, answering.name, spec.version, spec.feature_hash, features)

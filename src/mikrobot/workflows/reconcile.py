"""A recorded run traded again as a backtest, and the two compared order by order.

Takes the run's own settings, the bars and feature rows that are stored, and the model versions that
answered it, and asks them anew; nothing of what the run decided or traded is taken over.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from mikrobot.analytics import fidelity
from mikrobot.analytics.report import Facts
from mikrobot.domain.errors import UsageError
from mikrobot.domain.market import Timeframe, close_times
from mikrobot.domain.trading import BASELINE, Decision, Prediction, Side
from mikrobot.live import accounts, wiring
from mikrobot.live.arms import share_of
from mikrobot.live.session import recorded_run
from mikrobot.live.trader import ATR, Traded, Trader
from mikrobot.models.catalog import TRADED
from mikrobot.models.intervals import Window
from mikrobot.models.registry import Registry
from mikrobot.models.spec import ModelSpec
from mikrobot.paper.fills import fills_of
from mikrobot.paper.venue import Venue
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.stack import local_stack
from mikrobot.store.bars import BarStore
from mikrobot.store.feast import offline
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres import database
from mikrobot.store.runs import Run, Runs
from mikrobot.workflows.backtest import OUTLOOK, Say, by_model, judge, market_of, told, trade
from mikrobot.workflows.backtest_files import NO_FILES, Files, facts_of, write
from mikrobot.workflows.registered import Answering

LAST = "last"


def compare(settings: Settings, clock: Clock, run_id: str, say: Say, *, files: Files = NO_FILES) -> dict[str, Any]:
    """Trade a run again and compare; start what is needed and down, and stop it again.

    Parameters
    ----------
    run_id : str
        An id, or ``last``.
    files : Files
        Where the report and the list of trades go, of what the run comes to when it is traded again.

    Returns
    -------
    dict
        As `backtest`, with ``fidelity``, see `analytics.fidelity.Fidelity`, and ``journals_alike``: whether the
        journal of each account is that of the run to the byte.

    Raises
    ------
    UsageError
        If there is no such run, it has predicted nothing, or `files` cannot be.
    ModelError, ServiceError, StoreError
        If a model, the registry or the stores cannot be used, or `files` cannot be written.
    """
    files.check()
    with local_stack.running(settings, clock, say, ("mlflow",)), database.open_pool(settings) as pool:
        run, ledger = recorded_run(Runs(pool), None if run_id == LAST else run_id), Ledger(pool)
        paper = _paper(ledger, run)
        if not paper.predictions:
            raise UsageError(f"run {run.id} has predicted nothing: there is nothing to compare")
        say(f"trading run {run.id} again")
        settings, begun = wiring.rules_of(settings, run), clock.now()
        again = _again(run, settings, BarStore(pool), paper.predictions)
        seconds = (clock.now() - begun).total_seconds()
        kept = accounts.lines_of(accounts.of_the_hours(run, accounts.journals(ledger, run.id)))
    accounts_of = again.traded.trader.venue.exchange.accounts
    found, judged = fidelity.compare(paper, again.account), judge(again.traded, again.bars, settings, None)
    if files.wanted:
        write(files, _facts(again, run, settings, clock), judged)
    bars = sum(map(len, again.bars.values()))
    made = accounts.lines_of({name: account.journal for name, account in accounts_of.items()})
    return {
        "run": run.id,
        "model": TRADED,
        "version": ", ".join(sorted({each.model_version for each in paper.predictions})),
        "profile": settings.profile,
        "data": {"source": run.source, "from": run.starts_at.isoformat(), "symbols": list(run.symbols)},
        "bars": bars,
        "bars_per_s": round(bars / seconds) if seconds else None,
        "decisions": len(again.decisions),
        "files": files.to_json(),
        **told(judged),
        "fidelity": found.to_json(),
        "journals_alike": {
            name: [line for line in kept if line.account == name] == [line for line in made if line.account == name]
            for name in accounts_of
        },
    }


@dataclass(slots=True)
class _Again:
    """What a run comes to when it is traded again."""

    traded: Traded
    bars: dict[str, pd.DataFrame] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    skips: dict[fidelity.Close, str] = field(default_factory=dict)
    specs: list[ModelSpec] = field(default_factory=list)

    @property
    def account(self) -> fidelity.RunRecord:
        """It, as the comparison takes it."""
        journals = {name: each.journal for name, each in self.traded.trader.venue.exchange.accounts.items()}
        fills = fills_of(journals)
        return fidelity.RunRecord(self.traded.orders, fills, self.decisions, self.predictions, self.skips)


def _paper(ledger: Ledger, run: Run) -> fidelity.RunRecord:
    """Return what a run did in its hours: neither what it traded afterwards in the present nor how it was closed."""
    accounts.fills(ledger, run.id)  # refuses a run of before there were journals
    return fidelity.RunRecord(
        [each for each in ledger.orders(run.id) if each.submitted_at <= run.ends_at],
        fills_of(accounts.of_the_hours(run, accounts.journals(ledger, run.id))),
        [each for each in ledger.decisions(run.id) if each.close_time <= run.ends_at],
        [each for each in ledger.predictions(run.id) if each.close_time <= run.ends_at],
        {
            (each.symbol, each.close_time): each.reason
            for each in ledger.skips(run.id)
            if each.close_time <= run.ends_at
        },
    )


def _again(run: Run, settings: Settings, bars: BarStore, paper: Sequence[Prediction]) -> _Again:
    venue = accounts.opened_venue(run, settings)
    again = _Again(Traded(Trader(run.id, venue, settings.trading, settings.entry_probability, share_of(run))))
    registry = Registry(settings.mlflow_url)
    models = {made: _served(registry, *made) for made in {(made.model, made.model_version) for made in paper}}
    again.specs = [served.trained.model.spec for served in models.values()]
    for number, segment in enumerate(run.segments):
        if number:
            again.traded.trader.venue = _taken_up(again.traded.trader.venue, run, settings, bars, at=segment.trade_from)
        frames = {
            symbol: bars.range(run.source, symbol, Timeframe.M1, segment.trade_from, end=segment.trade_until)
            for symbol in segment.symbols
        }
        again.bars |= frames
        known = {
            symbol: _known(again, run, settings, symbol, frame=frame, paper=paper, models=models)
            for symbol, frame in frames.items()
        }
        trade(again.traded, market_of(frames, known), again.decisions.append)
    return again


@dataclass(frozen=True, slots=True)
class Served:
    """A version as it answered: calibrated by its training up to the end of its newest window, by the window after it.

    Of windows between the two nothing is kept: predictions that were made by one may differ.
    """

    trained: Answering
    rolled: Answering
    until: datetime

    def outlooks(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the outlooks of feature rows, by close."""
        later = rows.index > pd.Timestamp(self.until)
        parts = [by_model(each, rows[own]) for each, own in ((self.trained, ~later), (self.rolled, later)) if own.any()]
        return pd.concat(parts)


def _served(registry: Registry, name: str, version: str) -> Served:
    """Load what made predictions; the baseline has no window."""
    model = registry.load(TRADED, version, rolled=False)
    trained = Answering(model.diffusion() if name == BASELINE else model, name)
    window = "" if name == BASELINE else registry.window(TRADED, version)
    if not window:
        return Served(trained, trained, model.spec.trained_until)
    rolled = Window.from_json(window)
    return Served(trained, Answering(replace(model, intervals=rolled.intervals()), name), rolled.until)


def _facts(again: _Again, run: Run, settings: Settings, clock: Clock) -> Facts:
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
    """Take the accounts up as the worker of the next segment does."""
    fresh = Venue(run.symbols, settings.seed)
    journals = {name: account.journal for name, account in venue.exchange.accounts.items()}
    fresh.restore(journals, accounts.last_bars(run, bars, at), at)
    return fresh


def _known(
    again: _Again, run: Run, settings: Settings, symbol: str, *, frame: pd.DataFrame,
    paper: Sequence[Prediction], models: Mapping[tuple[str, str], Served],
) -> pd.DataFrame:  # fmt: skip
    """Return the outlooks of the closes of a symbol, each by the version that was served then; note what is missing."""
    closes = pd.DatetimeIndex(close_times(frame))
    events = pd.DataFrame({"source": run.source, "symbol": symbol, "event_timestamp": closes})
    trained = [each.trained for each in models.values()]
    shown = (name for each in trained for name in (*each.levels, *each.model.spec.columns))
    columns = list(dict.fromkeys((ATR, *shown)))
    rows = offline.training_rows(settings, events, columns).set_index("event_timestamp")[columns]
    missing = rows.isna().all(axis=1)
    again.skips |= {(symbol, at.to_pydatetime()): "no feature row of it is stored" for at in rows.index[missing]}
    served = pd.Series(
        {made.close_time: (made.model, made.model_version) for made in paper if made.symbol == symbol}, dtype=object
    )
    makers = served.reindex(closes).ffill().bfill()
    found = []
    for maker, answering in models.items():
        chosen = rows[~missing & np.array([made == maker for made in makers], dtype=bool)]
        if len(chosen):
            outlooks = answering.outlooks(chosen)
            again.predictions += _predictions(symbol, answering.trained, chosen, outlooks)
            found.append(outlooks)
    return pd.concat(found).sort_index() if found else pd.DataFrame(columns=OUTLOOK, index=closes[:0])


def _predictions(symbol: str, answering: Answering, rows: pd.DataFrame, outlooks: pd.DataFrame) -> Iterator[Prediction]:
    """Make the records that the worker makes: one for each side on which a level stands."""
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

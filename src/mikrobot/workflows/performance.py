"""The skill of the predictions of a run: joined with their outcomes, by symbol and by window."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from mikrobot.domain.market import Timeframe
from mikrobot.domain.trading import BASELINE as BASELINE_MODEL
from mikrobot.live.session import recorded_run
from mikrobot.models.catalog import TRADED
from mikrobot.models.labels.samples import Prices
from mikrobot.models.registry import Registry
from mikrobot.models.scope import BASELINE, CHAMPION, Scope
from mikrobot.models.spec import ModelSpec
from mikrobot.monitoring import performance_page
from mikrobot.monitoring.coverage import Coverage, coverage
from mikrobot.monitoring.outcomes import Outcomes, join
from mikrobot.monitoring.performance_page import Shown
from mikrobot.monitoring.performance_verdict import WindowSkill, of_windows
from mikrobot.monitoring.skill import Skill, promise, skill
from mikrobot.settings import Settings
from mikrobot.store import predicted
from mikrobot.store.bars import BarStore
from mikrobot.store.drift_history import Judged
from mikrobot.store.model_registry import open_registry
from mikrobot.store.postgres import database
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run, Runs
from mikrobot.training.rolling import Predictions, prediction_sets
from mikrobot.workflows.trading_report import report_folder

WINDOWS = {"last_day": timedelta(days=1), "last_week": timedelta(days=7), "last_month": timedelta(days=30)}
"""Rolling windows that end at the newest prediction."""

LISTED = timedelta(days=1)
"""Length of the windows that are listed one after the other."""


@dataclass(frozen=True, slots=True)
class SymbolPerformance:
    """The skill of what a model version predicted for a symbol since its training, in any run of the source.

    Attributes
    ----------
    symbol, model, version : str
    predictions : int
        With those whose outcome is not known yet.
    skill : Skill or None
        Of all predictions with an outcome; None if there are too few.
    promised : mapping of str to float
        What the probabilities of all predictions promise; empty without one.
    rolling : mapping of str to Skill or None
        By name of the window, of `WINDOWS`.
    windows : tuple of WindowSkill
        Each day with enough outcomes.
    coverage : mapping of str to Coverage or None
        Of the prediction sets of each day by the outcomes before it: ``all`` and by name of the window.
    outcomes : Outcomes
    """

    symbol: str
    model: str
    version: str
    predictions: int
    skill: Skill | None
    promised: Mapping[str, float]
    rolling: Mapping[str, Skill | None]
    windows: tuple[WindowSkill, ...]
    coverage: Mapping[str, Coverage | None]
    outcomes: Outcomes

    @property
    def counted(self) -> str:
        """How many outcomes are known."""
        return f"{len(self.outcomes):,} of {self.predictions:,} outcomes are known"

    def covered(self, span: str) -> str:
        """Return the coverage of the prediction sets in a span of `skills` with its interval; empty if unknown."""
        measured = self.coverage.get(span.replace(" ", "_"))
        return "" if measured is None else f"{measured.all}"

    @property
    def skills(self) -> dict[str, Skill]:
        """The skill by span, for the spans with enough outcomes."""
        spans = {"all": self.skill, **self.rolling}
        return {name.replace("_", " "): realised for name, realised in spans.items() if realised is not None}

    def shown(self) -> Shown:
        """Return what the page shows."""
        return Shown(
            self.symbol, f"{self.model} {self.version}", self.counted, self.skills, self.windows, self.outcomes
        )

    def to_json(self) -> dict[str, Any]:
        """Return every figure as plain JSON values."""
        return {
            "symbol": self.symbol,
            "model": self.model,
            "version": self.version,
            "predictions": self.predictions,
            "outcomes": len(self.outcomes),
            "skill": _json(self.skill),
            "promised": dict(self.promised),
            "rolling": {name: _json(realised) for name, realised in self.rolling.items()},
            "coverage": {
                name: None if covered is None else covered.to_json() for name, covered in self.coverage.items()
            },
            "windows": [
                {"from": window.since, "to": window.until, **window.skill.to_json()} for window in self.windows
            ],
        }


@dataclass(frozen=True, slots=True)
class Performance:
    """The skill of the predictions of a run."""

    run: Run
    symbols: tuple[SymbolPerformance, ...]

    def write(self, settings: Settings) -> Path:
        """Write the page into the reports of the run; return its path.

        Raises
        ------
        StoreError
            If it cannot be written.
        """
        page = report_folder(settings, self.run) / "performance.html"
        shown = [symbol.shown() for symbol in self.symbols]
        performance_page.write(shown, self.run.source, simulated=self.run.simulated, page=page)
        return page

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "run": self.run.id,
            "source": self.run.source,
            "simulated": self.run.simulated,
            "symbols": [symbol.to_json() for symbol in self.symbols],
        }


def measure(settings: Settings, run_id: str | None = None) -> Performance:
    """Measure the skill of what answers for each symbol of a run.

    Parameters
    ----------
    run_id : str or None
        None: the latest run.

    Raises
    ------
    UsageError
        If there is no such run.
    ModelError, ServiceError
        If a model cannot be read, or MLflow does not answer.
    """
    registry = open_registry(settings)
    with database.open_pool(settings) as pool:
        run = recorded_run(Runs(pool), run_id)
        symbols = [
            of_symbol(pool, judged, registry.spec(TRADED, judged.version), entry=settings.entry_probability)
            for judged in answering(registry, run).values()
        ]
    return Performance(run, tuple(symbols))


def answering(registry: Registry, run: Run) -> dict[str, Judged]:
    """Return what answers for each symbol now: its champion, or the baseline; nothing for a symbol without either."""
    champions, baselines = registry.holders(TRADED, CHAMPION), registry.holders(TRADED, BASELINE)
    answers = {}
    for symbol in run.symbols:
        scope = Scope(run.source, symbol)
        if scope in champions:
            answers[symbol] = Judged(scope, TRADED, champions[scope])
        elif scope in baselines:
            answers[symbol] = Judged(scope, BASELINE_MODEL, baselines[scope])
    return answers


def of_symbol(pool: Pool, judged: Judged, spec: ModelSpec, *, entry: float) -> SymbolPerformance:
    """Measure the skill of what a version, or its baseline, has predicted for a symbol.

    Parameters
    ----------
    entry : float
        Probability from which a prediction is confident.
    """
    above, below = spec.task.columns
    predictions = predicted.read(pool, judged, spec.trained_until, levels=(above, below))
    scope, horizon = judged.scope, spec.horizon_minutes
    if not len(predictions):
        nothing = Outcomes(predictions.minute, predictions.up.astype("int8"), predictions.probability, predictions.up)
        rolling: dict[str, Skill | None] = dict.fromkeys(WINDOWS)
        return SymbolPerformance(scope.symbol, judged.model, spec.version, 0, None, {}, rolling, (), {}, nothing)
    first, last = (_time(int(minute)) for minute in (predictions.minute[0], predictions.minute[-1]))
    bars = BarStore(pool).range(
        scope.source, scope.symbol, Timeframe.M1, first - timedelta(minutes=1), end=last + timedelta(minutes=horizon)
    )
    outcomes = join(
        spec.task,
        Prices.of(bars),
        predictions.minute,
        predictions.up,
        level=predictions.level,
        probability=predictions.probability,
    )
    return SymbolPerformance(
        symbol=scope.symbol,
        model=judged.model,
        version=spec.version,
        predictions=len(predictions),
        skill=_skill(outcomes, horizon, entry),
        promised=promise(predictions.probability, entry),
        rolling={window: _skill(_since(outcomes, last - length), horizon, entry) for window, length in WINDOWS.items()},
        coverage=_coverage(outcomes, horizon, last),
        windows=tuple(of_windows(outcomes, spec.trained_until, last, LISTED, horizon=horizon, entry=entry)),
        outcomes=outcomes,
    )


def _since(outcomes: Outcomes, time: datetime) -> Outcomes:
    return outcomes.only(outcomes.minute > int(time.timestamp()) // 60)


def _coverage(outcomes: Outcomes, horizon: int, last: datetime) -> dict[str, Coverage | None]:
    """Return the coverage of the sets that the outcomes of the days before give each prediction, by span."""
    time = outcomes.minute.astype("datetime64[m]")
    end = np.add(time, np.timedelta64(horizon, "m"))
    chosen, sets = prediction_sets(Predictions(outcomes.probability, outcomes.outcome, time, end))
    minute, outcome = outcomes.minute[chosen], outcomes.outcome[chosen]
    starts = {"all": None, **{name: last - length for name, length in WINDOWS.items()}}
    spans = {
        name: np.full(len(minute), True) if start is None else minute > int(start.timestamp()) // 60
        for name, start in starts.items()
    }
    return {name: coverage(sets[own], outcome[own], minute[own], horizon) for name, own in spans.items()}


def _skill(outcomes: Outcomes, horizon: int, entry: float) -> Skill | None:
    if not len(outcomes):
        return None
    return skill(outcomes.probability, outcomes.outcome, outcomes.minute, horizon, entry=entry)


def _json(realised: Skill | None) -> dict[str, Any] | None:
    return None if realised is None else realised.to_json()


def _time(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)

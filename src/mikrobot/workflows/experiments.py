"""Experiments on recorded runs: plan them, collect the results of their arms, and write the report.

An arm selects the runs that began after the experiment and whose recorded settings match it, or one run by
its id.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any

from mikrobot import settings as configuration
from mikrobot.analytics.experiments import wording
from mikrobot.analytics.experiments.conclusion import Conclusion, Plan, conclude, plan
from mikrobot.analytics.experiments.observations import by_day, by_trade, market_days
from mikrobot.analytics.trades import closed_trades
from mikrobot.domain.errors import UsageError
from mikrobot.domain.experiments import Arm, Experiment, Observation, Unit
from mikrobot.domain.instruments import registry
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.serialisation import plain
from mikrobot.domain.trading import Trade
from mikrobot.live import accounts, arms
from mikrobot.live.session import segments_so_far
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.store.experiments import End, Experiments
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres import database
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run, Runs

RUN, MODEL_VERSION = "run", "model_version"
"""Keys that an arm of an experiment may select by, besides recorded settings and the arm of a run."""


@dataclass(frozen=True, slots=True)
class BegunExperiment:
    """An experiment that was recorded.

    Attributes
    ----------
    experiment : str
        Its id.
    arms : mapping of str to mapping of str to str
        By arm, the settings that it selects runs by.
    unit : Unit
    observations : Plan
        Number of observations that it needs.
    """

    experiment: str
    arms: Mapping[str, Mapping[str, str]]
    unit: Unit
    observations: Plan


@dataclass(frozen=True, slots=True)
class ListedExperiment:
    """An experiment in the list of all.

    Attributes
    ----------
    experiment : str
        Its id.
    question : str
    arms : tuple of str
    begun_at : datetime
        UTC.
    ended : bool
    """

    experiment: str
    question: str
    arms: tuple[str, ...]
    begun_at: datetime
    ended: bool


@dataclass(frozen=True, slots=True)
class ExperimentStatus:
    """The current state of an experiment.

    Attributes
    ----------
    experiment : Experiment
    conclusion : Conclusion
        Based on all observations up to now, or up to the end of the experiment.
    runs : mapping of str to list of str
        Ids of the runs of each arm.
    end : End or None
    """

    experiment: Experiment
    conclusion: Conclusion
    runs: dict[str, list[str]]
    end: End | None

    def to_json(self) -> dict[str, Any]:
        """Return the status as plain JSON values."""
        return {
            "experiment": self.experiment.id,
            "question": self.experiment.question,
            "begun_at": self.experiment.begun_at.isoformat(),
            "ended_at": self.end.at.isoformat() if self.end else None,
            "ended_because": self.end.reason if self.end else None,
            "runs": self.runs,
            **plain(self.conclusion),
        }


def parse_arm(text: str, count: int) -> Arm:
    """Parse an arm in its command line form, ``NAME:KEY=VALUE,KEY=VALUE``.

    Raises
    ------
    UsageError
        If the text does not have this form, or a key is not a setting.
    SettingsError
        If a value is not one of its setting.

    >>> parse_arm("careful:profile=ftmo", 2)
    Arm(name='careful', selects={'profile': 'ftmo'}, share=0.5)
    """
    name, selects = arms.parse(text)
    selectable = {RUN, MODEL_VERSION, arms.ARM, *Settings.model_fields}
    if unknown := selects.keys() - selectable:
        raise UsageError(
            f"arm {name}: {', '.join(sorted(unknown))} is not a setting; "
            f"an arm selects by {', '.join(sorted(selectable))}"
        )
    return Arm(name, {key: _as_recorded(key, value) for key, value in selects.items()}, 1 / count)


def _as_recorded(key: str, value: str) -> str:
    """Return the value of a setting as a run records it, so that .70 selects the runs with 0.7."""
    if key not in Settings.model_fields:
        return value
    return str(configuration.load(**{key: value}).model_dump(mode="json")[key])


def begin(settings: Settings, experiment: Experiment) -> BegunExperiment:
    """Check an experiment, compute the number of observations that it needs, and record it.

    Raises
    ------
    UsageError
        If its arms, id, numbers or floor are invalid, or its id is taken.
    StoreError
        If an arm names a run that does not exist.
    """
    _check(experiment)
    planned = plan(experiment)
    with database.open_pool(settings) as pool:
        for named in [arm.selects[RUN] for arm in experiment.arms if RUN in arm.selects]:
            Runs(pool).get(named)
        Experiments(pool).begin(experiment)
    selections = {arm.name: arm.selects for arm in experiment.arms}
    return BegunExperiment(experiment.id, selections, experiment.unit, planned)


def status(settings: Settings, experiment_id: str) -> ExperimentStatus:
    """Collect the observations of an experiment up to its end, and evaluate them.

    Raises
    ------
    UsageError
        If there is no experiment with this id.
    """
    with database.open_pool(settings) as pool:
        store = Experiments(pool)
        experiment, end = store.get(experiment_id), store.end(experiment_id)
        runs = {arm.name: _runs(pool, experiment, arm, end) for arm in experiment.arms}
        observed = [_observe(pool, experiment.unit, arm, runs[arm.name]) for arm in experiment.arms]
    observations = [observation for arm_observations, _ in observed for observation in arm_observations]
    units = {arm.name: len(days) for arm, (_, days) in zip(experiment.arms, observed, strict=True)}
    return ExperimentStatus(
        experiment,
        conclude(experiment, observations, units),
        {name: [run.id for run in arm_runs] for name, arm_runs in runs.items()},
        end,
    )


def overview(settings: Settings) -> list[ListedExperiment]:
    """Return every experiment."""
    with database.open_pool(settings) as pool:
        store = Experiments(pool)
        return [
            ListedExperiment(
                experiment=experiment.id,
                question=experiment.question,
                arms=tuple(arm.name for arm in experiment.arms),
                begun_at=experiment.begun_at,
                ended=store.end(experiment.id) is not None,
            )
            for experiment in store.all()
        ]


def stop(settings: Settings, experiment_id: str, reason: str, clock: Clock) -> ExperimentStatus:
    """End an experiment permanently, and record its conclusion.

    Raises
    ------
    UsageError
        If there is no experiment with this id, or it has already ended.
    """
    ended = status(settings, experiment_id)
    with database.open_pool(settings) as pool:
        Experiments(pool).stop(experiment_id, clock.now(), reason, plain(ended.conclusion))
    return status(settings, experiment_id)


def write_report(settings: Settings, experiment_id: str) -> tuple[ExperimentStatus, Path]:
    """Write an experiment's report as Markdown into the state folder.

    Raises
    ------
    UsageError
        If there is no experiment with this id.
    """
    current = status(settings, experiment_id)
    path: Path = settings.home / "reports" / "experiments" / f"{experiment_id}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(wording.markdown(current.experiment, current.conclusion, current.runs), encoding="utf-8")
    partial.replace(path)
    return current, path


def _check(experiment: Experiment) -> None:
    names = [arm.name for arm in experiment.arms]
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError(
            f"an experiment compares two or more arms with different names, not {', '.join(names) or 'none'}"
        )
    if any(arm.selects == other.selects for arm, other in combinations(experiment.arms, 2)):
        raise UsageError("two arms of the experiment select the same runs; give each arm another value")
    if not all(map(math.isfinite, (experiment.effect, experiment.deviation))):
        raise UsageError("effect and deviation of an experiment must be finite numbers")
    if not experiment.id.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"the id of an experiment may have letters, digits, - and _ only, not {experiment.id!r}")
    if experiment.floor * len(names) > 1:
        raise UsageError(
            f"{len(names)} arms cannot have a floor of {experiment.floor:g} each; at most {1 / len(names):.3g}"
        )


def _runs(pool: Pool, experiment: Experiment, arm: Arm, end: End | None) -> list[Run]:
    """Return the runs of an arm, oldest first."""
    runs, named = Runs(pool), arm.selects.get(RUN)
    if named is not None:
        return [runs.get(named)]
    wanted = {key: value for key, value in arm.selects.items() if key != MODEL_VERSION}
    return [
        run
        for run in runs.all()
        if run.started_at >= experiment.begun_at
        and (end is None or run.started_at < end.at)
        and all(_recorded(run, key) == value for key, value in wanted.items())
    ]


def _recorded(run: Run, key: str) -> str:
    return arms.name_of(run) if key == arms.ARM else str(run.settings.get(key))


def _observe(pool: Pool, unit: Unit, arm: Arm, runs: Sequence[Run]) -> tuple[list[Observation], set[str]]:
    """Return the observations of an arm and its units; if several runs cover a day, the newest run counts."""
    observations: list[Observation] = []
    counted, units = set[str](), set[str]()
    for run in reversed(runs):
        with registry.using(run.instruments):
            days = _days(Runs(pool), run)
            trades = _trades(Ledger(pool), run, arm.selects.get(MODEL_VERSION))
            fresh = [trade for trade in trades if f"{run.source} {trade.exit.filled_at:%Y-%m-%d}" not in counted]
            new = [day for day in days if f"{run.source} {day}" not in counted]
            observations += by_day(arm.name, fresh, new, run.source) if unit is Unit.DAY else by_trade(arm.name, fresh)
        counted |= {f"{run.source} {day}" for day in days}
        units |= {f"{run.source} {unit}" for unit in _units(run, new)}
    return observations, units


def _units(run: Run, days: Sequence[str]) -> list[str]:
    """Return an arm's units among these days: all days, or its share of each symbol's days if they were split."""
    share = arms.share_of(run)
    if share is None:
        return list(days)
    symbol_days = [(symbol, datetime.fromisoformat(day)) for symbol in run.symbols for day in days]
    return [arms.unit(symbol, day) for symbol, day in symbol_days if share.owner(symbol, day) == share.own]


def _days(runs: Runs, run: Run) -> list[str]:
    days: list[str] = []
    for segment in segments_so_far(runs, run):
        weekends = any(not instrument(symbol).closes for symbol in segment.symbols)
        days += market_days(segment.trade_from, segment.trade_until, weekends=weekends)
    return days


def _trades(ledger: Ledger, run: Run, model_version: str | None) -> list[Trade]:
    trades = list(closed_trades(ledger.orders(run.id), accounts.fills(ledger, run)))
    if model_version is None:
        return trades
    asked: dict[tuple[str, datetime], str] = {
        (answer.symbol, answer.close_time): answer.model_version for answer in ledger.predictions(run.id)
    }
    return [trade for trade in trades if asked.get((trade.order.symbol, trade.order.submitted_at)) == model_version]

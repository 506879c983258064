"""The conclusion of an experiment so far: both tests, the checks, the stop rules, and the answer in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.analytics.experiments import bandits, fixed, sequential
from mikrobot.analytics.experiments.assignment import MISMATCH, assign, sample_ratio
from mikrobot.analytics.experiments.bandits import Record
from mikrobot.analytics.experiments.fixed import Comparison
from mikrobot.domain.experiments import Arm, Experiment, Observation, Unit

Floats = NDArray[np.float64]

AA_SPLITS = 200
"""Number of random splits in the A/A test."""

PATIENCE = 2
"""Multiple of the planned length at which an experiment without an answer is stopped."""


class Verdict(Enum):
    """Continue the experiment, or stop it for a reason."""

    CONTINUE = "continue"
    INVALID = "stop: the arms did not get the units they were planned to get"
    BETTER = "stop: the candidate earns more"
    WORSE = "stop: the candidate earns less"
    FUTILE = "stop: an effect worth finding is ruled out"
    EXHAUSTED = "stop: twice the planned length without an answer"


@dataclass(frozen=True, slots=True)
class Plan:
    """The planned length of an experiment, in observations of each arm or in pairs.

    Attributes
    ----------
    fixed : int
        For the classical test, evaluated once.
    sequential : int
        Maximum for the always-valid test.
    """

    fixed: int
    sequential: int


@dataclass(frozen=True, slots=True)
class Sequential:
    """The current result of the always-valid test; None before its first look, which needs a positive variance."""

    difference: float | None
    low: float | None
    high: float | None
    p_value: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """The comparison of one candidate with the control.

    Attributes
    ----------
    arm : str
    observations : int
        Number of pairs, or of observations of the smaller arm.
    sequential : Sequential
    classical : Comparison or None
        None if there are too few observations for a test.
    verdict : Verdict
    words : str
        The answer in one or two sentences.
    """

    arm: str
    observations: int
    sequential: Sequential
    classical: Comparison | None
    verdict: Verdict
    words: str


@dataclass(frozen=True, slots=True)
class Conclusion:
    """All results of an experiment so far.

    Attributes
    ----------
    plan : Plan
    records : mapping of str to Record
        By arm.
    units : mapping of str to int
        Market days on which each arm ran.
    sample_ratio_p : float or None
        p-value of these unit counts under the planned shares.
    contrasts : tuple of Contrast
    aa_alarms : float or None
        Share of random splits of the control's observations in which the test reports a difference;
        None if there are too few observations to split.
    allocation : mapping of str to mapping of str to float
        Bandit -> arm -> suggested share of the next units.
    """

    plan: Plan
    records: Mapping[str, Record]
    units: Mapping[str, int]
    sample_ratio_p: float | None
    contrasts: tuple[Contrast, ...]
    aa_alarms: float | None
    allocation: Mapping[str, Mapping[str, float]]


def plan(experiment: Experiment) -> Plan:
    """Compute the planned length of an experiment; several candidates share the false alarm rate (Bonferroni)."""
    alpha, pairs = _alpha(experiment), experiment.unit is Unit.DAY
    variance = experiment.deviation**2 * (1 if pairs else 2)
    return Plan(
        fixed=fixed.needed(experiment.effect, experiment.deviation, alpha, experiment.power, pairs=pairs),
        sequential=sequential.needed(experiment.effect, variance, alpha, experiment.power),
    )


def conclude(
    experiment: Experiment, observations: Sequence[Observation], units: Mapping[str, int], seed: int = 0
) -> Conclusion:
    """Compute the conclusion of an experiment so far; may be called after every observation.

    Parameters
    ----------
    experiment : Experiment
    observations : sequence of Observation
        In any order.
    units : mapping of str to int
        Market days on which each arm ran.
    seed : int
        Seed of the bandit draws and of the A/A splits.
    """
    ordered = sorted(observations, key=lambda observation: (observation.at, observation.arm, observation.unit))
    values = {arm.name: _values(ordered, arm) for arm in experiment.arms}
    records = {name: bandits.record(of_arm) for name, of_arm in values.items()}
    ratio = sample_ratio(units, {arm.name: arm.share for arm in experiment.arms})
    planned = plan(experiment)
    valid = ratio is None or ratio >= MISMATCH
    return Conclusion(
        plan=planned,
        records=records,
        units=dict(units),
        sample_ratio_p=ratio,
        contrasts=tuple(_contrast(experiment, ordered, arm, planned, valid=valid) for arm in experiment.arms[1:]),
        aa_alarms=aa_alarms(values[experiment.control.name], experiment, seed),
        allocation={
            "thompson": bandits.thompson(records, experiment.floor, np.random.default_rng(seed)),
            "ucb": bandits.upper_confidence(records, experiment.floor),
        },
    )


def aa_alarms(values: Floats, experiment: Experiment, seed: int = 0) -> float | None:
    """Return the false alarm rate of the always-valid test in an A/A test.

    Splits the observations of one arm into two random halves, `AA_SPLITS` times, and evaluates the test after
    every observation. A rate above `alpha` means that the data violate the assumptions of the test. None if
    there are too few observations for the first look.
    """
    if len(values) < 4 * sequential.FEWEST:
        return None
    halves = {"a": 0.5, "b": 0.5}
    sides = np.array(
        [
            [assign(f"{experiment.id} A/A {seed} {split}", str(unit), halves) == "a" for unit in range(len(values))]
            for split in range(AA_SPLITS)
        ]
    )
    streams = np.broadcast_to(values, sides.shape)
    tests = sequential.independent(streams, sides, experiment.effect, experiment.alpha)
    return float((tests.p_value[:, -1] < experiment.alpha).mean())


def _contrast(
    experiment: Experiment, ordered: Sequence[Observation], arm: Arm, planned: Plan, *, valid: bool
) -> Contrast:
    alpha, tau = _alpha(experiment), experiment.effect
    if experiment.unit is Unit.DAY:
        differences = _pairs(ordered, arm, experiment.control)
        count, classical = len(differences), fixed.paired(differences, alpha)
        path = sequential.paired(differences, tau, alpha)
    else:
        both = [observation for observation in ordered if observation.arm in (arm.name, experiment.control.name)]
        values = np.array([observation.value for observation in both])
        candidate = np.array([observation.arm == arm.name for observation in both], dtype=bool)
        count = int(min(candidate.sum(), (~candidate).sum()))
        classical = fixed.independent(values[candidate], values[~candidate], alpha)
        path = sequential.independent(values, candidate, tau, alpha)
    state = _last(path)
    verdict = _verdict(state, experiment, planned, count, valid=valid)
    return Contrast(
        arm.name,
        count,
        state,
        classical,
        verdict,
        _words(experiment, arm, state, verdict, planned=planned, count=count),
    )


def _verdict(state: Sequential, experiment: Experiment, planned: Plan, count: int, *, valid: bool) -> Verdict:
    """Apply the stop rules, the most severe first."""
    if not valid:
        return Verdict.INVALID
    if state.low is not None and state.high is not None:
        if state.high < 0:
            return Verdict.WORSE
        if state.low > 0:
            return Verdict.BETTER
        if state.high < experiment.effect:
            return Verdict.FUTILE
    return Verdict.EXHAUSTED if count >= PATIENCE * planned.sequential else Verdict.CONTINUE


def _words(experiment: Experiment, arm: Arm, state: Sequential, verdict: Verdict, *, planned: Plan, count: int) -> str:
    per, counted = ("per day", "paired days") if experiment.unit is Unit.DAY else ("per trade", "trades of each arm")
    if state.difference is None and count < sequential.FEWEST:
        return f"{count} {counted} so far; the first test is at {sequential.FEWEST}."
    control, left = experiment.control.name, max(planned.sequential - count, 0)
    answers = {
        Verdict.CONTINUE: f"This is not yet conclusive; about {left} more {counted} are planned at most.",
        Verdict.INVALID: "The result is invalid: the arms did not get the units they were planned to get. Find the "
        "cause.",
        Verdict.BETTER: f"{arm.name} is better. Stop and adopt it.",
        Verdict.WORSE: f"{arm.name} is worse. Stop and keep {control}.",
        Verdict.FUTILE: f"A gain of {experiment.effect:g} R {per} is ruled out. Stop and keep {control}.",
        Verdict.EXHAUSTED: f"Twice the planned length has shown no difference. Stop and keep {control}.",
    }
    return f"{_estimate(experiment, arm, state, f'{count} {counted}', per=per)} {answers[verdict]}"


def _estimate(experiment: Experiment, arm: Arm, state: Sequential, counted: str, *, per: str) -> str:
    """Return the difference and its interval in words, or the reason for its absence."""
    if state.difference is None:
        constant = "the difference is constant" if experiment.unit is Unit.DAY else "one arm does not vary"
        return f"{counted} so far, and {constant}: the variance is zero, so p and the interval are undefined."
    return (
        f"{arm.name} earned {state.difference:+.3f} R {per} compared with {experiment.control.name} over {counted}. "
        f"The true difference is between {state.low:+.3f} and {state.high:+.3f} R (confidence "
        f"{1 - _alpha(experiment):.1%}, valid at every look)."
    )


def _alpha(experiment: Experiment) -> float:
    return experiment.alpha / (len(experiment.arms) - 1)


def _values(ordered: Sequence[Observation], arm: Arm) -> Floats:
    return np.array([observation.value for observation in ordered if observation.arm == arm.name], "float64")


def _pairs(ordered: Sequence[Observation], arm: Arm, control: Arm) -> Floats:
    """Return the differences of the units that both arms have, in order of time."""
    rows = [(observation.unit, observation.arm, observation.value) for observation in ordered]
    frame = pd.DataFrame(rows, columns=["unit", "arm", "value"])
    table = frame.pivot_table(index="unit", columns="arm", values="value", aggfunc="sum", sort=False)
    if not {arm.name, control.name} <= set(table.columns):
        return np.empty(0)
    return (table[arm.name] - table[control.name]).dropna().to_numpy("float64")


def _last(path: sequential.Sequence) -> Sequential:
    if not len(path.p_value) or not np.isfinite(path.high[-1]):
        return Sequential(None, None, None, 1.0)
    low, high = float(path.low[-1]), float(path.high[-1])
    return Sequential(float(path.difference[-1]), low, high, float(path.p_value[-1]))

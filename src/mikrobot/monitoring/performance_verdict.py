"""The verdict whether predictions with known outcomes are calibrated and as good as they promise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from mikrobot.domain.drift import DriftKind, WindowVerdict
from mikrobot.monitoring.drift_verdict import onsets, together
from mikrobot.monitoring.outcomes import Outcomes
from mikrobot.monitoring.skill import Estimate, Skill, skill

DEVIATIONS = 3.5
"""Standard errors from which a figure differs."""

LEAST_BIAS = 0.02
"""Smallest bias that is material."""

LEAST_SLOPE = 0.15
"""Smallest slope that is material."""

LEAST_EXCESS = 0.02
"""Smallest excess of the Brier score that is material, relative to what was promised."""

LEAST_AUC = 0.01
"""Smallest loss of AUC that is material."""


@dataclass(frozen=True, slots=True)
class WindowSkill:
    """The skill of one window: predictions made in (since, until], UTC."""

    since: datetime
    until: datetime
    skill: Skill


def of_windows(
    outcomes: Outcomes, since: datetime, until: datetime, window: timedelta, *, horizon: int, entry: float
) -> list[WindowSkill]:
    """Return the skill of each whole window of (since, until] with enough outcomes.

    Parameters
    ----------
    outcomes : Outcomes
    horizon : int
        Minutes until an outcome is known.
    entry : float
        Probability from which a prediction is confident.
    """
    measured = []
    for start in _starts(since, until, window):
        first, last = (_minute(time) for time in (start, start + window))
        part = outcomes.only((outcomes.minute > first) & (outcomes.minute <= last))
        realised = skill(part.probability, part.outcome, part.minute, horizon, entry=entry) if len(part) else None
        if realised is not None:
            measured.append(WindowSkill(start, start + window, realised))
    return measured


def judge(windows: Sequence[WindowSkill]) -> list[WindowVerdict]:
    """Judge calibration and concept of each window, in order of time.

    Calibration has drifted if two of three windows differ by bias or slope. The concept has drifted if two of three
    are worse than promised, by Brier score or AUC; a better one never is.
    """
    calibration = _verdicts(DriftKind.CALIBRATION, windows, [_miscalibrated(window.skill) for window in windows])
    concept = _verdicts(DriftKind.CONCEPT, windows, [_worse(window.skill) for window in windows])
    return [*calibration, *concept]


def _verdicts(
    kind: DriftKind, windows: Sequence[WindowSkill], differences: Sequence[tuple[str, ...]]
) -> list[WindowVerdict]:
    differs = [bool(reasons) for reasons in differences]
    drifted = [together(differs[: at + 1]) for at in range(len(differs))]
    verdicts = [
        WindowVerdict(
            kind, window.since, window.until, is_drifted, False,
            _named(differences[: at + 1]) if is_drifted else (), window.skill.to_json(),
        )
        for at, (window, is_drifted) in enumerate(zip(windows, drifted, strict=True))
    ]  # fmt: skip
    return [replace(verdict, onset=onset) for verdict, onset in zip(verdicts, onsets(drifted), strict=True)]


def _named(differences: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the reasons of the newest window that differs."""
    return next(reasons for reasons in reversed(differences) if reasons)


def _miscalibrated(realised: Skill) -> tuple[str, ...]:
    reasons = []
    if _differs(realised.bias, LEAST_BIAS):
        direction = "too high" if realised.bias.value > 0 else "too low"
        reasons.append(
            f"the probabilities are {direction} by {abs(realised.bias.value):.3f} on average, "
            f"{realised.bias.deviations:+.1f} standard errors (limits {LEAST_BIAS:g} and {DEVIATIONS:g})"
        )
    if _differs(realised.slope, LEAST_SLOPE):
        direction = "too extreme" if realised.slope.value > 0 else "not extreme enough"
        reasons.append(
            f"the probabilities are {direction}: their errors have a slope of {realised.slope.value:+.2f}, "
            f"{realised.slope.deviations:+.1f} standard errors (limits {LEAST_SLOPE:g} and {DEVIATIONS:g})"
        )
    return tuple(reasons)


def _worse(realised: Skill) -> tuple[str, ...]:
    reasons = []
    excess = realised.brier_excess
    if excess.deviations >= DEVIATIONS and excess.value >= LEAST_EXCESS * realised.brier_promised:
        reasons.append(
            f"the Brier score is {realised.brier.value:.4f}, worse than the promised {realised.brier_promised:.4f} by "
            f"{excess.deviations:.1f} standard errors"
        )
    gap = Estimate(realised.auc.value - realised.auc_promised, realised.auc.error)
    if gap.deviations <= -DEVIATIONS and gap.value <= -LEAST_AUC:
        reasons.append(
            f"the AUC is {realised.auc.value:.3f}, worse than the promised {realised.auc_promised:.3f} by "
            f"{-gap.deviations:.1f} standard errors"
        )
    return tuple(reasons)


def _differs(estimate: Estimate, least: float) -> bool:
    return abs(estimate.deviations) >= DEVIATIONS and abs(estimate.value) >= least


def _starts(since: datetime, until: datetime, window: timedelta) -> Iterator[datetime]:
    while since + window <= until:
        yield since
        since += window


def _minute(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(minutes=1)

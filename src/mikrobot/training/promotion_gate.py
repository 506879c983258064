"""The promotion gate: whether a challenger takes the champion's place in a scope, clause by clause.

Accuracy is no clause, since on these labels it measures geometry. Pure: it compares figures that
others measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mikrobot.training.intervals import Interval

MOST_CALIBRATION_ERROR = 0.02
"""Maximum calibration error, beyond the error expected by chance."""

MOST_LATENCY_MS = 5.0
"""Milliseconds, at the median, that one native answer may take: a twentieth of the serving budget of 100."""

LEAST_COVERAGE = 0.02
"""Minimum share of the samples on which a model must make a confident prediction."""

SHADOW = "shadow"
"""Name of the clause that only time can pass."""


def to_beat(uplifts: Mapping[str, Any]) -> str:
    """Name the diffusion that a model must beat: the one with the forecast; the ATR's where there is none.

    >>> to_beat({"over_atr": {}, "over_forecast": {}}), to_beat({"over_atr": {}})
    ('forecast', 'atr')
    """
    return "forecast" if "over_forecast" in uplifts else "atr"


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """What was measured of one model on the test span of the challenger, for one symbol.

    Attributes
    ----------
    calibration_error : float
    calibration_noise : float
        What a perfectly calibrated model would show on as many samples.
    latency_ms : float
        Median of one answer, natively.
    coverage, precision : float
        Of its confident predictions; `precision` is 0 where it makes none.
    expectancy_r : Interval or None
        Mean result of a trade in units of its risk, after costs; None where too little was traded.
    """

    calibration_error: float
    calibration_noise: float
    latency_ms: float
    coverage: float
    precision: float
    expectancy_r: Interval | None


@dataclass(frozen=True, slots=True)
class Differences:
    """A challenger less the champion, on the same samples.

    Attributes
    ----------
    auc : Interval
    precision : Interval or None
        Of confident predictions; None where one of the two makes none.
    expectancy_r : Interval or None
        None where one of the two traded too little.
    """

    auc: Interval
    precision: Interval | None
    expectancy_r: Interval | None


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition of promotion."""

    name: str
    passed: bool
    text: str

    def __str__(self) -> str:
        return f"{self.name} {'passed' if self.passed else 'refused'}: {self.text}"


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether to promote, and every clause with what it found.

    Attributes
    ----------
    clauses : tuple of Clause
    unfit : str
        Why the present champion may not serve any more; empty where it may, or there is none.
    """

    clauses: tuple[Clause, ...]
    unfit: str = ""

    @property
    def promote(self) -> bool:
        """Whether no clause refused."""
        return all(clause.passed for clause in self.clauses)

    @property
    def waits(self) -> bool:
        """Whether nothing but the shadow predictions is missing."""
        return [clause.name for clause in self.clauses if not clause.passed] == [SHADOW]

    @property
    def reason(self) -> str:
        """The clauses that refused, or all of them when none did, in one line."""
        refused = [clause for clause in self.clauses if not clause.passed]
        return "; ".join(map(str, refused or self.clauses))


def first(challenger: ModelFigures, over_baseline: Interval, why: str, *, unfit: bool = False) -> Ruling:
    """Rule where no champion may serve: the challenger must have skill, be calibrated and fast.

    While none passes, the calibrated diffusion baseline answers.

    Parameters
    ----------
    challenger : ModelFigures
    over_baseline : Interval
        Uplift in AUC over the diffusion with the forecast sigma.
    why : str
        Why no champion may serve, as "there was no champion".
    unfit : bool
        Whether there is one that may not serve.
    """
    clauses = (Clause("champion", True, why), _skilled(over_baseline), *_sound(challenger))
    return Ruling(clauses, why if unfit else "")


def against(
    challenger: ModelFigures,
    champion: ModelFigures,
    over_baseline: Interval,
    over_champion: Differences,
    *,
    shadow: tuple[int, int] = (0, 0),
) -> Ruling:
    """Rule on a challenger that would take a champion's place.

    It is refused where it is worse by more than chance: a difference whose interval reaches 0 refuses nobody.

    Parameters
    ----------
    challenger, champion : ModelFigures
        On the same test span.
    over_baseline : Interval
        Uplift in AUC over the diffusion with the forecast sigma.
    over_champion : Differences
    shadow : tuple of int
        Predictions made in the champion's shadow, and how many are asked for.
    """
    made, asked = shadow
    auc = over_champion.auc
    clauses = (
        _skilled(over_baseline),
        Clause("champion", not auc.below_zero, f"AUC over the champion {auc}, must not lie below 0"),
        *_sound(challenger),
        _precise(challenger, champion, over_champion.precision),
        _paying(challenger.expectancy_r, champion.expectancy_r, over_champion.expectancy_r),
        shadowed(made, asked),
    )
    return Ruling(clauses)


def shadowed(made: int, asked: int) -> Clause:
    """Rule on the predictions that a challenger has made in the champion's shadow."""
    return Clause(SHADOW, made >= asked, f"{made:,} predictions in the champion's shadow, {asked:,} asked for")


def _sound(challenger: ModelFigures) -> tuple[Clause, Clause]:
    error, latency = challenger.calibration_error, challenger.latency_ms
    allowed = MOST_CALIBRATION_ERROR + challenger.calibration_noise
    return (
        Clause(
            "calibration",
            error <= allowed,
            f"calibration error {error:.4f}, at most {MOST_CALIBRATION_ERROR:g} beside the "
            f"{challenger.calibration_noise:.4f} of chance",
        ),
        Clause("latency", latency <= MOST_LATENCY_MS, f"{latency:.3f} ms for one answer, at most {MOST_LATENCY_MS:g}"),
    )


def _skilled(over_baseline: Interval) -> Clause:
    text = f"uplift over the diffusion with forecast sigma {over_baseline}, must lie above 0"
    return Clause("skill", over_baseline.above_zero, text)


def _precise(challenger: ModelFigures, champion: ModelFigures, difference: Interval | None) -> Clause:
    covers = challenger.coverage >= LEAST_COVERAGE
    compared = "not compared" if difference is None else f"difference {difference}, must not lie below 0"
    return Clause(
        "precision",
        covers and (difference is None or not difference.below_zero),
        f"{challenger.precision:.3f} at coverage {challenger.coverage:.3f}, the champion {champion.precision:.3f} "
        f"at {champion.coverage:.3f}; {compared}; coverage at least {LEAST_COVERAGE:g}",
    )


def _paying(challenger: Interval | None, champion: Interval | None, difference: Interval | None) -> Clause:
    if challenger is None or champion is None or difference is None:
        who = "the challenger" if challenger is None else "the champion"
        return Clause("expectancy", True, f"not compared: {who} traded too little on the test span")
    both = f"{challenger} R a trade after costs, the champion {champion}"
    if challenger.below_zero and champion.below_zero:
        return Clause("expectancy", True, f"not compared, since neither earns its costs: {both}")
    return Clause("expectancy", not difference.below_zero, f"{both}; difference {difference}, must not lie below 0")

"""Whether a challenger takes the champion's place: every clause, and what it found.

Accuracy is no clause, since on these labels it measures geometry. Pure: it compares figures that
others measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_CALIBRATION_ERROR = 0.02
"""Mean distance between what is said and what happens that is allowed, beyond what chance shows."""

MOST_LATENCY_MS = 5.0
"""Milliseconds, at the median, that one native answer may take: a twentieth of the serving budget of 100."""

LEAST_COVERAGE = 0.02
"""Share of the events on which a model must dare to speak."""

SHADOW = "shadow"
"""Name of the clause that only time can pass."""

PRECISION_SLACK = 0.01
"""By how much the precision of what a challenger dares may lie under the champion's: less is chance."""


def to_beat(uplifts: Mapping[str, Any]) -> str:
    """Name the diffusion that a model must beat: the one with the forecast; the ATR's where there is none.

    >>> to_beat({"over_atr": {}, "over_forecast": {}}), to_beat({"over_atr": {}})
    ('forecast', 'atr')
    """
    return "forecast" if "over_forecast" in uplifts else "atr"


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with the ends of its 95 % interval; None where there were too few days for one."""

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:+.4f} without an interval"
        return f"{self.value:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


@dataclass(frozen=True, slots=True)
class Standing:
    """What was measured of one model on the test span of the challenger.

    Attributes
    ----------
    calibration_error : float
    calibration_noise : float
        What a perfectly calibrated model would show on as many samples.
    latency_ms : float
        Median of one answer, natively.
    coverage, precision : float
        Of what it dares to say; `precision` is 0 where it says nothing.
    expectancy_r : float or None
        Mean result of a trade in units of its risk, after costs; None where nothing was traded.
    """

    calibration_error: float
    calibration_noise: float
    latency_ms: float
    coverage: float
    precision: float
    expectancy_r: float | None


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
    """Whether to promote, and every clause with what it found."""

    clauses: tuple[Clause, ...]

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


def first(challenger: Standing, why: str) -> Ruling:
    """Rule where no champion may serve: the challenger must be calibrated and fast.

    Without one there would be nothing to serve; whether it has any skill is in its metrics and card.

    Parameters
    ----------
    challenger : Standing
    why : str
        Why no champion may serve, as "there was no champion".
    """
    return Ruling((Clause("champion", True, why), *_sound(challenger)))


def against(
    challenger: Standing,
    champion: Standing,
    over_forecast: Interval,
    over_champion: Interval,
    shadow: tuple[int, int] = (0, 0),
) -> Ruling:
    """Rule on a challenger that would take a champion's place.

    Parameters
    ----------
    challenger, champion : Standing
        On the same test span.
    over_forecast, over_champion : Interval
        Uplift in AUC over the diffusion with the forecast sigma, and over the champion.
    shadow : tuple of int
        Predictions made in the champion's shadow, and how many are asked for.
    """
    made, asked = shadow
    skilled = over_forecast.low is not None and over_forecast.low > 0.0
    not_worse = over_champion.high is None or over_champion.high >= 0.0
    careful = challenger.coverage >= LEAST_COVERAGE and (challenger.precision >= champion.precision - PRECISION_SLACK)
    clauses = (
        Clause("skill", skilled, f"uplift over the diffusion with forecast sigma {over_forecast}, must lie above 0"),
        Clause("champion", not_worse, f"AUC over the champion {over_champion}, must not lie below 0"),
        *_sound(challenger),
        Clause(
            "precision",
            careful,
            f"{challenger.precision:.3f} at coverage {challenger.coverage:.3f}, the champion {champion.precision:.3f} "
            f"at {champion.coverage:.3f}; at least {LEAST_COVERAGE:g} must be covered",
        ),
        _paying(challenger.expectancy_r, champion.expectancy_r),
        shadowed(made, asked),
    )
    return Ruling(clauses)


def shadowed(made: int, asked: int) -> Clause:
    """Rule on the predictions that a challenger has made in the champion's shadow."""
    return Clause(SHADOW, made >= asked, f"{made:,} predictions in the champion's shadow, {asked:,} asked for")


def _sound(challenger: Standing) -> tuple[Clause, Clause]:
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


def _paying(challenger: float | None, champion: float | None) -> Clause:
    if challenger is None or champion is None:
        who = "the challenger" if challenger is None else "the champion"
        return Clause("expectancy", True, f"not compared: {who} traded nothing on the test span")
    return Clause(
        "expectancy",
        challenger >= champion,
        f"{challenger:+.3f} R a trade after costs, the champion {champion:+.3f}",
    )

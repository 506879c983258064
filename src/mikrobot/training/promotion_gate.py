"""The promotion gate: the decision, clause by clause, to replace a champion by a challenger in a scope.

There is no accuracy clause, because on these labels accuracy measures geometry. The gate compares
figures that `champion_comparison` measures; it has no side effects.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mikrobot.training.day_bootstrap import Interval

MOST_CALIBRATION_ERROR = 0.02
"""Maximum calibration error, beyond the error expected by chance."""

MOST_LATENCY_MS = 5.0
"""Maximum median latency of one prediction in the same process: a twentieth of the serving budget of 100 ms."""

LEAST_COVERAGE = 0.02
"""Minimum share of the samples on which a model must make a confident prediction."""

SHADOW = "shadow"
"""Name of the clause on the number of shadow predictions, which only time can satisfy."""


def to_beat(uplifts: Mapping[str, object]) -> str:
    """Return the diffusion baseline that a model must beat: the forecast's, or the ATR's if there is no forecast.

    >>> to_beat({"over_atr": {}, "over_forecast": {}}), to_beat({"over_atr": {}})
    ('forecast', 'atr')
    """
    return "forecast" if "over_forecast" in uplifts else "atr"


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """Figures of one model on the test span of the challenger, for one symbol.

    Attributes
    ----------
    calibration_error : float
    calibration_noise : float
        Calibration error that a perfectly calibrated model would show by chance on as many samples.
    brier_skill : Interval
        Share of the Brier score of the diffusion baseline with the forecast sigma that the model saves.
    latency_ms : float
        Median latency of one prediction in the same process.
    coverage, precision : float
        Share and precision of its confident predictions; `precision` is 0 if there are none.
    expectancy_r : Interval or None
        Mean result per trade in units of its risk, after costs; None if there were too few trades.
    """

    calibration_error: float
    calibration_noise: float
    brier_skill: Interval
    latency_ms: float
    coverage: float
    precision: float
    expectancy_r: Interval | None


@dataclass(frozen=True, slots=True)
class Differences:
    """Figures of the challenger less those of the champion, on the same samples.

    Attributes
    ----------
    auc : Interval
    precision : Interval or None
        Precision of confident predictions; None if one of the models makes none.
    expectancy_r : Interval or None
        None if one of the models had too few trades.
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
    """The decision of the gate, with every clause.

    Attributes
    ----------
    clauses : tuple of Clause
    unfit : str
        Reason why the current champion may no longer serve; empty if it may, or if there is none.
    """

    clauses: tuple[Clause, ...]
    unfit: str = ""

    @property
    def promote(self) -> bool:
        """True if every clause passed."""
        return all(clause.passed for clause in self.clauses)

    @property
    def waits(self) -> bool:
        """True if only the shadow predictions are missing."""
        return [clause.name for clause in self.clauses if not clause.passed] == [SHADOW]

    @property
    def reason(self) -> str:
        """The clauses that refused, or all clauses if none did, in one line."""
        refused = [clause for clause in self.clauses if not clause.passed]
        return "; ".join(map(str, refused or self.clauses))


def first(challenger: ModelFigures, over_baseline: Interval, why: str, *, unfit: bool = False) -> Ruling:
    """Rule on a challenger where no champion may serve: it must have skill, be calibrated and be fast.

    The calibrated diffusion baseline serves the scope until a challenger passes.

    Parameters
    ----------
    challenger : ModelFigures
    over_baseline : Interval
        AUC uplift over the diffusion baseline with the forecast sigma.
    why : str
        Reason why no champion may serve, as "there was no champion".
    unfit : bool
        True if there is a champion that may not serve.
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
    """Rule on a challenger that would replace a champion.

    The challenger is refused if it is significantly worse; a difference whose interval includes 0 passes.

    Parameters
    ----------
    challenger, champion : ModelFigures
        Figures on the same test span.
    over_baseline : Interval
        AUC uplift over the diffusion baseline with the forecast sigma.
    over_champion : Differences
    shadow : tuple of int
        Number of shadow predictions made, and number required.
    """
    auc = over_champion.auc
    clauses = (
        _skilled(over_baseline),
        Clause("champion", not auc.below_zero, f"AUC over the champion {auc}, must not lie below 0"),
        *_sound(challenger),
        _precise(challenger, champion, over_champion.precision),
        _paying(challenger.expectancy_r, champion.expectancy_r, over_champion.expectancy_r),
        shadowed(*shadow),
    )
    return Ruling(clauses)


def shadowed(made: int, asked: int) -> Clause:
    """Rule on the number of shadow predictions that a challenger has made."""
    return Clause(SHADOW, made >= asked, f"{made:,} shadow predictions, {asked:,} required")


def _sound(challenger: ModelFigures) -> tuple[Clause, Clause, Clause]:
    error, latency, skill = challenger.calibration_error, challenger.latency_ms, challenger.brier_skill
    allowed = MOST_CALIBRATION_ERROR + challenger.calibration_noise
    return (
        Clause(
            "calibration",
            error <= allowed,
            f"calibration error {error:.4f}, at most {MOST_CALIBRATION_ERROR:g} above the "
            f"{challenger.calibration_noise:.4f} expected by chance",
        ),
        Clause(
            "brier",
            not skill.below_zero,
            f"Brier skill over the diffusion baseline with forecast sigma {skill}, must not lie below 0",
        ),
        Clause("latency", latency <= MOST_LATENCY_MS, f"{latency:.3f} ms per prediction, at most {MOST_LATENCY_MS:g}"),
    )


def _skilled(over_baseline: Interval) -> Clause:
    text = f"AUC uplift over the diffusion baseline with forecast sigma {over_baseline}, must lie above 0"
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
        return Clause("expectancy", True, f"not compared: {who} made too few trades on the test span")
    both = f"{challenger} R per trade after costs, the champion {champion}"
    if challenger.below_zero and champion.below_zero:
        return Clause("expectancy", True, f"not compared, since neither earns its costs: {both}")
    return Clause("expectancy", not difference.below_zero, f"{both}; difference {difference}, must not lie below 0")

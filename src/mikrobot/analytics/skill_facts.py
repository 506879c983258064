"""The skill of the predictions of a run, as shown in its report. Computes nothing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SkillFacts:
    """The skill of what a model version predicted for a symbol in a run, joined with the outcomes.

    Attributes
    ----------
    symbol, model : str
        The model with its version.
    outcomes : int
        Predictions whose horizon has passed.
    blocks : int
        Effective sample size: blocks of one horizon with a prediction; 0 if there are too few to measure skill.
    auc, bias : str
        Realised, with the 95 % interval; empty if there are too few.
    auc_promised, brier, brier_promised, calibration_error : float or None
    """

    symbol: str
    model: str
    outcomes: int
    blocks: int = 0
    auc: str = ""
    auc_promised: float | None = None
    brier: float | None = None
    brier_promised: float | None = None
    bias: str = ""
    calibration_error: float | None = None

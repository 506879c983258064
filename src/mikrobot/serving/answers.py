"""The answers of the prediction service: the predictions, and the model or baseline that made them.

Imports no model, so that a client loads neither MLflow nor XGBoost.
"""

from dataclasses import dataclass
from datetime import datetime

from mikrobot.domain.trading import answered_by

Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class AnsweringModel:
    """The model or baseline that made a prediction.

    Attributes
    ----------
    model : str
        Name of the model, or `BASELINE`.
    version : str or None
        Version in the registry; None for the baseline.
    fitted_with : str
        Registered version of the training run that fitted it: `version`, or that of the baseline.
    source, symbol : str
        The served scope.
    trained_on : tuple of str
        Symbols of the source that it was trained on, including `symbol`.
    feature_hash : str
        Version of the feature definitions that it expects.
    trained_until : datetime
        UTC; no later data was used in training.
    swing : int
        Bars on each side of the swings that form its levels.
    """

    model: str
    version: str | None
    fitted_with: str
    source: str
    symbol: str
    trained_on: tuple[str, ...]
    feature_hash: str
    trained_until: datetime
    swing: int

    def __str__(self) -> str:
        return answered_by(self.model, self.fitted_with, self.trained_on)


@dataclass(frozen=True, slots=True)
class Answer(AnsweringModel):
    """The prediction for one feature row, with the model that made it.

    Attributes
    ----------
    probability_up, probability_down : float or None
        Probability, 0 to 1, of a break of the level above and below within the model's horizon; None
        where there is no level.
    interval_up, interval_down : tuple of float, or None
        Venn-Abers bounds p0 and p1 of each; the probability is p1 / (1 - p0 + p1), between them. See
        `models.conformal`. Also None for a model without intervals.
    set_up, set_down : "breaks", "holds", "both", "none", or None
        Prediction set: of levels that break, and of levels that hold, at most a tenth lies outside.
    predicted_up, predicted_down : "break", "hold", "abstain", or None
        The only outcome in the prediction set; "abstain" if the set has both or none.
    """

    probability_up: float | None
    probability_down: float | None
    interval_up: Bounds | None = None
    interval_down: Bounds | None = None
    set_up: str | None = None
    set_down: str | None = None
    predicted_up: str | None = None
    predicted_down: str | None = None


@dataclass(frozen=True, slots=True)
class InProcessAnswer(Answer):
    """A prediction that the caller made by itself while the prediction service was down."""

    def __str__(self) -> str:
        return f"{Answer.__str__(self)}, in process"


@dataclass(frozen=True, slots=True)
class Answers(AnsweringModel):
    """The predictions for many rows, in their order; the fields of `Answer`."""

    probability_up: tuple[float | None, ...]
    probability_down: tuple[float | None, ...]
    interval_up: tuple[Bounds | None, ...] = ()
    interval_down: tuple[Bounds | None, ...] = ()
    set_up: tuple[str | None, ...] = ()
    set_down: tuple[str | None, ...] = ()
    predicted_up: tuple[str | None, ...] = ()
    predicted_down: tuple[str | None, ...] = ()

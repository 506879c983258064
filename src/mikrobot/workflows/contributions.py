"""What each input added to the recorded predictions of a decision, by the version that predicted then."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose, isfinite
from typing import Any

from mikrobot.domain.trading import BASELINE, Prediction, Side
from mikrobot.models.catalog import TRADED
from mikrobot.models.explanation import Explanation, explain, explain_baseline
from mikrobot.models.registry import Registry
from mikrobot.serving.requested_rows import row_of

CLOSE_TO = 1e-4
"""Difference from the recorded probability up to which the steps explain it: they are computed with 32 bits."""


@dataclass(frozen=True, slots=True)
class Contributions:
    """The steps of one prediction in log odds, and the recorded probability that they lead to."""

    side: Side
    steps: Explanation
    recorded: float

    @property
    def explains(self) -> bool:
        """Whether the steps add up to the recorded probability."""
        return isclose(self.steps.probability, self.recorded, abs_tol=CLOSE_TO)

    def to_json(self) -> dict[str, Any]:
        """Return the steps as plain JSON values."""
        return {
            "side": self.side.value,
            "start": self.steps.start,
            "added": dict(self.steps.added),
            "probability": self.steps.probability,
            "explains": self.explains,
        }


def contributions(registry: Registry, predictions: Sequence[Prediction]) -> tuple[Contributions, ...]:
    """Return what each input added to predictions of the traded model.

    Parameters
    ----------
    registry : Registry
    predictions : sequence of Prediction
        With their features.

    Raises
    ------
    FeatureMismatch, ModelError
        If the version is gone, or was made for other features.
    ServiceError
        If the registry does not answer.
    """
    return tuple(
        Contributions(prediction.side, steps, prediction.probability)
        for prediction in predictions
        if isfinite(prediction.probability)
        for steps in _steps(registry, prediction)
        if steps.side == prediction.side.sign
    )


def _steps(registry: Registry, prediction: Prediction) -> list[Explanation]:
    model = registry.load(TRADED, prediction.model_version, rolled=False)
    row = row_of(model.spec, prediction.features)
    if prediction.model == BASELINE:
        return explain_baseline(model.diffusion(), row)
    return explain(model, registry.booster(TRADED, prediction.model_version), row)

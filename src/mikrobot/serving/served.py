"""The model that serves one scope, and its answers to checked rows.

Knows neither the registry nor the other scopes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mikrobot.domain.errors import ModelError
from mikrobot.domain.trading import BASELINE
from mikrobot.models.catalog import kind_of
from mikrobot.models.scope import Scope
from mikrobot.serving.answers import Answer, AnsweringModel, Answers, Bounds
from mikrobot.serving.requested_rows import row_of

if TYPE_CHECKING:
    from mikrobot.models.conformal import OutcomeNames
    from mikrobot.models.model import Answered, Model

WARM_UP_ROWS = (1, 64)
"""Number of rows of the warm-up calls before a model is served: one row, and a batch."""

Key = tuple[str, bool, str]
"""Version, whether only its baseline is served, and the tag of its rolling window."""


@dataclass(frozen=True, slots=True)
class Served:
    """The version that serves one scope, or the baseline fitted with it.

    Attributes
    ----------
    scope : Scope
    model : Model
    baseline : bool
        True if `model` is the baseline of its version.
    window : str
        Tag of the rolling window of the version; empty without one.
    """

    scope: Scope
    model: "Model"
    baseline: bool
    window: str

    @property
    def key(self) -> Key:
        """Identity of the model."""
        return self.model.spec.version, self.baseline, self.window

    @property
    def origin(self) -> tuple[str, str | None, str, str, str, tuple[str, ...], str, datetime, int]:
        """The fields of `AnsweringModel`, in their order."""
        spec = self.model.spec
        named = (BASELINE, None) if self.baseline else (spec.name, spec.version)
        scope = (self.scope.source, self.scope.symbol, spec.symbols)
        return *named, spec.version, *scope, spec.feature_hash, spec.trained_until, spec.swing

    @property
    def outcomes(self) -> "OutcomeNames":
        """Names of the outcomes and of the prediction sets."""
        return kind_of(self.model.spec.name).outcomes

    def description(self) -> dict[str, str]:
        """Return the fields of `AnsweringModel` as text."""
        origin = asdict(AnsweringModel(*self.origin))
        times = {"trained_until": self.model.spec.trained_until.isoformat(), "swing": str(self.model.spec.swing)}
        lists = {"trained_on": ",".join(self.model.spec.symbols), "version": origin["version"] or ""}
        return {**origin, **times, **lists}

    def predict(self, features: Mapping[str, float | None]) -> Answer:
        """Predict one row of named values; see `Predictor.predict`.

        Raises
        ------
        FeatureMismatch
            As `Predictor.predict`.
        ModelError
            As `answer`.
        """
        return self.answer(row_of(self.model.spec, features))

    def answer(self, row: NDArray[np.float64]) -> Answer:
        """Predict one row of shape (spec.columns,), in the order of the columns.

        Raises
        ------
        ModelError
            If the model predicts a probability outside of 0 to 1.
        """
        answered = self.model.answer(row[None])
        sides = zip(answered.probability[0].tolist(), answered.low[0].tolist(), answered.high[0].tolist(), strict=True)
        fields: list[tuple[float | None, Bounds | None, str | None, str | None]] = []
        outcomes = self.outcomes
        for (chance, low, high), code in zip(sides, answered.sets[0].tolist(), strict=True):
            absent = math.isnan(chance)
            if not (absent or 0.0 <= chance <= 1.0):
                raise self._no_answer(chance)
            bounds = None if math.isnan(low) else (low, high)
            named = outcomes.sets[code], outcomes.predicted[code]
            fields.append((None, None, None, None) if absent else (chance, bounds, *named))
        (up, up_bounds, up_set, up_name), (down, down_bounds, down_set, down_name) = fields
        return Answer(*self.origin, up, down, up_bounds, down_bounds, up_set, down_set, up_name, down_name)

    def answers(self, rows: NDArray[np.float64]) -> Answers:
        """Predict rows of shape (rows, spec.columns); none gives an answer without predictions.

        Raises
        ------
        ModelError
            As `answer`.
        """
        if not len(rows):
            return Answers(*self.origin, (), ())
        return Answers(*self.origin, *map(tuple, self.columns(self.model.answer(rows))))

    def check(self, answered: "Answered") -> None:
        """Check that every probability is between 0 and 1.

        Raises
        ------
        ModelError
            If one is not.
        """
        outside = (answered.probability < 0.0) | (answered.probability > 1.0)  # False for NaN
        if outside.any():
            raise self._no_answer(float(answered.probability[outside][0]))

    def columns(self, answered: "Answered") -> list[list[Any]]:
        """Return probabilities, bounds, sets and predictions of both sides, in the order of the fields of `Answers`.

        Raises
        ------
        ModelError
            As `answer`.
        """
        self.check(answered)
        outcomes = self.outcomes
        fields: list[list[Any]] = [side.tolist() for side in answered.probability.T]
        bounds = zip(answered.low.T.tolist(), answered.high.T.tolist(), strict=True)
        fields += [_bounds(low, high) for low, high in bounds]
        fields += [
            [words[code] for code in side]
            for words in (outcomes.sets, outcomes.predicted)
            for side in answered.sets.T.tolist()
        ]
        predictable = np.isfinite(answered.probability).T.tolist()
        return [
            [value if exists else None for value, exists in zip(values, predictable[number % 2], strict=True)]
            for number, values in enumerate(fields)
        ]

    def _no_answer(self, probability: float) -> ModelError:
        spec = self.model.spec
        return ModelError(f"model {spec.name} version {spec.version} predicts what is no answer: {probability}")


def warm(model: "Model") -> None:
    """Make the first calls, which are slow, before a model is served.

    Raises
    ------
    ModelError
        If it does not predict both sides of each row.
    """
    for rows in WARM_UP_ROWS:
        answered = model.predict(np.ones((rows, len(model.spec.columns)))).shape
        if answered != (rows, 2):
            raise ModelError(
                f"model {model.spec.name} version {model.spec.version} predicts {rows} rows with an array of "
                f"shape {answered}, expected {(rows, 2)}; train it again"
            )


def _bounds(low: Sequence[float], high: Sequence[float]) -> list[Bounds | None]:
    return [None if math.isnan(least) else (least, most) for least, most in zip(low, high, strict=True)]

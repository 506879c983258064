"""Predictions in the process of the caller, while the prediction service is down: by the version that it served.

The version is loaded from the signed files that the service keeps, which takes a second or two and 100 MB the first
time. Asks neither the service nor the registry.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from mikrobot.domain.errors import ModelError, ServiceError, ServingError
from mikrobot.serving.answers import Answer, InProcessAnswer

if TYPE_CHECKING:
    from mikrobot.models.registry import Registry
    from mikrobot.serving.predictor import Predictor


class InProcess:
    """Predicts for the symbols of one source with what the service kept.

    Parameters
    ----------
    kept : Registry
        The registry as the service saw it last.
    source : str
        Market source of every feature row.
    """

    def __init__(self, kept: "Registry", source: str) -> None:
        self._kept = kept
        self._source = source
        self._predictor: Predictor | None = None

    def columns(self, symbol: str) -> tuple[str, ...]:
        """Return the columns that the model of a symbol needs, in its order.

        Raises
        ------
        ServingError, ScopeError
            As `predict`.
        """
        return self._loaded().spec(symbol, self._source).columns

    def predict(self, symbol: str, features: Mapping[str, float | None], version: str | None) -> Answer:
        """Return the prediction for one feature row: that of the service, to the bit.

        Parameters
        ----------
        symbol : str
        features : mapping of str to float or None
            As `PredictionClient.predict`.
        version : str or None
            Version whose model or baseline the service answered with last; None if it has not answered yet.

        Raises
        ------
        FeatureMismatch
            If names or values do not fit the model.
        ScopeError
            If no model was trained on the symbol.
        ServingError
            If no version is kept, or another one than that of the service.
        """
        answer = self._loaded().predict(symbol, features, self._source)
        if version not in (None, answer.fitted_with):
            raise ServingError(
                f"the prediction service answered with version {version}, its kept files have version "
                f"{answer.fitted_with}: nothing is predicted in process; start the service: `mikrobot up`"
            )
        return InProcessAnswer(*(getattr(answer, field.name) for field in fields(answer)))

    def _loaded(self) -> "Predictor":
        """Return the predictor with what is kept now; only what has changed is loaded."""
        if self._predictor is None:
            from mikrobot.serving.predictor import Predictor

            self._predictor = Predictor(self._kept)
        try:
            self._predictor.refresh()
        except (ModelError, ServiceError) as error:
            if not self._predictor.ready:
                raise ServingError(f"what the prediction service keeps cannot be used in process: {error}") from error
        return self._predictor

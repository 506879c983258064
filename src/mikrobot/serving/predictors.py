"""The predictors of every kind of model, and the answer of all of them to one feature row."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mikrobot.domain.errors import ScopeError, ServingError
from mikrobot.models.catalog import MODELS, TRADED
from mikrobot.serving.answers import Answer
from mikrobot.serving.predictor import Predictor
from mikrobot.serving.requested_rows import check_names, row_of
from mikrobot.serving.served import Served

if TYPE_CHECKING:
    from mikrobot.models.registry import Registry


@dataclass(frozen=True, slots=True)
class Predictors:
    """The predictors of the prediction service.

    Attributes
    ----------
    champions : mapping of str to Predictor
        For each kind of model, the predictor of its champions and baselines; the traded kind is the first.
    challenger : Predictor
        Of the traded kind.
    """

    champions: Mapping[str, Predictor]
    challenger: Predictor

    @classmethod
    def of(cls, registry: "Registry") -> "Predictors":
        """Return the predictors of a registry, which serve nothing yet."""
        champions = {name: Predictor(registry, name) for name in sorted(MODELS, key=TRADED.__ne__)}
        return cls(champions, Predictor(registry, role="challenger", stand_in=""))

    def __iter__(self) -> Iterator[Predictor]:
        """Return every predictor, those of the traded kind first."""
        others = (predictor for name, predictor in self.champions.items() if name != TRADED)
        return iter((self.traded, self.challenger, *others))

    @property
    def traded(self) -> Predictor:
        """The predictor of the traded champions."""
        return self.champions[TRADED]

    def champion(self, name: str) -> Predictor:
        """Return the predictor of the champions of a kind.

        Raises
        ------
        ScopeError
            If there is no kind of that name.
        """
        if name not in self.champions:
            raise ScopeError(f"model: expected {' or '.join(self.champions)}, found {name[:100]!r}")
        return self.champions[name]

    def serving(self, symbol: str, source: str | None = None) -> dict[str, Served]:
        """Return the models that serve a scope, by kind; at least one.

        Raises
        ------
        ScopeError
            If none was trained on the symbol, or the models of several sources were and `source` is not given.
        ServingError
            If none is served yet.
        """
        serving: dict[str, Served] = {}
        refusals: list[ScopeError | ServingError] = []
        for name, predictor in self.champions.items():
            try:
                serving[name] = predictor.serving(symbol, source)
            except (ScopeError, ServingError) as error:
                refusals.append(error)
        if not serving:
            raise refusals[0]
        scopes = sorted({served.scope for served in serving.values()})
        if len(scopes) > 1:
            raise ScopeError(f"source: expected one of {', '.join(scope.source for scope in scopes)}, found none")
        return serving

    def predict(
        self, symbol: str, features: Mapping[str, float | None], source: str | None = None
    ) -> dict[str, Answer]:
        """Predict one row with every model that serves its scope.

        Parameters
        ----------
        symbol : str
        features : mapping of str to float or None
            Exactly the columns that these models have together, in any order.
        source : str, optional

        Raises
        ------
        FeatureMismatch, ScopeError, ServingError
            As `Predictor.predict`.
        """
        serving = self.serving(symbol, source)
        columns = dict.fromkeys(name for served in serving.values() for name in served.model.spec.columns)
        check_names(f"models {', '.join(serving)} need their", columns, features)
        return {name: served.answer(_row(served, features)) for name, served in serving.items()}


def _row(served: Served, features: Mapping[str, float | None]) -> NDArray[np.float64]:
    spec = served.model.spec
    return row_of(spec, {name: features[name] for name in spec.columns})

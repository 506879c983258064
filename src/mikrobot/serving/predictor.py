"""In-memory prediction: the served version of each scope, and its replacement without downtime.

This module does not use HTTP. The registry is passed in.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mikrobot import telemetry
from mikrobot.domain.errors import ModelError, ScopeError, ServingError
from mikrobot.domain.trading import BASELINE
from mikrobot.models.catalog import TRADED
from mikrobot.models.scope import Scope, holders_of
from mikrobot.serving.answers import Answer, AnsweringModel, Answers, Bounds
from mikrobot.serving.requested_rows import row_of, rows_of

if TYPE_CHECKING:
    from mikrobot.models.model import Model
    from mikrobot.models.registry import Registry
    from mikrobot.models.spec import ModelSpec

log = telemetry.logger("serving")

WARM_UP_ROWS = (1, 64)
"""Number of rows of the warm-up calls before a model is served: one row, and a batch."""


@dataclass(frozen=True, slots=True)
class _Served:
    """The version that serves one scope, or the baseline fitted with it."""

    scope: Scope
    model: "Model"
    baseline: bool
    window: str

    @property
    def key(self) -> tuple[str, bool, str]:
        return self.model.spec.version, self.baseline, self.window

    @property
    def origin(self) -> tuple[str, str | None, str, str, str, tuple[str, ...], str, datetime, int]:
        """The fields of `AnsweringModel`, in their order."""
        spec = self.model.spec
        named = (BASELINE, None) if self.baseline else (spec.name, spec.version)
        scope = (self.scope.source, self.scope.symbol, spec.symbols)
        return *named, spec.version, *scope, spec.feature_hash, spec.trained_until, spec.swing


class Predictor:
    """Predicts for each scope with the version that has a role in it; threads may share a predictor.

    Parameters
    ----------
    registry : Registry
    name, role : str
        Name of the served model, and role of the served versions; see `models.registry`.
    stand_in : str
        Role of the versions whose baseline serves a scope in which no version has `role`. If it is given, a scope
        keeps its served model until another one replaces it. If it is empty, a scope without a version of `role`
        is not served, and a version that loses the role is dropped.
    """

    def __init__(
        self, registry: "Registry", name: str = TRADED, role: str = "champion", *, stand_in: str = "baseline"
    ) -> None:
        self._registry = registry
        self._name = name
        self.role = role
        self._stand_in = stand_in
        self._served: dict[Scope, _Served] = {}
        self._refreshing = Lock()

    @property
    def ready(self) -> bool:
        """True if a model is loaded and warm for at least one scope."""
        return bool(self._served)

    def served(self) -> tuple[AnsweringModel, ...]:
        """Return the model or baseline that serves each scope, in order of source and symbol."""
        return tuple(AnsweringModel(*served.origin) for _, served in sorted(self._served.items()))

    def spec(self, symbol: str | None = None, source: str | None = None) -> "ModelSpec":
        """Return the spec of the model that serves a scope; by default of the only one.

        Raises
        ------
        ScopeError, ServingError
            As `predict`.
        """
        return self._serving(symbol, source).model.spec

    def refresh(self, aliases: Mapping[str, str] | None = None) -> bool:
        """Load and warm the versions that the registry names for each scope, then serve them.

        Running requests finish with the model that they started with.

        Parameters
        ----------
        aliases : mapping of str to str, optional
            Version of each alias of the model, as the registry has it now; by default the registry is asked.

        Returns
        -------
        bool
            True if the served models changed.

        Raises
        ------
        ModelError
            If a version cannot be loaded or fails to predict. Its scopes keep their models; the other scopes change.
        """
        with self._refreshing:
            wanted = self._wanted(self._registry.aliases(self._name) if aliases is None else aliases)
            windows: dict[str, str] = {}
            loaded = {served.key: served.model for served in self._served.values()}
            kept = self._served if self._stand_in else {s: v for s, v in self._served.items() if s in wanted}
            fresh, failures = dict(kept), []
            for scope, (version, baseline) in wanted.items():
                try:
                    fresh[scope] = self._load(scope, version, baseline=baseline, loaded=loaded, windows=windows)
                except ModelError as error:
                    failures.append(f"{scope}: {error}")
            changed = [s for s in fresh if s not in self._served or fresh[s].key != self._served[s].key]
            gone = self._served.keys() - fresh.keys()
            self._served = fresh
        for scope in changed:
            log.info(f"{self.role}_served", scope=str(scope), origin=str(AnsweringModel(*fresh[scope].origin)))
        if failures:
            raise ModelError("; ".join(failures))
        return bool(changed or gone)

    def _wanted(self, aliases: Mapping[str, str]) -> dict[Scope, tuple[str, bool]]:
        """Return the version to serve for each scope, and whether to serve only its baseline."""
        baselines = holders_of(aliases, self._stand_in) if self._stand_in else {}
        return {
            **{scope: (version, True) for scope, version in baselines.items()},
            **{scope: (version, False) for scope, version in holders_of(aliases, self.role).items()},
        }

    def _load(
        self, scope: Scope, version: str, *, baseline: bool, loaded: "dict[tuple[str, bool, str], Model]",
        windows: dict[str, str],
    ) -> _Served:  # fmt: skip
        """Return the model for a scope, loaded and warm.

        Models in `loaded` and tags of windows in `windows` are reused, and new ones are added.
        """
        if not baseline and version not in windows:
            windows[version] = self._registry.window_tag(self._name, version)
        window = "" if baseline else windows[version]
        key = (version, baseline, window)
        if key not in loaded:
            registered = self._registry.load(self._name, version)
            model = registered.diffusion() if baseline else registered
            _warm(model)
            loaded[key] = model
        if scope not in loaded[key].spec.scopes:
            learned = ", ".join(map(str, loaded[key].spec.scopes))
            raise ModelError(f"version {version} learned from {learned}")
        return _Served(scope, loaded[key], baseline, window)

    def predict(self, symbol: str, features: Mapping[str, float | None], source: str | None = None) -> Answer:
        """Predict one row.

        Parameters
        ----------
        symbol : str
        features : mapping of str to float or None
            Exactly the spec's columns, in any order; None or NaN where a value is missing.
        source : str, optional
            Required if models of several sources serve the symbol.

        Raises
        ------
        FeatureMismatch
            If names are missing or unknown (the message lists up to 100 of them), or if a value is infinite or
            not a number.
        ScopeError
            If no model was trained on the symbol, or if models of several sources were and `source` is not given.
        ServingError
            If no model is served yet.
        """
        served = self._serving(symbol, source)
        answers = _answers(served.model, np.array([row_of(served.model.spec, features)]))
        return Answer(*served.origin, *(answer[0] for answer in answers))

    def predict_many(
        self, symbol: str, columns: Sequence[str], rows: Sequence[Sequence[float | None]], source: str | None = None
    ) -> Answers:
        """Predict many rows of one symbol at once.

        Parameters
        ----------
        symbol : str
        columns : sequence of str
            Exactly the spec's columns, in the order of the values of each row.
        rows : sequence of sequences of float or None
        source : str, optional

        Raises
        ------
        FeatureMismatch
            As `predict`; also if a column is given twice, or a row has too many or too few values.
        ScopeError, ServingError
            As `predict`.
        """
        served = self._serving(symbol, source)
        ordered = rows_of(served.model.spec, columns, rows)
        if not len(rows):
            return Answers(*served.origin, (), ())
        return Answers(*served.origin, *map(tuple, _answers(served.model, ordered)))

    def _serving(self, symbol: str | None, source: str | None) -> _Served:
        everything = self._served
        if not everything:
            raise ServingError(
                f"no version of model {self._name} is served: none has been trained (`mikrobot train`), "
                "or the registry does not answer (`mikrobot status`)"
            )
        if source is not None and symbol is not None and (exact := everything.get(Scope(source, symbol))):
            return exact
        matches = [
            served
            for scope, served in everything.items()
            if symbol in (None, scope.symbol) and source in (None, scope.source)
        ]
        if len(matches) == 1:
            return matches[0]
        asked = " ".join(filter(None, (source, symbol)))
        scopes = ", ".join(map(str, sorted(everything)))
        if matches:
            given = f"found {asked!r}" if asked else "found neither"
            raise ScopeError(f"expected a symbol and a source to choose one of {scopes}; {given}")
        raise ScopeError(f"no model learned from {asked}; the service answers for {scopes}; train one on its bars")


def _warm(model: "Model") -> None:
    """Make the first calls, which are slow, before the model is served."""
    for rows in WARM_UP_ROWS:
        answered = model.predict(np.ones((rows, len(model.spec.columns)))).shape
        if answered != (rows, 2):
            raise ModelError(
                f"model {model.spec.name} version {model.spec.version} predicts {rows} rows with an array of "
                f"shape {answered}, expected {(rows, 2)}; train it again"
            )


def _answers(model: "Model", rows: NDArray[np.float64]) -> list[list[Any]]:
    """Return probabilities, bounds, sets and predictions of both sides, in the order of the fields of `Answer`."""
    from mikrobot.models.conformal import PREDICTED, SETS

    answered = model.answer(rows)
    fields: list[list[Any]] = [side.tolist() for side in answered.probability.T]
    bounds = zip(answered.low.T.tolist(), answered.high.T.tolist(), strict=True)
    fields += [_bounds(low, high) for low, high in bounds]
    fields += [[words[code] for code in side] for words in (SETS, PREDICTED) for side in answered.sets.T.tolist()]
    predictable = np.isfinite(answered.probability).T.tolist()
    return [
        [value if exists else None for value, exists in zip(values, predictable[number % 2], strict=True)]
        for number, values in enumerate(fields)
    ]


def _bounds(low: Sequence[float], high: Sequence[float]) -> list[Bounds | None]:
    return [None if math.isnan(least) else (least, most) for least, most in zip(low, high, strict=True)]

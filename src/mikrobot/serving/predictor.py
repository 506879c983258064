"""In-memory prediction: the served version of each scope, and its replacement without downtime.

This module does not use HTTP. The registry is passed in.
"""

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mikrobot import telemetry
from mikrobot.domain.errors import ModelError, ScopeError, ServingError
from mikrobot.models.catalog import TRADED
from mikrobot.models.scope import Scope, holders_of
from mikrobot.serving.answers import Answer, AnsweringModel, Answers
from mikrobot.serving.requested_rows import array_of, row_of, rows_of
from mikrobot.serving.served import Key, Served, warm

if TYPE_CHECKING:
    import xgboost as xgb

    from mikrobot.models.model import Answered, Model
    from mikrobot.models.registry import Registry
    from mikrobot.models.spec import ModelSpec

log = telemetry.logger("serving")

KEPT_WARM = 5
"""Number of models that a predictor keeps warm, so that a rollback needs no registry; more if more are served."""


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
        self.name = name
        self.role = role
        self._stand_in = stand_in
        self._served: dict[Scope, Served] = {}
        self._warm: dict[Key, Model] = {}
        self._boosters: dict[str, xgb.Booster] = {}
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
        return self.serving(symbol, source).model.spec

    def serving_all(self) -> tuple[Served, ...]:
        """Return the model of each scope, in order of source and symbol."""
        return tuple(served for _, served in sorted(self._served.items()))

    def warm(self) -> tuple[str, ...]:
        """Return the versions that are loaded, the latest last."""
        return tuple(dict.fromkeys(version for version, _, _ in self._warm))

    def refresh(self, aliases: Mapping[str, str] | None = None, registry: "Registry | None" = None) -> bool:
        """Load and warm the versions that the registry names for each scope, then serve them.

        Running requests finish with the model that they started with.

        Parameters
        ----------
        aliases : mapping of str to str, optional
            Version of each alias of the model, as the registry has it now; by default the registry is asked.
        registry : Registry, optional
            Where the versions are loaded from; by default the registry of the predictor.

        Returns
        -------
        bool
            True if the served models changed.

        Raises
        ------
        ModelError
            If a version cannot be loaded or fails to predict. Its scopes keep their models; the other scopes change.
        """
        source = registry or self._registry
        with self._refreshing:
            wanted = self._wanted(source.aliases(self.name) if aliases is None else aliases)
            windows: dict[str, str] = {}
            loaded = dict(self._warm)
            kept = self._served if self._stand_in else {s: v for s, v in self._served.items() if s in wanted}
            fresh, failures = dict(kept), []
            for scope, (version, baseline) in wanted.items():
                try:
                    fresh[scope] = self._load(source, scope, version, baseline=baseline, loaded=loaded, windows=windows)
                except ModelError as error:
                    failures.append(f"{scope}: {error}")
            changed = [s for s in fresh if s not in self._served or fresh[s].key != self._served[s].key]
            gone = self._served.keys() - fresh.keys()
            self._served = fresh
            self._keep(loaded)
        for scope in changed:
            log.info(f"{self.role}_served", scope=str(scope), origin=str(AnsweringModel(*fresh[scope].origin)))
        if failures:
            raise ModelError("; ".join(failures))
        return bool(changed or gone)

    def _keep(self, loaded: "dict[Key, Model]") -> None:
        """Keep the served models warm, and the latest of the others up to `KEPT_WARM` in all."""
        serving = {served.key: served.model for served in self._served.values()}
        others = {key: model for key, model in loaded.items() if key not in serving}
        room = max(0, KEPT_WARM - len(serving))
        self._warm = dict(list(others.items())[-room:] if room else []) | serving

    def _wanted(self, aliases: Mapping[str, str]) -> dict[Scope, tuple[str, bool]]:
        """Return the version to serve for each scope, and whether to serve only its baseline."""
        baselines = holders_of(aliases, self._stand_in) if self._stand_in else {}
        return {
            **{scope: (version, True) for scope, version in baselines.items()},
            **{scope: (version, False) for scope, version in holders_of(aliases, self.role).items()},
        }

    def _load(
        self, registry: "Registry", scope: Scope, version: str, *, baseline: bool, loaded: "dict[Key, Model]",
        windows: dict[str, str],
    ) -> Served:  # fmt: skip
        """Return the model for a scope, loaded and warm.

        Models in `loaded` and tags of windows in `windows` are reused, and new ones are added.
        """
        if not baseline and version not in windows:
            windows[version] = registry.window_tag(self.name, version)
        window = "" if baseline else windows[version]
        key = (version, baseline, window)
        if key not in loaded:
            registered = registry.load(self.name, version)
            model = registered.diffusion() if baseline else registered
            warm(model)
            loaded[key] = model
        if scope not in loaded[key].spec.scopes:
            learned = ", ".join(map(str, loaded[key].spec.scopes))
            raise ModelError(f"version {version} learned from {learned}")
        return Served(scope, loaded[key], baseline, window)

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
        return self.serving(symbol, source).predict(features)

    def contributions(self, served: Served, features: Mapping[str, float | None]) -> list[dict[str, Any]]:
        """Return the steps of a prediction in log odds, for each side that has one; see `models.explanation`.

        The boosted trees are fetched for the first one, which takes seconds.

        Returns
        -------
        list of dict
            ``side`` is ``up`` or ``down``; ``start`` and the values of ``added`` add up to the log odds of the
            served probability. A baseline has only ``start`` and the calibration.

        Raises
        ------
        FeatureMismatch
            As `predict`.
        ModelError
            If the version has no boosted trees.
        ServiceError
            If the registry does not answer.
        """
        from mikrobot.models.explanation import explain, explain_baseline

        row = row_of(served.model.spec, features)
        if served.baseline:
            steps = explain_baseline(served.model, row)
        else:
            steps = explain(served.model, self._booster(served.model.spec.version), row)
        sides = {1: "up", -1: "down"}
        return [{"side": sides[step.side], "start": step.start, "added": dict(step.added)} for step in steps]

    def _booster(self, version: str) -> "xgb.Booster":
        if version not in self._boosters:
            self._boosters = {version: self._registry.booster(self.name, version)}
        return self._boosters[version]

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
        served = self.serving(symbol, source)
        return served.answers(rows_of(served.model.spec, columns, rows))

    def predict_array(
        self, symbol: str, columns: Sequence[str], values: NDArray[np.float64], source: str | None = None
    ) -> "tuple[Served, Answered]":
        """Predict the rows of an array, shape (rows, columns), whose columns are named; NaN where a value is missing.

        Returns
        -------
        tuple of (Served, Answered)
            The model, and its predictions in the order of the rows.

        Raises
        ------
        FeatureMismatch, ScopeError, ServingError
            As `predict_many`.
        ModelError
            If the model predicts a probability outside of 0 to 1.
        """
        served = self.serving(symbol, source)
        answered = served.model.answer(array_of(served.model.spec, columns, values))
        served.check(answered)
        return served, answered

    def version(self, version: str, symbol: str | None, source: str | None = None) -> Served:
        """Return a loaded version for a scope: the served one, or one that is kept warm.

        Raises
        ------
        ScopeError
            If the version is not loaded, or was not trained on the scope.
        ServingError
            As `predict`.
        """
        served = self.serving(symbol, source)
        if served.model.spec.version == version:
            return served
        for (number, baseline, window), model in reversed(self._warm.items()):
            if number == version and served.scope in model.spec.scopes:
                return Served(served.scope, model, baseline, window)
        raise ScopeError(
            f"version: expected one of {', '.join(self.warm())} of model {self.name}, which are loaded for "
            f"{served.scope}, found {version[:100]!r}"
        )

    def serving(self, symbol: str | None, source: str | None = None) -> Served:
        """Return the model that serves a scope; by default the only one.

        Raises
        ------
        ScopeError, ServingError
            As `predict`.
        """
        everything = self._served
        if not everything:
            raise ServingError(
                f"no version of model {self.name} is served: none has been trained (`mikrobot train`), "
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

"""A version in memory, mostly the champion: checked inputs in, probabilities out, a newer one without a pause.

Knows nothing of HTTP. The registry and the models come from above its imports, so that a client
that only needs `Answer` loads neither MLflow nor XGBoost.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mikrobot import telemetry
from mikrobot.domain.errors import FeatureMismatch, MikrobotError, ModelError, ServingError

if TYPE_CHECKING:
    from mikrobot.models.model import Contract, Model
    from mikrobot.models.registry import Registry

log = telemetry.logger("serving")

Bounds = tuple[float, float]

WARM_UP_ROWS = (1, 64)
"""Rows of the calls a model answers before it is served: one row, and a batch."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the champion says about one feature row, and what it was made from.

    Attributes
    ----------
    model, version : str
    source : str
        Market source it learned from; do not believe it about another one.
    feature_hash : str
        Version of the feature definitions it expects.
    trained_until : datetime
        UTC; nothing later was used to train it.
    probability_up, probability_down : float or None
        Of a break of the level above and below within the model's horizon, 0 to 1; None where no
        level stands.
    interval_up, interval_down : tuple of float, or None
        Lower and upper bound of each; see `models.intervals`.
    says_up, says_down : "breaks", "holds", "abstains", or None
        What at most a tenth of either outcome contradicts; it abstains where that leaves both.
    swing : int
        Bars on each side of the swings whose levels it answers about.
    """

    model: str
    version: str
    source: str
    feature_hash: str
    trained_until: datetime
    probability_up: float | None
    probability_down: float | None
    interval_up: Bounds | None = None
    interval_down: Bounds | None = None
    says_up: str | None = None
    says_down: str | None = None
    swing: int = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the champion says about many rows, in their order; the fields of `Answer`."""

    model: str
    version: str
    source: str
    feature_hash: str
    trained_until: datetime
    probability_up: tuple[float | None, ...]
    probability_down: tuple[float | None, ...]
    interval_up: tuple[Bounds | None, ...] = ()
    interval_down: tuple[Bounds | None, ...] = ()
    says_up: tuple[str | None, ...] = ()
    says_down: tuple[str | None, ...] = ()


class Predictor:
    """Answers with the champion of a registry; threads may share one.

    Parameters
    ----------
    registry : Registry
    name, alias : str
        The model served, and what marks the version to serve.
    stays : bool
        Whether a version that has lost its alias is served on until another one has it.
    """

    def __init__(self, registry: "Registry", name: str = "bos", alias: str = "champion", *, stays: bool = True) -> None:
        self._registry = registry
        self._name = name
        self._alias = alias
        self._model: Model | None = None
        self._window = ""
        self._stays = stays
        self._refreshing = Lock()

    @property
    def ready(self) -> bool:
        """Whether a model is loaded and warm."""
        return self._model is not None

    @property
    def contract(self) -> "Contract":
        """The contract of the model that is served.

        Raises
        ------
        ServingError
            If none is.
        """
        return self._served().contract

    def refresh(self) -> bool:
        """Load and warm the champion if it, or the window its intervals rest on, is not the one served; then serve it.

        Requests under way end with the model they began with. A champion that was withdrawn is
        served on until another one is promoted.

        Returns
        -------
        bool
            Whether another version, or the same on another window, is served now.

        Raises
        ------
        ModelError
            If the champion cannot be loaded or does not answer; the model served stays.
        """
        with self._refreshing:
            version = self._registry.aliased(self._name, self._alias)
            served = self._model
            if version is None:
                self._model = served if self._stays else None
                return False
            window = self._registry.window(self._name, version)
            if served is not None and (served.contract.version, self._window) == (version, window):
                return False
            model = self._registry.load(self._name, self._alias)
            _warm(model)
            self._model, self._window = model, window
        log.info(
            f"{self._alias}_served", model=model.contract.name, version=model.contract.version, window=bool(window)
        )
        return True

    def watch(self, every_s: float, stop: Event) -> None:
        """Refresh again and again until stopped; a failure is logged once, and the model served stays."""
        complaint = ""
        while not stop.is_set():
            try:
                self.refresh()
                complaint = ""
            except MikrobotError as error:
                if str(error) != complaint:
                    complaint = str(error)
                    log.warning(f"{self._alias}_not_refreshed", reason=complaint, ready=self.ready)
            stop.wait(every_s)

    def predict(self, features: Mapping[str, float | None]) -> Answer:
        """Answer about one row.

        Parameters
        ----------
        features : mapping of str to float or None
            Exactly the contract's columns, in any order; None or NaN where a value is missing.

        Raises
        ------
        FeatureMismatch
            If names are missing or unknown, all of which it lists, or if a value is infinite or
            not a number.
        ServingError
            If no model is served.
        """
        model = self._served()
        answers = _answers(model, np.array([row_of(model.contract, features)]))
        return Answer(*_origin(model.contract), *(answer[0] for answer in answers), swing=model.contract.swing)

    def predict_many(self, columns: Sequence[str], rows: Sequence[Sequence[float | None]]) -> Answers:
        """Answer about many rows at once.

        Parameters
        ----------
        columns : sequence of str
            Exactly the contract's columns, in the order of the values of each row.
        rows : sequence of sequences of float or None

        Raises
        ------
        FeatureMismatch
            As `predict`; or if a column is given twice, or a row has more or fewer values.
        ServingError
            If no model is served.
        """
        model = self._served()
        _check_names(model.contract, columns)
        values = _matrix(columns, rows)
        position = {name: at for at, name in enumerate(columns)}
        ordered = values[:, [position[name] for name in model.contract.columns]]
        if not len(rows):
            return Answers(*_origin(model.contract), (), ())
        return Answers(*_origin(model.contract), *map(tuple, _answers(model, ordered)))

    def _served(self) -> "Model":
        model = self._model
        if model is None:
            raise ServingError(f"no version of model {self._name} is {self._alias} yet; train one: `mikrobot train`")
        return model


def row_of(contract: "Contract", features: Mapping[str, float | None]) -> list[float]:
    """Put feature values by name in the order of a contract.

    Raises
    ------
    FeatureMismatch
        As `Predictor.predict`.
    """
    _check_names(contract, features)
    return [_number(name, features[name]) for name in contract.columns]


def _warm(model: "Model") -> None:
    """Make the first calls, which are slow, before anyone waits for them."""
    for rows in WARM_UP_ROWS:
        answered = model.predict(np.ones((rows, len(model.contract.columns)))).shape
        if answered != (rows, 2):
            raise ModelError(
                f"model {model.contract.name} version {model.contract.version} answers {rows} rows with an array of "
                f"shape {answered}, expected {(rows, 2)}; train it again"
            )


def _check_names(contract: "Contract", given: Iterable[str]) -> None:
    names = list(given)
    expected, found = set(contract.columns), set(names)
    complaints = []
    if missing := [name for name in contract.columns if name not in found]:
        complaints.append(f"missing {', '.join(missing)}")
    if unknown := sorted(found - expected):
        complaints.append(f"unknown {', '.join(unknown)}")
    if len(names) != len(found):
        complaints.append(f"given twice {', '.join(sorted({name for name in names if names.count(name) > 1}))}")
    if complaints:
        raise FeatureMismatch(
            f"model {contract.name} version {contract.version} needs its {len(expected)} columns by name: "
            + "; ".join(complaints)
        )


def _matrix(columns: Sequence[str], rows: Sequence[Sequence[float | None]]) -> NDArray[np.float64]:
    values = np.empty((len(rows), len(columns)))
    for number, row in enumerate(rows):
        if len(row) != len(columns):
            raise FeatureMismatch(
                f"row {number} has {len(row)} values, expected one for each of {len(columns)} columns"
            )
        try:
            values[number] = [_number(name, value) for name, value in zip(columns, row, strict=True)]
        except FeatureMismatch as error:
            raise FeatureMismatch(f"row {number}: {error}") from error
    return values


def _number(name: str, given: object) -> float:
    if given is None:
        return math.nan
    if isinstance(given, bool) or not isinstance(given, (float, int, np.floating, np.integer)):
        raise FeatureMismatch(f"{name} is {given!r}, expected a number, or null where it is missing")
    try:
        value = float(given)
    except OverflowError:
        value = math.inf
    if math.isinf(value):
        raise FeatureMismatch(f"{name} is infinite, expected a finite number, or null where it is missing")
    return value


def _answers(model: "Model", rows: NDArray[np.float64]) -> list[list[Any]]:
    """Return the probabilities of both sides, their bounds, and what is said, in the order of the fields."""
    from mikrobot.models.intervals import SAID

    probability = model.predict(rows).T
    known = np.isfinite(probability)
    sure = np.where(known, probability, 0.0)
    low, high = model.intervals(sure)
    bounds = [list(zip(*side, strict=True)) for side in zip(low.tolist(), high.tolist(), strict=True)]
    words = [[SAID[said] for said in side] for side in model.intervals.decide(sure).tolist()]
    told = (*sure.tolist(), *bounds, *words)
    return [
        [value if is_known else None for value, is_known in zip(values, known[number % 2], strict=True)]
        for number, values in enumerate(told)
    ]


def _origin(contract: "Contract") -> tuple[str, str, str, str, datetime]:
    return contract.name, contract.version, contract.source, contract.feature_hash, contract.trained_until

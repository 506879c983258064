"""The spec of a model: its input columns, its training data and its evaluation.

The spec holds no graph and no calibration, so it can be read without the libraries that run a model.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from mikrobot.domain.errors import FeatureMismatch, ModelError
from mikrobot.models.catalog import kind_of
from mikrobot.models.diffusion import Diffusion
from mikrobot.models.inputs import SideInputs
from mikrobot.models.labels.breaks import Mode
from mikrobot.models.scope import Scope, scopes_of
from mikrobot.models.task import Task

FILE = "extra_files/contract.json"
"""Path of the spec among the files of a version."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The inputs, training data and evaluation of one model version.

    Attributes
    ----------
    name, version : str
        Name and version in the registry; the version is empty before registration.
    source : str
        Market source of all its training data.
    symbols : tuple of str
        Symbols it was trained on, in order of name; it predicts for no others.
    feature_hash : str
        Version of the feature definitions that it was trained on.
    columns : tuple of str
        Catalog columns, in the order that `Model.predict` expects.
    swing : int
        Bars on each side of the swings that form its levels.
    horizon_minutes : int
    trained_from, trained_until : datetime
        UTC; no data outside was used. The span includes the label horizons and the test span.
    metrics : mapping
        The evaluation on its test span, as plain JSON values.
    diffusion : mapping of str to Diffusion
        The diffusion baselines fitted on its training span, by the name of their volatility: ``atr``, ``forecast``.
    mode : "close" or "wick"
        The price that breaks a level.
    importance : mapping of str to float
        Feature importance as a share, the largest first. Of two redundant inputs, one may have the
        whole share.
    """

    name: str
    version: str
    source: str
    symbols: tuple[str, ...]
    feature_hash: str
    columns: tuple[str, ...]
    swing: int
    horizon_minutes: int
    trained_from: datetime
    trained_until: datetime
    metrics: Mapping[str, Any]
    diffusion: Mapping[str, Diffusion] = field(default_factory=dict)
    mode: Mode = "close"
    importance: Mapping[str, float] = field(default_factory=dict)

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The scopes that it may serve."""
        return scopes_of(self.source, self.symbols)

    @property
    def task(self) -> Task:
        """The prediction task."""
        return Task(self.name, self.swing, self.horizon_minutes, self.mode)

    @property
    def inputs(self) -> SideInputs:
        """The inputs that a model of this name computes from a feature row.

        Raises
        ------
        ModelError
            If there is no kind of model of that name.
        """
        return kind_of(self.name).inputs(self.swing, self.mode)

    def accept(self, feature_hash: str) -> None:
        """Check that the model was trained on this version of the feature definitions.

        Raises
        ------
        FeatureMismatch
            If it was trained on another version.
        """
        if feature_hash != self.feature_hash:
            raise FeatureMismatch(
                f"model {self.name} version {self.version} was trained on features {self.feature_hash}, "
                f"found {feature_hash}; train a model on the current features"
            )

    def to_json(self) -> str:
        """Return the spec as JSON."""
        return json.dumps(asdict(self) | {name: getattr(self, name).isoformat() for name in _TIMES}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "ModelSpec":
        """Parse the output of `to_json`.

        Raises
        ------
        ModelError
            If the text is not a spec; the message names the error.
        """
        try:
            value = json.loads(text)
            times = {name: datetime.fromisoformat(value[name]) for name in _TIMES}
            baselines = {name: Diffusion(**tuples(curve)) for name, curve in value["diffusion"].items()}
            names = {name: tuple(value[name]) for name in ("symbols", "columns")}
            return cls(**value | times | names | {"diffusion": baselines})
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"expected a model spec, found {text[:60]!r} ({error!r}); train again") from error


_TIMES = ("trained_from", "trained_until")


def read(text: bytes, version: str) -> ModelSpec:
    """Parse the spec of a registered version, which was written before it had a number.

    Raises
    ------
    ModelError
        If the text is not a spec.
    """
    return replace(ModelSpec.from_json(text.decode("utf-8", "replace")), version=version)


def tuples(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the lists of parsed JSON to tuples, as frozen dataclasses need them.

    >>> tuples({"scale": 1.0, "logits": [0.5, 0.2]})
    {'scale': 1.0, 'logits': (0.5, 0.2)}
    """
    return {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}

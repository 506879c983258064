"""The spec of a model: what it needs of a feature row, what it was trained on, and what it achieved there.

Knows no graph and no calibration, so that it is read without the libraries of a model.
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
"""Where the spec lies among the files of a version."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a model needs, and what it has seen.

    Attributes
    ----------
    name, version : str
        In the registry; the version is empty before registration.
    source : str
        Market source of all that it was trained on.
    symbols : tuple of str
        Symbols it was trained on, in order of name; it answers for no other.
    feature_hash : str
        Version of the feature definitions that it was trained on.
    columns : tuple of str
        Catalog columns, in the order in which `Model.predict` takes them.
    swing : int
        Bars on each side of the swings whose levels it judges.
    horizon_minutes : int
    trained_from, trained_until : datetime
        UTC; nothing outside was used, label horizons and the test span included.
    metrics : mapping
        The evaluation on its test span, as plain JSON values.
    diffusion : mapping of str to Diffusion
        The baselines fitted on its training span, by the name of their volatility: ``atr``, ``forecast``.
    mode : "close" or "wick"
        What breaks a level.
    importance : mapping of str to float
        Share of each input in what the learners know, the largest first. Of two inputs that say the
        same, one may have all.
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
        """The scopes it may answer for."""
        return scopes_of(self.source, self.symbols)

    @property
    def task(self) -> Task:
        """What it was asked."""
        return Task(self.name, self.swing, self.horizon_minutes, self.mode)

    @property
    def inputs(self) -> SideInputs:
        """What a model of this name sees of a feature row.

        Raises
        ------
        ModelError
            If this program makes no model of that name.
        """
        return kind_of(self.name).inputs(self.swing, self.mode)

    def accept(self, feature_hash: str) -> None:
        """Check that features of these definitions may be given to the model.

        Raises
        ------
        FeatureMismatch
            If they are not those it was trained on.
        """
        if feature_hash != self.feature_hash:
            raise FeatureMismatch(
                f"model {self.name} version {self.version} was trained on features {self.feature_hash}, "
                f"found {feature_hash}; train a model on the present features"
            )

    def to_json(self) -> str:
        """Write the spec as JSON."""
        return json.dumps(asdict(self) | {name: getattr(self, name).isoformat() for name in _TIMES}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "ModelSpec":
        """Read what `to_json` wrote.

        Raises
        ------
        ModelError
            If it is not a spec, with what is wrong.
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


def write(spec: ModelSpec, graph_sha256: str) -> str:
    """Write the spec of a graph as JSON, with the hash of the graph."""
    return json.dumps(json.loads(spec.to_json()) | {"graph_sha256": graph_sha256}, indent=1)


def read(text: bytes, version: str) -> tuple[ModelSpec, str]:
    """Read what `write` wrote: the spec of a registered version, and the hash of its graph.

    Raises
    ------
    ModelError
        If it is not a spec.
    ValueError, KeyError, TypeError
        If it is not JSON, or has no hash.
    """
    value = json.loads(text)
    graph_sha256 = value.pop("graph_sha256")
    return replace(ModelSpec.from_json(json.dumps(value)), version=version), graph_sha256


def tuples(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Read the fields of a frozen curve from JSON, which knows lists alone.

    >>> tuples({"scale": 1.0, "logits": [0.5, 0.2]})
    {'scale': 1.0, 'logits': (0.5, 0.2)}
    """
    return {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}

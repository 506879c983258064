"""What a model is: a contract on its inputs and its past, a booster and a calibration.

Neither trains nor stores; knows no registry.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from mikrobot.domain.errors import FeatureMismatch, ModelError
from mikrobot.models.bos import BosInputs
from mikrobot.models.calibration import Calibration
from mikrobot.models.diffusion import Diffusion
from mikrobot.models.labels.samples import SIDES
from mikrobot.models.labels.task import Task


@dataclass(frozen=True, slots=True)
class Contract:
    """What a model needs, and what it has seen.

    Attributes
    ----------
    name, version : str
        In the registry; the version is empty before registration.
    source : str
        Market source of all that it was trained on.
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
    """

    name: str
    version: str
    source: str
    feature_hash: str
    columns: tuple[str, ...]
    swing: int
    horizon_minutes: int
    trained_from: datetime
    trained_until: datetime
    metrics: Mapping[str, Any]
    diffusion: Mapping[str, Diffusion] = field(default_factory=dict)

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
        """Write the contract as JSON."""
        return json.dumps(asdict(self) | {name: getattr(self, name).isoformat() for name in _TIMES}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Contract":
        """Read what `to_json` wrote.

        Raises
        ------
        ModelError
            If it is not a contract, with what is wrong.
        """
        try:
            value = json.loads(text)
            times = {name: datetime.fromisoformat(value[name]) for name in _TIMES}
            baselines = {
                name: Diffusion(**curve | {"logits": tuple(curve["logits"])})
                for name, curve in value["diffusion"].items()
            }
            return cls(**value | times | {"columns": tuple(value["columns"]), "diffusion": baselines})
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"expected a model contract, found {text[:60]!r} ({error!r}); train again") from error


_TIMES = ("trained_from", "trained_until")


@dataclass(frozen=True)
class Model:
    """A calibrated booster that answers for both sides of a feature row."""

    contract: Contract
    booster: xgb.Booster
    calibration: Calibration

    def __post_init__(self) -> None:
        # Waking a thread pool for one row takes longer than the row: p99 60 ms against 4 on two busy cores.
        self.booster.set_param({"nthread": 1})

    @cached_property
    def inputs(self) -> BosInputs:
        """What the booster sees of a feature row."""
        return BosInputs(self.contract.swing)

    @property
    def importance(self) -> dict[str, float]:
        """Input -> its share of the loss that all splits saved in training, the largest first.

        Inputs without a split are not in it. Of two inputs that say the same, one may have all.
        """
        gains: dict[str, Any] = self.booster.get_score(importance_type="total_gain")
        total = sum(gains.values())
        return {name: gains[name] / total for name in sorted(gains, key=lambda name: -gains[name])}

    def predict(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability that each level breaks within the horizon.

        Parameters
        ----------
        values : ndarray of float64, shape (rows, contract.columns)
            Known at the close of each row's bar; NaN where missing.

        Returns
        -------
        ndarray of float64, shape (rows, 2)
            Of a break of the level above and below; NaN where no level stands, or its distance in
            ATR is unknown.

        Raises
        ------
        FeatureMismatch
            If the rows have another number of columns.
        """
        if values.ndim != 2 or values.shape[1] != len(self.contract.columns):
            raise FeatureMismatch(
                f"model {self.contract.name} version {self.contract.version} expected rows of "
                f"{len(self.contract.columns)} columns, found shape {values.shape}; give contract.columns, in order"
            )
        inputs = self.inputs(np.repeat(values, 2, axis=0), np.tile(SIDES, len(values)))
        probabilities = np.full(len(inputs), np.nan)
        known = np.isfinite(inputs[:, 0])
        if known.any():
            probabilities[known] = self.score(inputs[known])
        return probabilities.reshape(-1, 2)

    def score(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of each row of `inputs`, one side of a feature row each."""
        return self.calibration(self.booster.inplace_predict(inputs))

    @property
    def task(self) -> Task:
        """What it was asked."""
        return Task("bos", self.contract.swing, self.contract.horizon_minutes)

"""Fakes of the registry and of a model, with the interfaces of the real ones."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from mikrobot.domain.errors import ModelError
from mikrobot.models.conformal import BOTH, BREAKS, HOLDS, NONE
from mikrobot.models.model import Answered
from mikrobot.models.scope import Scope
from mikrobot.models.spec import ModelSpec

COLUMNS = ("m1_rsi_14", "m1_return_1", "m1_spread_atr")


@dataclass
class WeightedSum:
    """Predicts up with a weighted sum of the row, which depends on the column order, and down with NaN."""

    spec: ModelSpec
    asked: list[tuple[int, ...]] = field(default_factory=list)

    def predict(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        self.asked.append(values.shape)
        up = np.nan_to_num(values) @ np.array([0.001, 0.01, 0.1])
        return np.column_stack([up, np.full(len(values), np.nan)])

    def diffusion(self) -> "WeightedSum":
        return self

    def answer(self, values: NDArray[np.float64]) -> Answered:
        """Set bounds at a distance of 0.01, and choose the set by the quarter of the probability."""
        probability = self.predict(values)
        quarters = np.searchsorted((0.25, 0.5, 0.75), np.nan_to_num(probability), side="right")
        return Answered(
            probability,
            probability - 0.01,
            probability + 0.01,
            np.array([HOLDS, BOTH, NONE, BREAKS], dtype=np.int8)[quarters],
        )


@dataclass
class Shelf:
    """A registry in memory, with one version for each role and scope."""

    models: dict[str, WeightedSum] = field(default_factory=dict)
    roles: dict[str, dict[Scope, str]] = field(default_factory=dict)
    kept: str = ""
    away: bool = False
    asked: int = 0

    def aliases(self, name: str) -> dict[str, str]:
        if self.away:
            raise ModelError("the registry does not answer")
        self.asked += 1
        return {scope.alias(role): held for role, holders in self.roles.items() for scope, held in holders.items()}

    def window_tag(self, name: str, version: str) -> str:
        self.asked += 1
        return self.kept

    def load(self, name: str, version: str) -> WeightedSum:
        return self.models[version]

    def promote(
        self, version: str, columns: tuple[str, ...] = COLUMNS, symbols: tuple[str, ...] = ("EURUSD",),
        role: str = "champion",
    ) -> WeightedSum:  # fmt: skip
        start = datetime(2024, 5, 1, tzinfo=UTC)
        spec = ModelSpec(
            "bos",
            version,
            "replay",
            symbols,
            "0123456789ab",
            columns,
            5,
            5,
            start,
            datetime(2024, 5, 6, tzinfo=UTC),
            {"auc": 0.8},
        )
        self.models[version] = WeightedSum(spec)
        self.roles[role] = {**self.roles.get(role, {}), **dict.fromkeys(spec.scopes, version)}
        return self.models[version]


@pytest.fixture
def make_shelf() -> Callable[[], Shelf]:
    return Shelf

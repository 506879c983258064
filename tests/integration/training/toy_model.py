"""A model kind written only from the table in docs/architecture.md: the highs and lows of the next two minutes."""

from dataclasses import dataclass

import numpy as np

from mikrobot.models.inputs import CONTEXT, Column, Row, SideInputs, state
from mikrobot.models.kind import CardText, LabelTerms, LearnerSpec, ModelKind, Target
from mikrobot.models.labels.breaks import Mode, bos
from mikrobot.models.labels.samples import Floats, Labels, Prices


@dataclass(frozen=True)
class ToyInputs(SideInputs):
    @property
    def needed(self) -> tuple[str, ...]:
        return (f"m1_break_{self.swing}_above_distance", f"m1_break_{self.swing}_below_distance", *CONTEXT)

    def make(self, x: Row, side: Column) -> dict[str, Column]:
        above, below = (x[f"m1_break_{self.swing}_{name}_distance"] for name in ("above", "below"))
        return {"level_atr": np.where(side > 0, above, below), **state(x)}


def _inputs(swing: int, _: Mode) -> ToyInputs:
    return ToyInputs(swing)


def _label(prices: Prices, levels: Floats, _: Floats, terms: LabelTerms) -> Labels:
    return bos(prices, levels, terms.horizon, "wick")


KIND = ModelKind(
    name="toy",
    card=CardText("Will the level be touched soon?", (Target("auc", 0.99),), "it is a toy", ("It is a toy.",)),
    inputs=_inputs,
    label=_label,
    reach={"close": "extreme"},
    horizon=2,
    members=(LearnerSpec("random_forest", {"n_estimators": 5, "max_depth": 4}),),
)

"""The retest model: its inputs at the close of a bar that returned to a broken level and held it."""

from dataclasses import dataclass

import numpy as np

from mikrobot.models.conformal import OutcomeNames
from mikrobot.models.inputs import CONTEXT, Column, Row, SideInputs, motion, state
from mikrobot.models.kind import CardText, LabelTerms, LearnerSpec, ModelKind, Target
from mikrobot.models.labels.breaks import Mode
from mikrobot.models.labels.followups import retest
from mikrobot.models.labels.samples import Floats, Labels, Prices


@dataclass(frozen=True)
class RetestInputs(SideInputs):
    """Inputs about retests of the levels of one swing length, in the direction of the break."""

    @property
    def needed(self) -> tuple[str, ...]:
        """Catalog columns that `make` reads."""
        retest = tuple(f"m1_retest_{self.swing}_{name}" for name in ("here", "distance"))
        others = ("m1_break_15_trend", "m5_break_5_trend", "m1_displacement", "m1_relative_volume")
        return (*retest, f"m1_break_{self.swing}_age", *others, *CONTEXT)

    def make(self, x: Row, side: Column) -> dict[str, Column]:
        """Compute the inputs; ``held_atr`` is NaN where this bar is no retest on that side."""
        here = side * x[f"m1_retest_{self.swing}_here"] > 0
        return {
            "held_atr": np.where(here, x[f"m1_retest_{self.swing}_distance"], np.nan),
            "bars_since_break": x[f"m1_break_{self.swing}_age"],
            "wider_trend": side * x["m1_break_15_trend"],
            "m5_trend": side * x["m5_break_5_trend"],
            "displacement": side * x["m1_displacement"],
            "relative_volume": x["m1_relative_volume"],
            "atr_forecast": x["m1_volatility_15"] / x["m1_har_s_15"],
            **motion(x, side),
            **state(x),
        }


def _inputs(swing: int, _: Mode) -> RetestInputs:
    return RetestInputs(swing)


def _label(prices: Prices, levels: Floats, atr: Floats, terms: LabelTerms) -> Labels:
    return retest(prices, levels, atr, terms.horizon, target_atr=terms.target_atr, stop_atr=terms.stop_atr)


KIND = ModelKind(
    name="retest",
    card=CardText(
        question="Does a retest of a broken level reach its target before its stop?",
        targets=(Target("accuracy", 0.90), Target("precision", 0.88), Target("recall", 0.92)),
        why_missed="with equal barriers about half of the retests succeed, whatever is known at the close",
        limits=(
            "With symmetric barriers the outcome is close to a coin toss, and costs are a large part of a barrier.",
            "It is used for information only, not for trading, unless its expectancy after costs is above zero.",
        ),
    ),
    inputs=_inputs,
    label=_label,
    reach={"close": "extreme"},
    horizon=30,
    members=(LearnerSpec("boosted"), LearnerSpec("network")),
    outcomes=OutcomeNames("target", "no_target", "target", "no_target"),
)
"""Boosted trees and a neural network; the target must be reached within 30 bars."""

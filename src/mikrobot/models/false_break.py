"""The false-break model: its inputs at the close of a bar that breaks a level (size of the break, and context)."""

from dataclasses import dataclass

import numpy as np

from mikrobot.models.conformal import OutcomeNames
from mikrobot.models.inputs import CONTEXT, FORECASTS, Column, Row, SideInputs, motion, state
from mikrobot.models.kind import CardText, LabelTerms, LearnerSpec, ModelKind, Target
from mikrobot.models.labels.breaks import HALF_TICK, Mode
from mikrobot.models.labels.followups import false_break
from mikrobot.models.labels.samples import Floats, Labels, Prices


@dataclass(frozen=True)
class FalseBreakInputs(SideInputs):
    """Inputs about breaks of the levels of one swing length, on the side that broke."""

    @property
    def needed(self) -> tuple[str, ...]:
        """Catalog columns that `make` reads."""
        family = f"m1_break_{self.swing}"
        own = tuple(f"{family}_{name}" for name in ("bos", "choch", "penetration", "broken", "trend"))
        others = ("m1_break_15_trend", "m5_break_5_trend", "m1_displacement", "m1_relative_volume")
        return (*own, *others, *CONTEXT)

    def make(self, x: Row, side: Column) -> dict[str, Column]:
        """Compute the inputs; ``penetration_forecast_*`` is NaN where this bar broke no level on that side."""
        family, atr = f"m1_break_{self.swing}", x["m1_atr_14"]
        came = np.where(side * (x[f"{family}_bos"] + x[f"{family}_choch"]) > 0, x[f"{family}_penetration"], np.nan)
        level = x[f"{family}_broken"]
        distance = side * np.log1p(side * came * atr / level) - HALF_TICK * x["m1_tick"]
        return {
            **{f"penetration_forecast_{minutes}": distance / x[f"m1_har_s_{minutes}"] for minutes in FORECASTS},
            "penetration_atr": came,
            "against_trend": np.abs(x[f"{family}_choch"]),
            "wider_trend": side * x["m1_break_15_trend"],
            "m5_trend": side * x["m5_break_5_trend"],
            "displacement": side * x["m1_displacement"],
            "relative_volume": x["m1_relative_volume"],
            **motion(x, side),
            **state(x),
        }


def _inputs(swing: int, _: Mode) -> FalseBreakInputs:
    return FalseBreakInputs(swing)


def _label(prices: Prices, levels: Floats, _: Floats, terms: LabelTerms) -> Labels:
    return false_break(prices, levels, terms.horizon)


_HORIZON_BARS = 5

KIND = ModelKind(
    name="false_break",
    card=CardText(
        question="Does price close back inside the level within the next bars after a break of structure?",
        targets=(Target("precision", 0.97),),
        why_missed="at the close of the break, the inputs of false breaks and of true breaks look alike",
        limits=(
            "Most of its accuracy comes from one input: the size of the break beyond the level, over the volatility.",
            "It is used for information only, not for trading, unless its expectancy after costs is above zero.",
        ),
    ),
    inputs=_inputs,
    label=_label,
    horizon=_HORIZON_BARS,
    starts_from=lambda horizon: f"penetration_forecast_{horizon}",
    beyond_ticks=-HALF_TICK,
    members=(
        LearnerSpec("support_vectors"),
        LearnerSpec(
            "random_forest", {"n_estimators": 40, "max_depth": 8, "min_samples_leaf": 200, "max_features": 0.5}
        ),  # one input predicts nearly all, and deep trees follow the noise of the others
    ),
    direction=-1,
    outcomes=OutcomeNames("return", "stay", "return", "stay"),
)
"""A support vector machine and a random forest, combined with a fitted share of the diffusion baseline."""

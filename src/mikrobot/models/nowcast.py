"""The nowcast model: its inputs at each minute of a forming M5 bar (distance to the level, and the minutes left)."""

from dataclasses import dataclass

import numpy as np

from mikrobot.models.inputs import (
    CONTEXT,
    SURROUNDINGS,
    Column,
    Row,
    SideInputs,
    facing,
    motion,
    smooth_volatility,
    state,
    surroundings,
)
from mikrobot.models.kind import CardText, LabelTerms, LearnerSpec, ModelKind, Target
from mikrobot.models.labels.breaks import FORMING_MINUTES, HALF_TICK, Mode, nowcast
from mikrobot.models.labels.samples import Floats, Labels, Prices

_LEVEL = ("above", "below", "above_m1", "below_m1")


@dataclass(frozen=True)
class NowcastInputs(SideInputs):
    """Inputs about the M5 levels of one swing length that the forming bar may close beyond."""

    @property
    def needed(self) -> tuple[str, ...]:
        """Catalog columns that `make` reads."""
        levels = tuple(f"m5_forming_{self.swing}_{name}" for name in _LEVEL)
        structure = tuple(f"m5_break_{self.swing}_{name}" for name in ("trend", "age"))
        return (*levels, *structure, "m5_forming_range", "m5_forming_position", *CONTEXT, *SURROUNDINGS)

    def make(self, x: Row, side: Column) -> dict[str, Column]:
        """Compute the inputs; ``level_atr`` is NaN where there is no level on that side, or no minute is left."""
        up, left = side > 0, x["m5_forming_minutes_left"]
        ahead = np.where(up, x[f"m5_forming_{self.swing}_above_m1"], x[f"m5_forming_{self.swing}_below_m1"])
        wide, wide_behind = facing(x, f"m5_forming_{self.swing}", up)
        minute = x["m1_atr_14"] / (x["m1_ema_9"] * x["m1_har_s_5"])
        half = HALF_TICK * x["m1_tick"] * x["m1_ema_9"] / x["m1_atr_14"]
        root = np.sqrt(np.maximum(left, 1.0))
        return {
            "level_atr": np.where(left > 0.0, ahead, np.nan),
            "level_forecast": (ahead + half) * minute / root,
            "level_sigma_15": (ahead + half) * x["m1_atr_14"] / (x["m1_ema_9"] * smooth_volatility(x, 15) * root),
            "level_m5_atr": wide,
            "behind_m5_atr": wide_behind,
            "range_m5_atr": x["m5_forming_range"],
            "position": np.where(up, x["m5_forming_position"], 1.0 - x["m5_forming_position"]),
            "trend": side * x[f"m5_break_{self.swing}_trend"],
            "break_age": x[f"m5_break_{self.swing}_age"],
            **motion(x, side),
            **state(x),
            **surroundings(x, side),
        }


def _inputs(swing: int, _: Mode) -> NowcastInputs:
    return NowcastInputs(swing)


def _label(prices: Prices, levels: Floats, _: Floats, __: LabelTerms) -> Labels:
    return nowcast(prices, levels)


KIND = ModelKind(
    name="nowcast",
    card=CardText(
        question="Will the M5 bar that is forming close beyond the newest unbroken swing?",
        targets=(Target("precision", 0.85), Target("auc", 0.99)),
        why_missed="until the last minute the bar can still turn; see the slices by minutes left",
        limits=(
            "One minute before the close, a price that is beyond the level usually stays beyond it.",
            "The model predicts the close of this bar, not the direction of the next one: it is no trading edge.",
        ),
    ),
    inputs=_inputs,
    label=_label,
    timeframe="m5",
    reach={"close": "end"},
    swing=5,
    horizon=FORMING_MINUTES,
    starts_from=lambda horizon: "level_forecast",
    beyond_ticks=HALF_TICK,
    members=(LearnerSpec("boosted"),),
)
"""Boosted trees that correct the diffusion baseline, for M5 levels with swings of 5 bars."""

"""What the nowcast sees at each minute of a forming M5 bar: where its close would have to go, and how long is left."""

from dataclasses import dataclass

import numpy as np

from mikrobot.models.inputs import CONTEXT, SURROUNDINGS, Column, Row, SideInputs, facing, motion, state, surroundings

_LEVEL = ("above", "below", "above_m1", "below_m1")


@dataclass(frozen=True)
class NowcastInputs(SideInputs):
    """The inputs for M5 levels of one swing length that the forming bar may close beyond."""

    @property
    def needed(self) -> tuple[str, ...]:
        """Catalog columns that `make` reads."""
        levels = tuple(f"m5_forming_{self.swing}_{name}" for name in _LEVEL)
        structure = tuple(f"m5_break_{self.swing}_{name}" for name in ("trend", "age"))
        return (*levels, *structure, "m5_forming_range", "m5_forming_position", *CONTEXT, *SURROUNDINGS)

    def make(self, x: Row, side: Column) -> dict[str, Column]:
        """Make the inputs; ``level_atr`` is NaN where no level stands on that side, or no minute is left."""
        up, left = side > 0, x["m5_forming_minutes_left"]
        ahead = np.where(up, x[f"m5_forming_{self.swing}_above_m1"], x[f"m5_forming_{self.swing}_below_m1"])
        wide, wide_behind = facing(x, f"m5_forming_{self.swing}", up)
        minute = x["m1_atr_14"] / (x["m1_ema_9"] * x["m1_har_s_5"])
        root = np.sqrt(np.maximum(left, 1.0))
        return {
            "level_atr": np.where(left > 0.0, ahead, np.nan),
            "level_forecast": ahead * minute / root,
            "level_sigma_15": ahead * x["m1_atr_14"] / (x["m1_ema_9"] * x["m1_volatility_15"] * root),
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

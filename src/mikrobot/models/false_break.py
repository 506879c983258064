"""What the false-break model sees at the close of a bar that breaks a level: how far it has come, and the context."""

from dataclasses import dataclass

import numpy as np

from mikrobot.models.inputs import CONTEXT, FORECASTS, Column, Row, SideInputs, motion, state


@dataclass(frozen=True)
class FalseBreakInputs(SideInputs):
    """The inputs for breaks of levels of one swing length, on the side that broke."""

    @property
    def needed(self) -> tuple[str, ...]:
        """Catalog columns that `make` reads."""
        family = f"m1_break_{self.swing}"
        own = tuple(f"{family}_{name}" for name in ("bos", "choch", "penetration", "broken", "trend"))
        others = ("m1_break_15_trend", "m5_break_5_trend", "m1_displacement", "m1_relative_volume")
        return (*own, *others, *CONTEXT)

    def make(self, x: Row, side: Column) -> dict[str, Column]:
        """Make the inputs; ``penetration_forecast`` is NaN where this bar broke nothing on that side."""
        family, atr = f"m1_break_{self.swing}", x["m1_atr_14"]
        came = np.where(side * (x[f"{family}_bos"] + x[f"{family}_choch"]) > 0, x[f"{family}_penetration"], np.nan)
        level = x[f"{family}_broken"]
        distance = side * np.log1p(side * came * atr / level)
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

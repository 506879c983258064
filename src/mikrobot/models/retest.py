"""What the retest model sees at the close of a bar that came back to a broken level and held."""

from dataclasses import dataclass

import numpy as np

from mikrobot.models.inputs import CONTEXT, Column, Row, SideInputs, motion, state


@dataclass(frozen=True)
class RetestInputs(SideInputs):
    """The inputs for retests of levels of one swing length, in the direction of the break."""

    @property
    def needed(self) -> tuple[str, ...]:
        """Catalog columns that `make` reads."""
        retest = tuple(f"m1_retest_{self.swing}_{name}" for name in ("here", "distance"))
        others = ("m1_break_15_trend", "m5_break_5_trend", "m1_displacement", "m1_relative_volume")
        return (*retest, f"m1_break_{self.swing}_age", *others, *CONTEXT)

    def make(self, x: Row, side: Column) -> dict[str, Column]:
        """Make the inputs; ``held_atr`` is NaN where this bar is no retest on that side."""
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

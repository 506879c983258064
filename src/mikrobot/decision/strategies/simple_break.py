"""Trade a sufficiently probable break of a level.

The strategy has no trading edge. It turns predictions into orders so that the platform can be tested end to end. A
level that is likely to be crossed soon does not predict the price move after the crossing, and trading costs are about
as large as the stop distance.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from mikrobot.decision.checks import Check, compared
from mikrobot.decision.outlook import Outlook, shown
from mikrobot.decision.signals import NoSignal, Signal
from mikrobot.decision.strategies.strategy import Memory, Parameter, Strategy
from mikrobot.domain.trading import Side

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


class SimpleBreak(Strategy):
    """Buy before a probable break upwards, sell before a probable one downwards; if both are, the more probable one."""

    name = "simple_break"
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "entry_probability": Parameter(0.55, 0.0, 1.0, "smallest probability of a break that is traded"),
        "stop_atr": Parameter(1.5, 0.1, 20.0, "distance of the stop from the close, in ATR(14) of M1"),
        "minutes": Parameter(30, 1, 1440, "minutes after which a position is closed"),
    }

    def signal(self, outlook: Outlook, memory: Memory) -> Signal | NoSignal:
        """Propose a trade on the side whose break is probable enough."""
        up = math.nan if math.isnan(outlook.level_above) else outlook.probability_up
        down = math.nan if math.isnan(outlook.level_below) else outlook.probability_down
        levels = f"above {shown(outlook.level_above)}, below {shown(outlook.level_below)}"
        if math.isnan(up) and math.isnan(down):
            return NoSignal(levels, "level")
        passed = [Check("level", True, levels)]
        answers = f"up {shown(round(up, 4))}, down {shown(round(down, 4))}"
        needed = f"{answers}, entry needs {self.entry_probability:g}"
        likely = down if math.isnan(up) or down > up else up
        numbers = compared(likely, ">=", self.entry_probability, "probability")
        if not numbers.holds:
            return NoSignal(needed, "probability", tuple(passed), numbers)
        passed.append(Check("probability", True, needed, numbers))
        if up == down:
            return NoSignal(f"{answers}, both are equal", "side", tuple(passed))
        side = Side.SELL if math.isnan(up) or down > up else Side.BUY
        passed.append(Check("side", True, f"{side.value}, as {answers}"))
        if not 0 < outlook.atr < math.inf:
            text = f"ATR is {shown(outlook.atr)}, a stop needs a positive ATR"
            return NoSignal(text, "stop", tuple(passed), compared(outlook.atr, ">", 0, "price"))
        stop = outlook.close - side.sign * self.stop_atr * outlook.atr
        return Signal(side, stop, minutes=int(self.minutes), checks=tuple(passed))

    def candidates(self, closes: "pd.DataFrame") -> "NDArray[np.bool_]":
        """Return the closes at which a break of an existing level is probable enough."""
        up = closes["above"].notna() & (closes["up"] >= self.entry_probability)
        down = closes["below"].notna() & (closes["down"] >= self.entry_probability)
        return (up | down).to_numpy()

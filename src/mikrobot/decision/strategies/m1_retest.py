"""Trade the retest of a level that M1 has broken with its trend."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from mikrobot.decision.outlook import Outlook
from mikrobot.decision.strategies.break_and_retest import BreakAndRetest, Origin, Setup
from mikrobot.decision.strategies.strategy import Mandate, Parameter
from mikrobot.domain.market_sessions import LONDON

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


class M1Retest(BreakAndRetest):
    """Enter beyond the extreme of an M1 break of structure, after a retest of its level."""

    name = "m1_retest"
    mandate = Mandate(Decimal("0.5"), Decimal(3), 1, LONDON)
    columns = ("m1_break_5_bos", "m1_break_5_broken")
    parameters: ClassVar[Mapping[str, Parameter]] = {
        **BreakAndRetest.parameters,
        "reward_risk": Parameter(2.0, 0.1, 100.0, "distance of the target divided by that of the stop"),
    }

    def origin(self, outlook: Outlook) -> Origin | None:
        """Return the break of this bar with the trend."""
        sign, level = (outlook.features[name] for name in self.columns)
        return Origin(int(sign), level) if sign else None

    def candidates(self, closes: "pd.DataFrame") -> "NDArray[np.bool_]":
        """Return the closes of the bars that make a break."""
        return (closes["m1_break_5_bos"] != 0).to_numpy()

    def begin(self, origin: Origin, outlook: Outlook) -> Setup:
        """Return a setup whose M1 break is the bar of the break of structure itself."""
        setup = Setup(origin.sign, origin.level, f"{outlook.close_time:%Y-%m-%dT%H:%M}")
        setup.breaks(*((outlook.high, outlook.low) if origin.sign > 0 else (outlook.low, outlook.high)))
        return setup

    def target(self, entry: float, stop: float) -> float:
        """Return the target at `reward_risk`."""
        return entry + self.reward_risk * (entry - stop)

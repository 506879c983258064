"""Trade the retest, on M1, of a level that M5 has broken with its structure."""

from decimal import Decimal
from typing import TYPE_CHECKING

from mikrobot.decision.outlook import Outlook
from mikrobot.decision.strategies.break_and_retest import BreakAndRetest, Origin, Setup
from mikrobot.decision.strategies.strategy import Mandate
from mikrobot.domain.market_sessions import LONDON, NEW_YORK

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


class M5Bos(BreakAndRetest):
    """Enter beyond the extreme of an M1 break of a level that M5 broke with its structure, after a retest."""

    name = "m5_bos"
    mandate = Mandate(Decimal(1), Decimal(5), 2, tuple(dict.fromkeys((*LONDON, *NEW_YORK))))
    columns = ("m5_break_5_bos", "m5_break_5_broken", "m5_sequence_5_structure")

    def origin(self, outlook: Outlook) -> Origin | None:
        """Return the break of the last closed M5 bar: higher highs and lows broken upwards, or the mirror image."""
        sign, level, structure = (outlook.features[name] for name in self.columns)
        return Origin(int(sign), level) if sign and sign == structure else None

    def candidates(self, closes: "pd.DataFrame") -> "NDArray[np.bool_]":
        """Return the closes at which the last closed M5 bar has made a break with its structure."""
        sign, _, structure = (closes[name] for name in self.columns)
        return ((sign != 0) & (sign == structure)).to_numpy()

    def begin(self, origin: Origin, outlook: Outlook) -> Setup:
        """Return a setup that waits for the M1 break, on a later bar."""
        return Setup(origin.sign, origin.level, f"{outlook.close_time:%Y-%m-%dT%H:%M}")

"""What is known about one symbol at one bar close: the input of every strategy and of the ProductOwner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isnan


@dataclass(frozen=True, slots=True)
class Outlook:
    """Model output and market data for one symbol at one bar close.

    Attributes
    ----------
    symbol : str
    close_time : datetime
        UTC; every value is known at this time.
    close : float
        Bid.
    spread : float
        ask - bid in price units; NaN if unknown, then the instrument's typical spread applies.
    atr : float
        ATR(14) of M1 in price units; NaN during warm-up.
    level_above, level_below : float
        Prices of the current structure levels; NaN if there is none.
    probability_up, probability_down : float
        Probability of a close beyond the level within the model's horizon, 0 to 1; NaN if there is no level.
    answered_by : str
        Model that predicted the probabilities, and the symbols it was trained on.
    open, high, low : float
        Of the M1 bar, bid.
    features : mapping of str to float
        The columns that the strategies of the run declare, by their names in the catalog; NaN where missing.
    """

    symbol: str
    close_time: datetime
    close: float
    spread: float
    atr: float
    level_above: float
    level_below: float
    probability_up: float
    probability_down: float
    answered_by: str
    open: float
    high: float
    low: float
    features: Mapping[str, float] = field(default_factory=dict)


def shown(value: float) -> str:
    """Return a value as text, "none" if it is missing."""
    return "none" if isnan(value) else f"{value:.10g}"

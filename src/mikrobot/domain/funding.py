"""Funding of perpetuals: what longs pay to shorts at a funding time. Charges nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class FundingRate:
    """The funding of one symbol at one funding time.

    Attributes
    ----------
    symbol : str
    at : datetime
        Funding time, UTC, on a whole minute; the rate is known from then on.
    rate : Decimal
        Share of the notional; longs pay a positive one.
    mark : Decimal or None
        Mark price of the venue then; None where it gives none.
    """

    symbol: str
    at: datetime
    rate: Decimal
    mark: Decimal | None = None


FundingByClose = Mapping[datetime, Sequence[FundingRate]]
"""Funding by the close of the minute before whose bars it is charged."""

NO_FUNDING: FundingByClose = {}

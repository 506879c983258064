"""The funding of a recorded live session, as it was charged. Writes nothing."""

import json
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from mikrobot.domain.errors import BarError, FeedError
from mikrobot.domain.funding import FundingByClose, FundingRate
from mikrobot.market.border import epoch_us, instant
from mikrobot.market.recorded_streams import messages
from mikrobot.market.streams.recorder import FILES

FUNDED = "funded"
"""Channel of the funding as the session charged it."""

Row = list[str | int | None]
"""Symbol, funding time in microseconds since the epoch, rate and mark price as text."""


def funding_row_of(rate: FundingRate) -> Row:
    """Return funding as plain JSON values.

    >>> from datetime import UTC
    >>> funding_row_of(FundingRate("BTCUSDT", datetime(2025, 1, 1, tzinfo=UTC), Decimal("0.0001")))
    ['BTCUSDT', 1735689600000000, '0.0001', None]
    """
    return [rate.symbol, epoch_us(rate.at), f"{rate.rate:f}", None if rate.mark is None else f"{rate.mark:f}"]


def recorded_funding(folder: Path) -> FundingByClose:
    """Return the funding of a session by the close of the minute before whose bars it was charged.

    Raises
    ------
    BarError
        If a file of it cannot be read.
    """
    by_close: dict[datetime, list[FundingRate]] = {}
    charged: set[tuple[str, datetime]] = set()
    try:
        for path in sorted(folder.glob(FILES)):
            if f"-{FUNDED}-" not in path.name:
                continue
            for _, message in messages(path, broken_off=True):
                data = json.loads(message)["data"]
                for rate in map(_rate_of, data["rates"]):
                    if (rate.symbol, rate.at) not in charged:  # a minute that a restart published again
                        charged.add((rate.symbol, rate.at))
                        by_close.setdefault(datetime.fromisoformat(data["close"]), []).append(rate)
    except (FeedError, ValueError, KeyError, TypeError, InvalidOperation) as error:
        raise BarError(f"{folder}: the funding of the recording cannot be read ({error})") from error
    return dict(sorted(by_close.items()))


def _rate_of(row: Row) -> FundingRate:
    symbol, at, rate, mark = row
    if not isinstance(at, int):
        raise ValueError(f"{at!r} is no time")
    return FundingRate(str(symbol), instant(at), Decimal(str(rate)), None if mark is None else Decimal(str(mark)))

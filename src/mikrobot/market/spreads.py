"""Checks of quoted spreads: their unit and their sign. Does not estimate a spread."""

import numpy as np

from mikrobot.domain.errors import BarError
from mikrobot.domain.instruments import registry
from mikrobot.domain.instruments.instrument import Instrument
from mikrobot.market.border import Floats
from mikrobot.market.row_origin import RowOrigin


def check_spread(spread: Floats, prices: Floats, origin: RowOrigin, usual: float | None = None) -> None:
    """Refuse spreads that are points or pips, not prices.

    Parameters
    ----------
    spread : ndarray of float64, shape (n,)
    prices : ndarray of float64, shape (4, n)
    origin : RowOrigin
    usual : float or None
        Typical spread of the instrument in price units; None if it is not known.

    Raises
    ------
    BarError
        With the median, if it is above 1 % of the price or 50 times the usual spread; or if the spreads are
        whole numbers, unlike the prices, and their median is above 5 times the usual one.
    """
    quoted = np.isfinite(spread)
    if not quoted.any():
        return
    median, price = float(np.median(spread[quoted])), float(np.median(prices[3][quoted]))
    times_usual = 0.0 if not usual else median / usual
    counted = times_usual > _COUNTED and bool((spread[quoted] % 1 == 0).all() and (prices % 1 != 0).any())
    if median > _WIDEST * price or times_usual > _UNUSUAL or counted:
        compared = f", {times_usual:.0f} times the usual {usual:g}" if usual and median <= _WIDEST * price else ""
        remedy = "; if it is right, give the usual spread in instruments.toml" if compared else ""
        raise BarError(
            f"{origin.name}: the median spread is {median:g} at a price of {price:g}{compared}, so it is not in price "
            f"units; multiply points by the last decimal of the price, as 8 points of EURUSD are 0.00008{remedy}"
        )


def check_sides(spread: Floats, origin: RowOrigin) -> None:
    """Refuse spreads of which half are negative; a few are, where bid and ask are from different times.

    Raises
    ------
    BarError
        With the median.
    """
    quoted = spread[np.isfinite(spread)]
    if len(quoted) and np.median(quoted) < 0:
        median = float(np.median(quoted))
        raise BarError(f"{origin.name}: the median spread is {median:g}, so bid and ask are exchanged; rename them")


def usual_spread_of(instrument: Instrument) -> float | None:
    """Return the typical spread of an instrument, as `check_spread` takes it; None where venues differ too much.

    Brokers quote a coin a thousand times wider than exchanges do, and an instrument in no table has no typical spread.
    """
    listed = instrument.market == "fx" and registry.is_listed(instrument.symbol)
    return float(instrument.spread) if listed else None


_WIDEST, _UNUSUAL, _COUNTED = 0.01, 50.0, 5.0

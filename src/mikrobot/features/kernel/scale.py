"""Distances in ATRs: what a price difference is measured in, and when it cannot be."""

from math import nan

from mikrobot.features.kernel.parts import inlined

NEGLIGIBLE = 1e-14
"""An ATR below this share of the price is the rounding left of a market long flat."""

NO_ATR = "the ATR is unknown or zero"


@inlined
def unit(atr: float, close: float) -> float:
    """Return the ATR to measure in; NaN where it is unknown, zero, or what is left of a zero."""
    return atr if atr > NEGLIGIBLE * close else nan


@inlined
def per_unit(atr: float, close: float) -> float:
    """Return what turns a price difference into ATRs, NaN where `unit` is.

    Dividing is dear: written like this in every step, it is done once for all of a bar.
    """
    return 1.0 / atr if atr > NEGLIGIBLE * close else nan

"""Conversion of price differences to ATRs, and the check that the ATR is usable."""

from math import nan

from mikrobot.features.kernel.parts import inlined

NEGLIGIBLE = 1e-14
"""An ATR below this share of the price is a rounding error after a long flat market."""

NO_ATR = "the ATR is unknown or zero"


@inlined
def unit(atr: float, close: float) -> float:
    """Return the ATR; NaN where it is unknown, zero, or only a rounding error."""
    return atr if atr > NEGLIGIBLE * close else nan


@inlined
def per_unit(atr: float, close: float) -> float:
    """Return the factor from a price difference to ATRs, NaN where `unit` is NaN.

    A division is slow. Written like this in every step, it is computed once per bar.
    """
    return 1.0 / atr if atr > NEGLIGIBLE * close else nan

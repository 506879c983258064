"""What the venue lists of a symbol: the grid of its prices and sizes as integers, and its amounts as text.

Prices are integers in units of 1e-8. Sizes are integers in units of a thousandth of the size step or less, at least
1e-8, so that the volume of a minute fits into 64 bits.
"""

from dataclasses import dataclass
from decimal import Decimal

from mikrobot.domain.instruments.instrument import Instrument

PRICE_DECIMALS = 8

_FINEST = 8
_FINER_THAN_STEP = 3
"""Decimals of the size unit beyond those of the size step: histories have steps of the past."""

_LEVEL_VALUE = 300
"""Smallest value of a price level of the generated book, in quote currency."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A listed symbol.

    Attributes
    ----------
    symbol, base, quote : str
    tick, spread : int
        Price step and usual ask - bid, in price units.
    step, min_size : int
        Size step and smallest size of an order, in size units.
    min_notional : Decimal
        Smallest value of an order, in quote currency.
    size_decimals : int
        Decimals of the size unit.
    """

    symbol: str
    base: str
    quote: str
    tick: int
    spread: int
    step: int
    min_size: int
    min_notional: Decimal
    size_decimals: int

    @property
    def size_unit(self) -> int:
        """Size units in one coin."""
        return int(10**self.size_decimals)

    @property
    def price_places(self) -> int:
        """Decimals of the price step."""
        return _places(self.tick, PRICE_DECIMALS)

    @property
    def size_places(self) -> int:
        """Decimals of the size step."""
        return _places(self.step, self.size_decimals)

    def level_size(self, price: int) -> int:
        """Return the size unit of the levels of a book around a price: steps times a power of two."""
        steps = _LEVEL_VALUE * 10**PRICE_DECIMALS * self.size_unit // max(price * self.step, 1)
        return int(self.step << max(steps.bit_length() - 1, 0))

    def level_gap(self, price: int) -> int:
        """Return the distance between two levels of a book around a price: ticks times a power of two."""
        return int(self.tick << max((price // (20_000 * self.tick)).bit_length() - 1, 0))


def listing_of(instrument: Instrument) -> Listing:
    """Return the listing of an instrument; a lot of it is one coin."""
    places = max(-int(instrument.size_step.normalize().as_tuple().exponent), 0)
    decimals = min(places + _FINER_THAN_STEP, _FINEST)
    return Listing(
        symbol=instrument.symbol,
        base=instrument.base,
        quote=instrument.quote,
        tick=_units(instrument.tick, PRICE_DECIMALS),
        spread=_units(max(instrument.spread, instrument.tick), PRICE_DECIMALS),
        step=_units(instrument.size_step, decimals),
        min_size=_units(instrument.min_size, decimals),
        min_notional=instrument.min_notional,
        size_decimals=decimals,
    )


def as_text(units: int, decimals: int, places: int) -> str:
    """Return an amount as text with at least `places` decimals, and never fewer than it needs.

    >>> as_text(150_000_000, 8, 8), as_text(150_000_000, 8, 3), as_text(150_000_001, 8, 3), as_text(700, 2, 0)
    ('1.50000000', '1.500', '1.50000001', '7')
    """
    whole, part = divmod(units, 10**decimals)
    digits = f"{part:0{decimals}d}".ljust(places, "0")
    shown = digits[: max(places, len(digits.rstrip("0")))]
    return f"{whole}.{shown}" if shown else str(whole)


def in_units(text: str, decimals: int) -> int:
    """Return an amount given as text in units of 10 ** -decimals.

    >>> in_units("61837.63000000", 8)
    6183763000000
    """
    return _units(Decimal(text), decimals)


def _units(amount: Decimal, decimals: int) -> int:
    return int(amount.scaleb(decimals).to_integral_value())


def _places(step: int, decimals: int) -> int:
    """Return the decimals of a step given in units of 10 ** -decimals."""
    text = as_text(step, decimals, 0)
    return len(text.partition(".")[2])

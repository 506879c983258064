"""Represent money in whole minor units: the minor unit of each currency and the rounding rule.

Amounts are integers inside the package and Decimals at its interface. Does not convert between currencies.
"""

from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import TypeAlias

from mikrobot.domain.errors import OrderError

Ratio: TypeAlias = tuple[int, int]
"""Numerator and positive denominator, not necessarily in lowest terms."""

Exact: TypeAlias = int | Fraction
"""An exact, unrounded amount."""

CRYPTO_DIGITS = 8

_ISO_DIGITS = dict.fromkeys(["JPY", "KRW", "CLP", "VND", "ISK"], 0) | dict.fromkeys(
    [
        "USD",
        "EUR",
        "GBP",
        "CHF",
        "AUD",
        "NZD",
        "CAD",
        "SEK",
        "NOK",
        "DKK",
        "PLN",
        "CZK",
        "HUF",
        "RON",
        "TRY",
        "ZAR",
        "MXN",
        "SGD",
        "HKD",
        "CNY",
        "CNH",
        "THB",
        "ILS",
        "INR",
        "BRL",
    ],
    2,
)


def digits(currency: str) -> int:
    """Return the decimals of a currency's minor unit: ISO 4217 for national currencies, 8 for crypto.

    >>> digits("USD"), digits("JPY"), digits("USDT")
    (2, 0, 8)
    """
    return _ISO_DIGITS.get(currency, CRYPTO_DIGITS)


@cache
def scale(currency: str) -> int:
    """Return the number of minor units in one unit of a currency.

    >>> scale("USD"), scale("JPY")
    (100, 1)
    """
    return int(10 ** digits(currency))


def half_even(amount: Exact, den: int = 1) -> int:
    """Round ``amount / den`` to a whole number, half to even.

    >>> half_even(5, 2), half_even(7, 2), half_even(-5, 2), half_even(-8, 3)
    (2, 4, -2, -3)
    """
    if not isinstance(amount, int):  # isinstance is slower for Fraction, which derives from an abstract class
        amount, den = amount.numerator, den * amount.denominator
    whole, rest = divmod(amount, den)
    twice = 2 * rest
    return whole + (twice > den or (twice == den and whole & 1))


def decimal(minor: int, currency: str) -> Decimal:
    """Return an amount in minor units as a Decimal with the currency's decimals.

    >>> decimal(1013000, "USD")
    Decimal('10130.00')
    """
    return Decimal(minor).scaleb(-digits(currency))


def minor(amount: Decimal, currency: str) -> int:
    """Return a Decimal amount in minor units.

    Raises
    ------
    OrderError
        If it is not finite, or has more decimals than the minor unit.

    >>> minor(Decimal("10000.00"), "USD")
    1000000
    """
    return whole(amount, Decimal(1).scaleb(-digits(currency)), f"an amount of {currency}")


def whole(value: Decimal, step: Decimal, what: str) -> int:
    """Return a value as a whole number of steps.

    Raises
    ------
    OrderError
        If it is not finite, or not a whole number of steps.
    """
    if not value.is_finite():
        raise OrderError(f"{what} must be a finite number, not {value}")
    steps = value / step
    count = int(steps)
    if count != steps:
        raise OrderError(f"{what} must be a multiple of {step}, not {value}")
    return count


def counted(value: Decimal, step: Decimal) -> int:
    """Return a value as a whole positive number of steps, or 0 if it is none.

    >>> counted(Decimal("1.5"), Decimal("0.5")), counted(Decimal("1.4"), Decimal("0.5")), counted(Decimal("NaN"), 1)
    (3, 0, 0)
    """
    if not value.is_finite():
        return 0
    steps = value / step
    count = int(steps)
    return count if count > 0 and count == steps else 0


def ratio(value: Decimal) -> Ratio:
    """Return a finite Decimal as numerator and denominator.

    >>> ratio(Decimal("0.25"))
    (1, 4)
    """
    return value.as_integer_ratio()

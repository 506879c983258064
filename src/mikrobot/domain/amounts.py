"""Read numbers and amounts of money that a person has written. Does not know currencies other than the dollar."""

from decimal import Decimal, InvalidOperation

LARGEST = Decimal(10**15)
"""Dollars below which an amount must be, so that its cents are exact in every calculation."""


def number(text: str) -> Decimal:
    """Return the number that a text contains: ASCII digits, without spaces or the underscores that Python allows.

    Raises
    ------
    ValueError
        If the text is no such number.

    >>> number("-1.5e3")
    Decimal('-1.5E+3')
    """
    if not text.isascii() or "_" in text or text != text.strip():
        raise ValueError("expected a number")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("expected a number") from None


def dollars(amount: Decimal) -> Decimal:
    """Return a positive amount in whole cents, written without an exponent.

    Raises
    ------
    ValueError
        If it is not positive, not below `LARGEST`, or not in whole cents.

    >>> dollars(Decimal("1e12")), dollars(Decimal("5000.5"))
    (Decimal('1000000000000'), Decimal('5000.5'))
    """
    if not amount.is_finite() or not 0 < amount < LARGEST or amount != round(amount, 2):
        raise ValueError(f"expected an amount above 0 and below {LARGEST:,} in whole cents")
    return Decimal(f"{amount:f}")

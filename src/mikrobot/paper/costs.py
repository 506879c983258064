"""What a trade costs and what it earns, in the currency of the account.

The account is in US dollars, and one USDT counts as one dollar. Crypto is traded long and short as
on a margin account; swap, funding, interest and slippage are not charged.
"""

import math
from decimal import ROUND_HALF_EVEN, Decimal

from mikrobot.domain.errors import BarError, UsageError
from mikrobot.domain.market import Instrument
from mikrobot.domain.trading import Side

ACCOUNT_CURRENCY = "USD"
CENT = Decimal("0.01")
"""Minor unit of the account currency."""

FX_COMMISSION = Decimal("3.50")
"""US dollars per lot and side: what raw-spread accounts commonly charge, 7 for the round trip (assumption)."""

CRYPTO_FEE_RATE = Decimal("0.001")
"""Share of the notional per side: taker fee of a regular user of Binance spot, https://www.binance.com/en/fee/schedule."""

_AT_PAR = (ACCOUNT_CURRENCY, "USDT")


def spread(instrument: Instrument, quoted: float) -> Decimal:
    """Return ask - bid in price units, on the tick grid, rounded up.

    Parameters
    ----------
    instrument : Instrument
    quoted : float
        As the bar has it; NaN where the source quotes none, and the instrument's typical spread holds.

    Raises
    ------
    BarError
        If it is negative or infinite.

    >>> from mikrobot.domain.market import instrument
    >>> spread(instrument("EURUSD"), 0.00012), spread(instrument("EURUSD"), float("nan"))
    (Decimal('0.00012'), Decimal('0.00008'))
    """
    if math.isnan(quoted):
        return instrument.spread
    if not 0 <= quoted < math.inf:
        raise BarError(f"{instrument.symbol}: expected a spread of 0 or more, found {quoted}; correct it at the source")
    return instrument.quantize(quoted, "up") if quoted else Decimal(0)


def executed(instrument: Instrument, side: Side, bid: float, spread: Decimal) -> Decimal:
    """Return the price at which a taker trades: a sale at bid, a purchase at ask.

    Parameters
    ----------
    instrument : Instrument
    side : Side
        Of the execution: closing a long position sells.
    bid : float
        Put on the tick grid against the taker.
    spread : Decimal
        ask - bid, on the tick grid.

    >>> from mikrobot.domain.market import instrument
    >>> executed(instrument("EURUSD"), Side.BUY, 1.1, Decimal("0.00012"))
    Decimal('1.10012')
    """
    if side is Side.SELL:
        return instrument.quantize(bid, "down")
    return instrument.quantize(bid, "up") + spread


def to_account(instrument: Instrument, amount: Decimal, price: Decimal) -> Decimal:
    """Convert an amount of the quote currency to dollars, unrounded.

    Parameters
    ----------
    instrument : Instrument
    amount : Decimal
        In quote currency.
    price : Decimal
        Of the instrument itself at that instant; converts yen where the pair is USDJPY.

    Raises
    ------
    UsageError
        If neither currency of the pair is the dollar.

    >>> from mikrobot.domain.market import instrument
    >>> f"{to_account(instrument('USDJPY'), Decimal(30_000), Decimal('150.000')):.2f}"
    '200.00'
    """
    if instrument.quote in _AT_PAR:
        return amount
    if instrument.base == ACCOUNT_CURRENCY:
        return amount / price
    raise UsageError(
        f"{instrument.symbol}: {instrument.quote} cannot be converted to the account's {ACCOUNT_CURRENCY} by the "
        f"pair's own price; trade pairs quoted in USD or USDT, or of the form USD..."
    )


def notional(instrument: Instrument, lots: Decimal, price: Decimal) -> Decimal:
    """Return the dollars a size is worth at a price, unrounded.

    >>> from mikrobot.domain.market import instrument
    >>> notional(instrument("EURUSD"), Decimal("0.5"), Decimal("1.10000"))
    Decimal('55000.000000')
    """
    return to_account(instrument, lots * instrument.lot * price, price)


def commission(instrument: Instrument, lots: Decimal, price: Decimal) -> Decimal:
    """Return the commission of one side in dollars, unrounded: for FX per lot, for crypto of the notional."""
    if instrument.asset == "fx":
        return lots * FX_COMMISSION
    return CRYPTO_FEE_RATE * notional(instrument, lots, price)


def fee(instrument: Instrument, lots: Decimal, price: Decimal) -> Decimal:
    """Return the commission of one side as it is booked, to the cent.

    >>> from mikrobot.domain.market import instrument
    >>> fee(instrument("BTCUSDT"), Decimal("0.05"), Decimal("60000.10"))
    Decimal('3.00')
    """
    return booked(commission(instrument, lots, price))


def profit(instrument: Instrument, side: Side, lots: Decimal, entry: Decimal, closing: Decimal) -> Decimal:
    """Return what closing a position realises, to the cent, without fees.

    Parameters
    ----------
    instrument : Instrument
    side : Side
        Of the position, not of the closing execution.
    lots, entry, closing : Decimal
        Size, price at entry, and price at exit, which converts as well.

    >>> from mikrobot.domain.market import instrument
    >>> profit(instrument("EURUSD"), Side.SELL, Decimal(1), Decimal("1.10000"), Decimal("1.09700"))
    Decimal('300.00')
    """
    gained = side.sign * (closing - entry) * lots * instrument.lot
    return booked(to_account(instrument, gained, closing))


def booked(amount: Decimal) -> Decimal:
    """Round a cash entry to the cent, half to even: the only rounding of money there is.

    >>> booked(Decimal("0.125")), booked(Decimal("-0.135"))
    (Decimal('0.12'), Decimal('-0.14'))
    """
    return amount.quantize(CENT, ROUND_HALF_EVEN)

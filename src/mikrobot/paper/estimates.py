"""Estimate value and costs of a trade on a margin account before it is placed.

Amounts are in account currency and unrounded; amounts are rounded only when they are booked. Does
not read markets or accounts.
"""

import math
from decimal import Decimal

from mikrobot.domain.errors import BarError, UsageError
from mikrobot.paper.contracts import Contract
from mikrobot.paper.profiles import Profile


def bid_ticks(contract: Contract, bid: float) -> int:
    """Return a bar's bid price, rounded to the nearest tick.

    Raises
    ------
    BarError
        If it is not finite.

    >>> from mikrobot.domain.instruments.registry import instrument
    >>> from mikrobot.paper.contracts import listed
    >>> bid_ticks(listed(instrument("EURUSD")), 1.1 + 0.2)
    130000
    """
    if not math.isfinite(bid):
        raise BarError(f"{contract.symbol}: expected a finite price, found {bid}; correct the bar at its source")
    return round(bid / float(contract.tick))


def spread_ticks(contract: Contract, quoted: float) -> int:
    """Return ask - bid in ticks, rounded up.

    The typical spread of the contract replaces a missing (NaN) spread and a negative one. A spread is
    negative if the source sampled bid and ask at different instants; no one could trade at it.

    Raises
    ------
    BarError
        If it is infinite.

    >>> from mikrobot.domain.instruments.registry import instrument
    >>> from mikrobot.paper.contracts import listed
    >>> [spread_ticks(listed(instrument("EURUSD")), quoted) for quoted in (0.00012, 0.0, -0.1, math.nan)]
    [12, 0, 8, 8]
    """
    if quoted == math.inf:
        raise BarError(f"{contract.symbol}: expected a finite spread, found {quoted}; correct the bar at its source")
    if not quoted >= 0:
        return contract.spread
    return math.ceil(round(quoted / float(contract.tick), 6))


def worth(
    contract: Contract, currency: str, amount: Decimal, price: Decimal, *, rate: Decimal | None = None
) -> Decimal:
    """Convert an amount of the quote currency to account currency, if possible at the contract's own price.

    Parameters
    ----------
    contract : Contract
    currency : str
    amount, price : Decimal
    rate : Decimal or None
        Value of one unit of the quote currency in account currency.

    Raises
    ------
    UsageError
        If the account currency is neither the base nor the quote of the contract, and there is no rate.

    >>> from mikrobot.domain.instruments.registry import instrument
    >>> from mikrobot.paper.contracts import listed
    >>> f"{worth(listed(instrument('USDJPY')), 'USD', Decimal(30_000), Decimal('150.000')):.2f}"
    '200.00'
    """
    if contract.quote == currency:
        return amount
    if contract.base == currency:
        return amount / price
    if rate is not None:
        return amount * rate
    raise UsageError(
        f"{contract.symbol}: the price of the pair cannot convert {contract.quote} to the account's {currency}; "
        f"add the bars of a symbol that does"
    )


def charges(
    contract: Contract, profile: Profile, quantity: Decimal, price: Decimal, *, rate: Decimal | None = None
) -> Decimal:
    """Return a taker's fees for one fill: the venue's share of the notional plus the commission per lot.

    Parameters
    ----------
    contract : Contract
    profile : Profile
        Its commission is assumed to be in the account currency.
    quantity : Decimal
        Units of base.
    price : Decimal
    rate : Decimal or None
        As in `worth`.
    """
    share = contract.taker_fee and contract.taker_fee * worth(
        contract, profile.currency, quantity * price, price, rate=rate
    )
    return share + quantity / contract.lot * contract.commission(profile.commission_per_lot)

"""Conversion ratios of one contract for one account, computed once as ratios of integers.

Each ratio converts ticks, steps or their product to minor units of a currency, so that the path from
order to booking needs no Decimal division. Does not round.
"""

from decimal import Decimal
from fractions import Fraction

from mikrobot.paper.contracts import Contract
from mikrobot.paper.money import Ratio, scale
from mikrobot.paper.profiles import Profile


class Terms:
    """The ratios of one contract under one profile.

    Parameters
    ----------
    contract : Contract
    profile : Profile

    Attributes
    ----------
    gain : (int, int)
        Value of one tick on one step in minor units of the account currency, before conversion from
        the quote currency.
    maker, taker : (int, int)
        Fee of one tick on one step, before that conversion; on a cash account in the quote currency.
    commission : (int, int)
        Commission of one step, before conversion from its currency.
    fee_currency : str
    margin : (int, int)
        Margin of one unit of the quantity that `margin_on` names.
    margin_on : {"cost", "quantity", "base_value"}
        Attribute of a position of which its margin is a share: "cost" if the account currency is the
        quote currency, "quantity" if it is the base, otherwise "base_value".
    foreign : tuple of str
        Currencies that need a fresh rate to the account currency before a position may open.
    converts_base : bool
        True if margin needs the value of the base in a third currency.
    slips : bool
        True if takers may get another price than the displayed one.
    presses : bool
        True if a taker's quantity moves the price of the account's next fills.
    """

    __slots__ = (
        "commission", "converts_base", "fee_currency", "foreign", "gain",
        "maker", "margin", "margin_on", "presses", "slips", "taker",
    )  # fmt: skip

    def __init__(self, contract: Contract, profile: Profile) -> None:
        unit = scale(profile.currency)
        value, step = Fraction(*contract.value), Fraction(contract.step)
        self.fee_currency = contract.quote if profile.cash else profile.currency
        fee_unit = scale(self.fee_currency)
        self.gain = _ratio(value * unit)
        self.maker = _ratio(value * fee_unit * Fraction(contract.maker_fee))
        self.taker = _ratio(value * fee_unit * Fraction(contract.taker_fee))
        per_lot = contract.commission(profile.commission_per_lot)
        self.commission = _ratio(step / Fraction(contract.lot) * Fraction(per_lot) * unit)
        self.margin_on = {contract.quote: "cost", contract.base: "quantity"}.get(profile.currency, "base_value")
        share = Fraction(contract.margin_rate) / Fraction(profile.leverage)
        self.margin = _ratio((value if self.margin_on == "cost" else step) * share * unit)
        self.converts_base = self.margin_on == "base_value" and not profile.cash
        paid_in = profile.commission_currency if per_lot else ""
        needed = (contract.quote if self.converts_base else "", "" if profile.cash else paid_in)
        self.foreign = tuple(dict.fromkeys(name for name in needed if name not in ("", profile.currency)))
        self.slips = profile.slippage.active
        self.presses = profile.slippage.impact > 0 and contract.adv > 0


def _ratio(exact: Fraction) -> Ratio:
    return exact.numerator, exact.denominator


def share_of(percent: Decimal) -> Ratio:
    """Return a percentage as a ratio.

    >>> share_of(Decimal(50))
    (1, 2)
    """
    return _ratio(Fraction(percent) / 100)

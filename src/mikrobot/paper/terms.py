"""What one contract means to one account, as ratios of whole numbers worked out once.

Each ratio leads from ticks, steps or their product to minor units of a currency, so that nothing
between an order and its booking has to divide Decimals. Does not round.
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
        Minor units of the account currency that a tick on a step is worth, before the rate of the
        quote currency.
    maker, taker : (int, int)
        The fee of a tick on a step, before that rate; of a cash account in the quote currency.
    commission : (int, int)
        The commission of a step, before the rate of its currency.
    fee_currency : str
    margin : (int, int)
        The margin of a unit of what `margin_on` names.
    margin_on : {"cost", "quantity", "base_value"}
        What of a position its margin is a share of: the first where the account is kept in the
        quote currency, the second where it is in the base.
    foreign : tuple of str
        Currencies that must have a fresh rate into the account's before it may open anything.
    converts_base : bool
        Whether margin has to know what the base was worth in a third currency.
    slips : bool
        Whether takers get another price than the displayed one.
    presses : bool
        Whether what is taken moves the price that the account gets next.
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
        self.commission = _ratio(step / Fraction(contract.lot) * Fraction(profile.commission_per_lot) * unit)
        self.margin_on = {contract.quote: "cost", contract.base: "quantity"}.get(profile.currency, "base_value")
        share = Fraction(contract.margin_rate) / Fraction(profile.leverage)
        self.margin = _ratio((value if self.margin_on == "cost" else step) * share * unit)
        self.converts_base = self.margin_on == "base_value" and not profile.cash
        paid_in = profile.commission_currency if profile.commission_per_lot else ""
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

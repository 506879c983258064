"""Cash entries of an account that no fill records, and its slippage, both from its journal.

Covers swap, funding, insurance and deposits. Does not cover commission, which is on the fills, or the
spread, which is inside the prices; `trades` and `marks` count those.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from mikrobot.paper.account import Account
from mikrobot.paper.journal import Booked, Filled
from mikrobot.paper.money import decimal, half_even
from mikrobot.paper.terms import Terms

INSIDE = ", inside the prices"
"""Suffix of the name of a cost that is already included in the results of trades, unlike swap and funding."""

KINDS = {"slippage": f"slippage{INSIDE}", "swap": "swap", "funding": "funding", "insurance": "insurance"}
"""Kind of cost -> its name in a cost breakdown."""

DEPOSIT = "deposit"
"""Kind of a deposit or withdrawal (opposite sign) after the opening of the account: neither cost nor profit."""

_OF_FILLS = ("realised", "fee", "trade")
"""Kinds of cash entries that fills record too."""


class Charge(NamedTuple):
    """One cash entry that no fill records, or the slippage of a fill.

    Attributes
    ----------
    at : datetime
        UTC; time of the booking, or of the fill.
    kind : str
        One of `KINDS`, `DEPOSIT`, or another kind of cash entry.
    amount : Decimal
        Account currency, positive when paid, negative when received.
    """

    at: datetime
    kind: str
    amount: Decimal

    @property
    def is_cash(self) -> bool:
        """True if the charge changed the balance itself; slippage is inside the prices of the fills."""
        return self.kind != "slippage"


def charges(account: Account) -> Iterator[Charge]:
    """Yield every cash entry of a margin account that no fill records, and its slippage, in journal order.

    A deposit at the time of the first record is the opening balance and is left out. Insurance is
    received: it covers the loss of a liquidation beyond the margin of the position. Slippage is the
    number of ticks by which a taker fill was worse than the displayed price, converted at the rate of the
    fill and rounded to the cent.
    """
    opened = account.journal[0].ts if account.journal else 0
    for record in account.journal:
        if isinstance(record, Booked) and record.kind not in _OF_FILLS:
            if record.kind != DEPOSIT or record.ts > opened:
                yield Charge(_instant(record.ts), record.kind, -decimal(record.amount, record.currency))
        elif isinstance(record, Filled) and record.slippage:
            terms = account.working_orders[record.symbol].terms
            lost = half_even(_slipped(record, terms, Fraction(account.contracts[record.symbol].tick)))
            yield Charge(_instant(record.ts), "slippage", decimal(lost, account.currency))


def by_kind(paid: Iterable[Charge]) -> Mapping[str, Decimal]:
    """Return the sum of each kind of cost that occurs, by its name in a breakdown; those of `KINDS` first.

    >>> now = datetime(2024, 3, 11, tzinfo=UTC)
    >>> by_kind([Charge(now, "swap", Decimal("6.50")), Charge(now, "swap", Decimal("-1.50"))])
    {'swap': Decimal('5.00')}
    """
    sums: dict[str, Decimal] = {}
    for charge in paid:
        if charge.kind != DEPOSIT:
            sums[charge.kind] = sums.get(charge.kind, Decimal(0)) + charge.amount
    return {KINDS.get(kind, kind): sums[kind] for kind in dict.fromkeys((*KINDS, *sums)) if kind in sums}


def _slipped(fill: Filled, terms: Terms, tick: Fraction) -> Fraction:
    """Return the exact slippage of a fill in minor units of the account currency."""
    lost = Fraction(*terms.gain) * fill.slippage * fill.quantity
    if terms.margin_on == "cost":
        return lost
    base = Fraction(1) if terms.margin_on == "quantity" else Fraction(*fill.base_rate)
    return lost * base / (fill.price * tick)  # one unit of quote currency is worth 1 / price of base currency


def _instant(ts: int) -> datetime:
    return datetime.fromtimestamp(ts / 1000, UTC)

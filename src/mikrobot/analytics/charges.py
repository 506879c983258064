"""What moved the cash of an account beside its fills, and its slippage, each from its journal.

Swap, funding, insurance, deposits. Commission is on the fills and the spread is inside the prices;
`trades` and `marks` count those.
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
"""How the name of a cost ends that the results of trades hold already, unlike swap and funding."""

KINDS = {"slippage": f"slippage{INSIDE}", "swap": "swap", "funding": "funding", "insurance": "insurance"}
"""The kinds of cost, and how a breakdown names them."""

DEPOSIT = "deposit"
"""Kind of what was paid in, or with the other sign out, after the account was opened: neither cost nor profit."""

_OF_FILLS = ("realised", "fee", "trade")
"""Kinds of cash entries that fills tell of, too."""


class Charge(NamedTuple):
    """One charge.

    Attributes
    ----------
    at : datetime
        UTC; when it was booked, or the fill it is part of.
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
        """Whether it changed the balance on its own; slippage is inside the prices of the fills."""
        return self.kind != "slippage"


def charges(account: Account) -> Iterator[Charge]:
    """Yield every cash entry of a margin account that no fill tells of, and its slippage, in order of its journal.

    What was paid in at the instant of its first record is the opening balance and is left out.
    Insurance is received: what a liquidation lost beyond the margin of its position. Slippage is the
    ticks that a taker got worse than the displayed price, converted at the rate of the fill and rounded
    to the cent.
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


def by_kind(told: Iterable[Charge]) -> Mapping[str, Decimal]:
    """Return the sums of the costs that occur, those of `KINDS` first, by the name of a breakdown.

    >>> now = datetime(2024, 3, 11, tzinfo=UTC)
    >>> by_kind([Charge(now, "swap", Decimal("6.50")), Charge(now, "swap", Decimal("-1.50"))])
    {'swap': Decimal('5.00')}
    """
    sums: dict[str, Decimal] = {}
    for charge in told:
        if charge.kind != DEPOSIT:
            sums[charge.kind] = sums.get(charge.kind, Decimal(0)) + charge.amount
    return {KINDS.get(kind, kind): sums[kind] for kind in dict.fromkeys((*KINDS, *sums)) if kind in sums}


def _slipped(fill: Filled, terms: Terms, tick: Fraction) -> Fraction:
    """Return the slippage of a fill in minor units of the account currency, exact."""
    lost = Fraction(*terms.gain) * fill.slippage * fill.quantity
    if terms.margin_on == "cost":
        return lost
    base = Fraction(1) if terms.margin_on == "quantity" else Fraction(*fill.base_rate)
    return lost * base / (fill.price * tick)  # a unit of quote is worth that much of one of base


def _instant(ts: int) -> datetime:
    return datetime.fromtimestamp(ts / 1000, UTC)

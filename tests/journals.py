"""Journals of made-up accounts, for tests of what reads them."""

from datetime import datetime, timedelta
from decimal import Decimal

from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.trading import OrderIntent
from mikrobot.live.accounts import lines_of
from mikrobot.paper.journal import Filled, Submitted
from mikrobot.paper.venue import contract_of, milliseconds
from mikrobot.store.ledger import JournalLine


def lines_of_a_trade(
    order: OrderIntent,
    prices: tuple[str, str],
    pnl: str,
    fee: str,
    left_at: datetime,
    *,
    first: int,
    by: str = "target",
) -> list[JournalLine]:
    """Return the four lines of a trade entered in the minute it was decided at: two orders, and their fills.

    Parameters
    ----------
    order : OrderIntent
    prices : (str, str)
        Of entry and exit.
    pnl, fee : str
        Result of the exit, and what each side paid; dollars.
    left_at : datetime
    first : int
        Number of the first line on the account.
    by : "target" or "time"
    """
    contract, account = contract_of(order.symbol), instrument(order.symbol).market
    sign, steps = order.side.sign, contract.steps(order.lots * contract.lot)
    entered, left = (milliseconds(at) for at in (order.submitted_at + timedelta(minutes=1), left_at))
    leaving, parent = (f"{order.id}.tp", order.id) if by == "target" else (f"{order.id}.time", "")
    left += 60_000 if by == "time" else 0

    def sent(seq: int, name: str, direction: int, kind: str, parent: str, exits: bool) -> Submitted:
        at, ticket = (entered if exits else entered - 60_000), order.id if exits and account == "fx" else ""
        limit = contract.ticks(order.target) if kind == "limit" else 0
        return Submitted(
            seq, at, name, order.symbol, direction, steps, kind, limit, 0, 0, "GTC", 0, False, exits, ticket, at,
            parent, "",
        )  # fmt: skip

    def filled(seq: int, ts: int, name: str, direction: int, price: str, pnl: str) -> Filled:
        paid, won = (int(Decimal(amount) * 100) for amount in (fee, pnl))
        ticks = contract.ticks(Decimal(price))
        return Filled(
            seq, ts, name, order.symbol, direction, ticks, steps, False, paid, "USD", won, (0, 1), 0, False, False
        )

    return lines_of(
        {
            account: [
                sent(first, order.id, sign, "market", "", False),
                filled(first + 1, entered, order.id, sign, prices[0], "0"),
                sent(first + 2, leaving, -sign, "limit" if by == "target" else "market", parent, True),
                filled(first + 3, left, leaving, -sign, prices[1], pnl),
            ]
        }
    )

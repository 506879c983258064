"""Convert the fills of account journals to ledger fills, each with the id of its bracket.

An order that walks an order book fills once at each level, all at one instant. These are one ledger fill, at the mean
price, with the levels that it took; size, fee and P&L are the exact sums.

A market order that waited for a bar fills at the bar's open, but the journal records it at the bar's
close; the ledger fill has the time of the open. Every other fill happens inside its bar and has the
time of the bar's close. Does not value open positions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import Timeframe
from mikrobot.domain.trading import Fill, FillReason, Side
from mikrobot.paper import money
from mikrobot.paper.contracts import Contract
from mikrobot.paper.journal import Filled, Record, Submitted
from mikrobot.paper.orders import OrderType
from mikrobot.paper.venue import CURRENCY, contract_of

_OF_A_TICK = Decimal("0.0001")

_FORCED = {
    reason.value: reason
    for reason in (FillReason.STOP_OUT, FillReason.LIQUIDATION, FillReason.RUN_END, FillReason.FLATTEN)
}
_AT_THE_OPEN = (FillReason.ENTRY, FillReason.TIME, FillReason.FLATTEN)


def fills_of(journals: Mapping[str, Iterable[Record]], bar: timedelta = Timeframe.M1.delta) -> list[Fill]:
    """Return the fills of the accounts of a `Venue`, in the order they happened: one for each order and instant.

    Parameters
    ----------
    journals : mapping of str to iterable of Record
        Journals by account, in order; only submissions and fills are needed.
    bar : timedelta
        Length of the processed bars.

    Returns
    -------
    list of Fill
        Ids are ``<account>/<number of the first record>``; ``order_id`` is the id of the bracket. Fee and P&L are
        the booked amounts. A mean price is rounded to a ten-thousandth of a tick.
    """
    keyed = [entry for account, records in journals.items() for entry in _account_fills(account, records, bar)]
    return [fill for _, fill in sorted(keyed, key=lambda entry: entry[0])]


def _account_fills(
    account: str, records: Iterable[Record], bar: timedelta
) -> Iterator[tuple[tuple[int, str, int], Fill]]:
    orders: dict[str, Submitted] = {}
    entered: dict[str, str] = {}
    parts: dict[tuple[str, int], list[Filled]] = {}
    brackets: dict[tuple[str, int], str] = {}
    for record in records:
        if isinstance(record, Submitted):
            orders[record.order] = record
        elif isinstance(record, Filled):
            order, key = orders[record.order], (record.order, record.ts)
            if not order.reduce_only:
                entered[record.symbol] = entered[record.order] = record.order
            brackets[key] = entered[order.ticket or (record.symbol if order.reduce_only else record.order)]
            parts.setdefault(key, []).append(record)
    for key, filled in parts.items():
        first = filled[0]
        yield (first.ts, account, first.seq), _fill(account, filled, orders[first.order], brackets[key], bar=bar)


def _fill(account: str, parts: Sequence[Filled], order: Submitted, bracket: str, *, bar: timedelta) -> Fill:
    """Return the ledger fill of one order at one instant, from its fills at each level."""
    first = parts[0]
    contract = contract_of(first.symbol)
    at, reason = datetime.fromtimestamp(first.ts / 1000, UTC), _reason(order)
    return Fill(
        id=f"{account}/{first.seq}",
        order_id=bracket,
        symbol=first.symbol,
        side=Side.BUY if first.sign > 0 else Side.SELL,
        lots=_lots(contract, sum(part.quantity for part in parts)),
        price=_mean(contract, [(part.price, part.quantity) for part in parts]),
        reason=reason,
        fee=money.decimal(sum(part.fee for part in parts), first.fee_currency),
        pnl=money.decimal(sum(part.realised for part in parts), CURRENCY),
        filled_at=at - bar if reason in _AT_THE_OPEN and order.type == OrderType.MARKET.value else at,
        ambiguous=any(part.ambiguous for part in parts),
        levels=tuple(
            (contract.price(price), _lots(contract, part.quantity)) for part in parts for price, _ in part.levels
        ),
        spread=_mean(contract, [(_from_bid(part), part.quantity) for part in parts]) if first.bid else None,
    )


def _lots(contract: Contract, steps: int) -> Decimal:
    return instrument(contract.symbol).quantize_size(contract.quantity(steps) / contract.lot)


def _mean(contract: Contract, amounts: Sequence[tuple[int, int]]) -> Decimal:
    """Return the mean of ticks by their steps as a price: exact where it is a whole tick, else rounded."""
    total, steps = sum(ticks * part for ticks, part in amounts), sum(part for _, part in amounts)
    whole, rest = divmod(total, steps)
    if not rest:
        return contract.price(whole)
    return (total * contract.tick / steps).quantize(contract.tick * _OF_A_TICK)


def _from_bid(part: Filled) -> int:
    """Return the ticks from the best bid of the book to the displayed price, positive when paid."""
    return part.sign * (part.price - part.bid) - part.slippage


def _reason(order: Submitted) -> FillReason:
    if not order.reduce_only:
        return FillReason.ENTRY
    if order.parent:
        return FillReason.STOP if order.type == OrderType.STOP.value else FillReason.TARGET
    return _FORCED.get(order.order.partition(".")[0], FillReason.TIME)

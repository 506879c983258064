"""Convert the fills of account journals to ledger fills, each with the id of its bracket.

A market order that waited for a bar fills at the bar's open, but the journal records it at the bar's
close; the ledger fill has the time of the open. Every other fill happens inside its bar and has the
time of the bar's close. Does not value open positions.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import Timeframe
from mikrobot.domain.trading import Fill, FillReason, Side
from mikrobot.paper import money
from mikrobot.paper.journal import Filled, Record, Submitted
from mikrobot.paper.orders import OrderType
from mikrobot.paper.venue import CURRENCY, contract_of

_FORCED = {reason.value: reason for reason in (FillReason.STOP_OUT, FillReason.LIQUIDATION, FillReason.RUN_END)}


def fills_of(journals: Mapping[str, Iterable[Record]], bar: timedelta = Timeframe.M1.delta) -> list[Fill]:
    """Return the fills of the accounts of a `Venue`, in the order they happened.

    Parameters
    ----------
    journals : mapping of str to iterable of Record
        Journals by account, in order; only submissions and fills are needed.
    bar : timedelta
        Length of the processed bars.

    Returns
    -------
    list of Fill
        Ids are ``<account>/<number of the record>``; ``order_id`` is the id of the bracket. Fee and P&L are
        the booked amounts.
    """
    keyed = [entry for account, records in journals.items() for entry in _account_fills(account, records, bar)]
    return [fill for _, fill in sorted(keyed, key=lambda entry: entry[0])]


def _account_fills(
    account: str, records: Iterable[Record], bar: timedelta
) -> Iterator[tuple[tuple[int, str, int], Fill]]:
    orders: dict[str, Submitted] = {}
    entered: dict[str, str] = {}
    for record in records:
        if isinstance(record, Submitted):
            orders[record.order] = record
        elif isinstance(record, Filled):
            order = orders[record.order]
            if not order.reduce_only:
                entered[record.symbol] = entered[record.order] = record.order
            bracket = entered[order.ticket or (record.symbol if order.reduce_only else record.order)]
            yield (record.ts, account, record.seq), _fill(account, record, order, bracket, bar=bar)


def _fill(account: str, record: Filled, order: Submitted, bracket: str, *, bar: timedelta) -> Fill:
    traded, contract = instrument(record.symbol), contract_of(record.symbol)
    at, reason = datetime.fromtimestamp(record.ts / 1000, UTC), _reason(order)
    return Fill(
        id=f"{account}/{record.seq}",
        order_id=bracket,
        symbol=record.symbol,
        side=Side.BUY if record.sign > 0 else Side.SELL,
        lots=traded.quantize_size(contract.quantity(record.quantity) / contract.lot),
        price=contract.price(record.price),
        reason=reason,
        fee=money.decimal(record.fee, record.fee_currency),
        pnl=money.decimal(record.realised, CURRENCY),
        filled_at=at - bar if reason in (FillReason.ENTRY, FillReason.TIME) else at,
        ambiguous=record.ambiguous,
    )


def _reason(order: Submitted) -> FillReason:
    if not order.reduce_only:
        return FillReason.ENTRY
    if order.parent:
        return FillReason.STOP if order.type == OrderType.STOP.value else FillReason.TARGET
    return _FORCED.get(order.order.partition(".")[0], FillReason.TIME)

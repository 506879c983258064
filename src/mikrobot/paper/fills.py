"""What a journal tells of fills, as the ledger's readers know them: one entry and one exit a bracket.

A market order that waited for a bar is filled at its open, and the journal knows that at the bar's
close; here such a fill has the time of the open. Every other fill is inside its bar, and has the
time of its close. Does not value what is open.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from mikrobot.domain.market import Timeframe, instrument
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
        By account, in order; submissions and fills alone will do.
    bar : timedelta
        Length of the bars that were played.

    Returns
    -------
    list of Fill
        Ids are ``<account>/<number of the record>``; ``order_id`` is the bracket's. Fee and P&L are what
        was booked.
    """
    found = [each for account, records in journals.items() for each in _account_fills(account, records, bar)]
    return [fill for _, fill in sorted(found, key=lambda each: each[0])]


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


def _fill(account: str, told: Filled, order: Submitted, bracket: str, *, bar: timedelta) -> Fill:
    known, contract = instrument(told.symbol), contract_of(told.symbol)
    at, reason = datetime.fromtimestamp(told.ts / 1000, UTC), _reason(order)
    return Fill(
        id=f"{account}/{told.seq}",
        order_id=bracket,
        symbol=told.symbol,
        side=Side.BUY if told.sign > 0 else Side.SELL,
        lots=known.quantize_size(contract.quantity(told.quantity) / contract.lot),
        price=contract.price(told.price),
        reason=reason,
        fee=money.decimal(told.fee, told.fee_currency),
        pnl=money.decimal(told.realised, CURRENCY),
        filled_at=at - bar if reason in (FillReason.ENTRY, FillReason.TIME) else at,
        ambiguous=told.ambiguous,
    )


def _reason(order: Submitted) -> FillReason:
    if not order.reduce_only:
        return FillReason.ENTRY
    if order.parent:
        return FillReason.STOP if order.type == OrderType.STOP.value else FillReason.TARGET
    return _FORCED.get(order.order.partition(".")[0], FillReason.TIME)

"""The journal of an account: one record for each state transition and each cash entry.

The state of an account follows entirely from its records. They hold whole ticks, steps, minor units
and milliseconds, never floats, so that replay is exact. Does not apply them; see `account`.
"""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

from mikrobot.domain.errors import DataError
from mikrobot.paper.book import Level


class Submitted(NamedTuple):
    """An order was submitted; fields as in `orders.Order`."""

    seq: int
    ts: int
    order: str
    symbol: str
    sign: int
    quantity: int
    type: str
    price: int
    stop: int
    trail: int
    tif: str
    expires: int
    post_only: bool
    reduce_only: bool
    ticket: str
    arrives: int
    parent: str
    rival: str
    activation: int = 0
    trail_ppm: int = 0


class Refused(NamedTuple):
    """A request was invalid and was refused without any effect."""

    seq: int
    ts: int
    order: str
    reason: str


class Moved(NamedTuple):
    """An order changed from one state to another."""

    seq: int
    ts: int
    order: str
    before: str
    after: str
    reason: str


class Amended(NamedTuple):
    """The terms of an order changed; `last` is true if it moved to the end of its queue."""

    seq: int
    ts: int
    order: str
    quantity: int
    price: int
    stop: int
    last: bool
    reason: str


class Filled(NamedTuple):
    """A fill of an order.

    Attributes
    ----------
    price, quantity : int
        Price in ticks and quantity in size steps.
    maker : bool
    fee, fee_currency
        Fee in minor units, positive if paid, and its currency.
    realised : int
        Realised profit, minor units of the account currency; 0 on a cash account.
    base_rate : (int, int)
        Value of one unit of base in account currency if margin needs it; else (0, 1).
    unpriced : int
        Size steps beyond the displayed sizes, on which market impact is charged.
    ambiguous : bool
        True if the bar reached both stop and target; the stop is assumed to have filled first.
    stale_rate : bool
        True if it was converted at a rate older than a minute because there was no newer one.
    slippage : int
        Ticks by which a taker's price is worse than the displayed one; negative if better.
    levels : tuple of Level
        The level that it took, with the displayed price in ticks and the displayed size in steps; empty if the
        size was unknown.
    bid : int
        Best bid in ticks of the order book that it took; 0 without one.
    """

    seq: int
    ts: int
    order: str
    symbol: str
    sign: int
    price: int
    quantity: int
    maker: bool
    fee: int
    fee_currency: str
    realised: int
    base_rate: tuple[int, int]
    unpriced: int
    ambiguous: bool
    stale_rate: bool
    slippage: int = 0
    levels: tuple[Level, ...] = ()
    bid: int = 0


class Booked(NamedTuple):
    """A cash entry in minor units: the only thing that changes a balance.

    Kinds: deposit, realised, trade (both legs of a spot fill), fee, swap, funding, insurance.
    """

    seq: int
    ts: int
    kind: str
    currency: str
    amount: int
    cause: str


class Noted(NamedTuple):
    """An event that changed no balance, order or position: margin_call, stop_out, liquidation, market_closed."""

    seq: int
    ts: int
    kind: str
    detail: str


CLOSED = "market_closed"
"""Kind of the note that prices of the symbol in `detail` are ignored until its market opens."""

Record: TypeAlias = Submitted | Refused | Moved | Amended | Filled | Booked | Noted

_KINDS: dict[str, type[Any]] = {
    kind.__name__.lower(): kind for kind in (Submitted, Refused, Moved, Amended, Filled, Booked, Noted)
}


def lines(records: Iterable[Record]) -> str:
    """Return the records as JSON lines, each with its kind; equal records give equal bytes."""
    return "".join(
        json.dumps({"record": type(record).__name__.lower(), **_fields(record)}, separators=(",", ":")) + "\n"
        for record in records
    )


def parse(text: str) -> list[Record]:
    """Return the records that `lines` wrote.

    Raises
    ------
    DataError
        If a line is not a record; the message names the line.
    """
    return [_record(number, line) for number, line in enumerate(text.splitlines(), 1)]


def _fields(record: Record) -> dict[str, Any]:
    """Return the fields of a record; those of an order book only if it has one."""
    fields = record._asdict()
    if isinstance(record, Filled):
        for name in ("levels", "bid"):
            if not fields[name]:
                del fields[name]
    return fields


def _record(number: int, line: str) -> Record:
    try:
        fields = json.loads(line)
        kind = _KINDS[fields.pop("record")]
        if "base_rate" in fields:
            fields["base_rate"] = tuple(fields["base_rate"])
        if "levels" in fields:
            fields["levels"] = tuple((price, size) for price, size in fields["levels"])
        record: Record = kind(**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"journal line {number}: expected a record, found {line[:80]!r}; restore the journal"
        ) from error
    return record

"""The journal of an account: one record for each transition and each cash entry.

Everything an account is follows from its records. They hold whole ticks, steps, minor units and
milliseconds, so that replay is exact, and no float. Does not apply them; see `account`.
"""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

from mikrobot.domain.errors import DataError


class Submitted(NamedTuple):
    """An order came in; fields as in `orders.Order`."""

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
    """A request was no order at all: rejected without any effect."""

    seq: int
    ts: int
    order: str
    reason: str


class Moved(NamedTuple):
    """An order went from one state to another."""

    seq: int
    ts: int
    order: str
    before: str
    after: str
    reason: str


class Amended(NamedTuple):
    """An order's terms changed; `last` tells that it went to the end of its queue."""

    seq: int
    ts: int
    order: str
    quantity: int
    price: int
    stop: int
    last: bool
    reason: str


class Filled(NamedTuple):
    """An execution.

    Attributes
    ----------
    price, quantity : int
        Ticks and steps.
    maker : bool
    fee, fee_currency
        Minor units, positive when paid.
    realised : int
        Minor units of the account currency; 0 on a cash account.
    base_rate : (int, int)
        What a unit of base was worth in account currency, where margin needs it; else (0, 1).
    unpriced : int
        Steps that no displayed size priced: what impact is charged on.
    ambiguous : bool
        The bar held stop and target, and the stop was assumed.
    stale_rate : bool
        Converted at a rate older than a minute, as there was no other.
    slippage : int
        Ticks by which a taker's price is worse than the displayed one; negative when better.
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
    """Something that happened to the account and moved nothing: margin_call, stop_out, liquidation."""

    seq: int
    ts: int
    kind: str
    detail: str


Record: TypeAlias = Submitted | Refused | Moved | Amended | Filled | Booked | Noted

_KINDS: dict[str, type[Any]] = {
    kind.__name__.lower(): kind for kind in (Submitted, Refused, Moved, Amended, Filled, Booked, Noted)
}


def lines(records: Iterable[Record]) -> str:
    """Return the records as JSON, one a line, each under its kind; the same records give the same bytes."""
    return "".join(
        json.dumps({"record": type(record).__name__.lower(), **record._asdict()}, separators=(",", ":")) + "\n"
        for record in records
    )


def parse(text: str) -> list[Record]:
    """Return the records that `lines` wrote.

    Raises
    ------
    DataError
        Naming the line that is not a record.
    """
    return [_record(number, line) for number, line in enumerate(text.splitlines(), 1)]


def _record(number: int, line: str) -> Record:
    try:
        fields = json.loads(line)
        kind = _KINDS[fields.pop("record")]
        if "base_rate" in fields:
            fields["base_rate"] = tuple(fields["base_rate"])
        record: Record = kind(**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"journal line {number}: expected a record, found {line[:80]!r}; restore the journal"
        ) from error
    return record

"""Convert order requests to journal records: check every field, convert prices and quantities to integers.

An invalid request is refused with an `OrderError` before it has any effect. Does not compare orders
with the market; `admission` does.
"""

from decimal import Decimal
from itertools import pairwise

from mikrobot.domain.errors import OrderError, UnknownSymbol
from mikrobot.paper.account import Account
from mikrobot.paper.contracts import Contract, Kind
from mikrobot.paper.journal import Submitted
from mikrobot.paper.money import whole
from mikrobot.paper.orders import Bracket, OneCancelsOther, OrderRequest, OrderType, TimeInForce
from mikrobot.paper.positions import Position

_SHAPES: dict[OrderType, frozenset[tuple[bool, bool, bool]]] = {
    OrderType.MARKET: frozenset({(False, False, False)}),
    OrderType.LIMIT: frozenset({(True, False, False)}),
    OrderType.STOP: frozenset({(False, True, False)}),
    OrderType.STOP_LIMIT: frozenset({(True, True, False)}),
    OrderType.TRAILING_STOP: frozenset({(False, False, True), (False, True, True)}),
}
"""Permitted combinations of (price, stop, trail), by order type."""

_FIELDS = ("price", "stop", "trail")

_PPM_STEP = Decimal("0.0001")
"""One millionth in percent, the step of a trailing distance in percent."""

_RESERVED = ("stop_out.", "liquidation.")


def leader(asked: OrderRequest | Bracket | OneCancelsOther) -> OrderRequest:
    """Return the order that names a request: the entry of a bracket, the first of a pair."""
    match asked:
        case Bracket():
            return asked.entry
        case OneCancelsOther():
            return asked.first
        case _:
            return asked


def records(
    account: Account, asked: OrderRequest | Bracket | OneCancelsOther, ts: int, arrives: int, *, seq: int
) -> list[Submitted]:
    """Return the records of every order in a request, an entry before its exits.

    Parameters
    ----------
    account : Account
    asked : OrderRequest or Bracket or OneCancelsOther
    ts, arrives : int
        Times of submission and of arrival at the venue, milliseconds.
    seq : int
        Number of the first record.

    Raises
    ------
    OrderError, UnknownSymbol
        If one of the orders is invalid.
    """
    match asked:
        case Bracket():
            return bracket(account, asked, ts, arrives, seq=seq)
        case OneCancelsOther():
            return pair(account, asked, ts, arrives, seq=seq)
        case _:
            return [single(account, asked, ts, arrives, seq=seq)]


def contract_of(account: Account, symbol: str) -> Contract:
    """Return the contract of a symbol that the account's venue lists.

    Raises
    ------
    UnknownSymbol
        If the venue does not list the symbol.
    """
    try:
        return account.contracts[symbol]
    except KeyError:
        raise UnknownSymbol(f"unknown symbol {symbol!r}; the venue lists {', '.join(account.contracts)}") from None


def single(account: Account, request: OrderRequest, ts: int, arrives: int, *, seq: int, rival: str = "") -> Submitted:
    """Return the record of one order.

    Raises
    ------
    OrderError, UnknownSymbol
        If the order is invalid.
    """
    contract = contract_of(account, request.symbol)
    if account.profile.cash and contract.kind is Kind.PERP:
        raise OrderError(f"order {request.id}: a cash account trades no perpetuals")
    _check(account, request, ts)
    price, stop, trail = request.price, request.stop, request.trail
    return Submitted(
        seq, ts, request.id, request.symbol, request.side.sign, contract.steps(request.quantity), request.type,
        contract.ticks(price, "a limit") if price is not None else 0,
        contract.ticks(stop, "a stop") if stop is not None else 0,
        contract.ticks(trail, "a trailing distance") if trail is not None else 0,
        request.tif, request.expires or 0, request.post_only, request.reduce_only or bool(request.ticket),
        _ticket(account, request), arrives, "", rival,
        contract.ticks(request.activation, "an activation") if request.activation is not None else 0,
        _ppm(request),
    )  # fmt: skip


def bracket(account: Account, asked: Bracket, ts: int, arrives: int, *, seq: int) -> list[Submitted]:
    """Return the records of an entry and its exits; the record numbers leave a gap for each exit's transition.

    Raises
    ------
    OrderError, UnknownSymbol
        If a leg is invalid, or an exit is on the wrong side of the entry.
    """
    entry = single(account, asked.entry, ts, arrives, seq=seq)
    stop, target = _exits(account, asked, entry)
    if not stop and not target:
        raise OrderError(f"bracket {asked.id}: give it a stop loss, a take profit or both")
    first, second = f"{asked.id}.sl", f"{asked.id}.tp"
    submitted = [entry]
    if stop:
        rival = second if target else ""
        submitted.append(_exit(account, entry, first, seq + 1, type=OrderType.STOP, limit=0, trigger=stop, rival=rival))
    if target:
        rival, number = (first, seq + 3) if stop else ("", seq + 1)
        submitted.append(
            _exit(account, entry, second, number, type=OrderType.LIMIT, limit=target, trigger=0, rival=rival)
        )
    return submitted


def pair(account: Account, asked: OneCancelsOther, ts: int, arrives: int, *, seq: int) -> list[Submitted]:
    """Return the records of two orders that cancel each other.

    Raises
    ------
    OrderError, UnknownSymbol
        If a leg is invalid.
    """
    if asked.first.id == asked.second.id:
        raise OrderError(f"order {asked.first.id}: the two legs have the same id; use different ids")
    return [
        single(account, asked.first, ts, arrives, seq=seq, rival=asked.second.id),
        single(account, asked.second, ts, arrives, seq=seq + 1, rival=asked.first.id),
    ]


def misplaced(sign: int, stop: int, entry: int, target: int) -> str:
    """Return which prices of a bracket, in ticks, are in the wrong order, or an empty string; 0 is no price.

    >>> misplaced(1, 90, 100, 95)
    'the entry must be below the take profit'
    """
    placed = [("stop loss", stop), ("entry", entry), ("take profit", target)]
    for (lower, below), (upper, above) in pairwise([leg for leg in placed if leg[1]]):
        if sign * (above - below) <= 0:
            return f"the {lower} must be {'below' if sign > 0 else 'above'} the {upper}"
    return ""


def closing(account: Account, position: Position, ts: int, reason: str) -> Submitted:
    """Return the record of the market order with which the venue closes a position."""
    seq = account.seq
    return Submitted(
        seq, ts, f"{reason}.{seq}", position.symbol, -position.sign, abs(position.quantity), OrderType.MARKET,
        0, 0, 0, TimeInForce.GTC, 0, False, True, position.ticket, ts, "", "",
    )  # fmt: skip


def _check(account: Account, request: OrderRequest, ts: int) -> None:
    _check_unused(account, request.id)
    trails = request.trail is not None or request.trail_pct is not None
    given = (request.price is not None, request.stop is not None, trails)
    if given not in _SHAPES[request.type]:
        raise _misshapen(request, given)
    if request.trail is not None and request.trail_pct is not None:
        raise OrderError(f"order {request.id}: give its distance as trail or as trail_pct, not both")
    if request.activation is not None and not trails:
        raise OrderError(f"order {request.id}: a {request.type} order has no activation; leave it out")
    if (request.tif is TimeInForce.GTD) != (request.expires is not None):
        raise OrderError(f"order {request.id}: a GTD order needs an expiry time, and no other order has one")
    if request.expires is not None and request.expires <= ts:
        raise OrderError(f"order {request.id}: it expires at {request.expires}, which is not after {ts}")
    if request.post_only and (request.type is not OrderType.LIMIT or request.tif in (TimeInForce.IOC, TimeInForce.FOK)):
        raise OrderError(f"order {request.id}: only a resting limit order can be post-only")


def _ppm(request: OrderRequest) -> int:
    """Return a trailing distance in percent as millionths, 0 if there is none."""
    percent = request.trail_pct
    if percent is None:
        return 0
    if not 0 < percent < 100:
        raise OrderError(f"order {request.id}: trail_pct must be between 0 and 100, not {percent}")
    return whole(percent, _PPM_STEP, f"order {request.id}: trail_pct")


def _check_unused(account: Account, order_id: str) -> None:
    if not order_id or order_id.startswith(_RESERVED):
        raise OrderError(
            f"order {order_id!r}: an id must not be empty and must not begin with {' or '.join(_RESERVED)}"
        )
    if order_id in account.orders:
        raise OrderError(f"order {order_id}: the account has an order with this id already; use a new id")


def _misshapen(request: OrderRequest, given: tuple[bool, ...]) -> OrderError:
    """Return the error for a price, stop or trail that an order lacks or must not have."""
    needed, allowed = (map(any_or_all, zip(*_SHAPES[request.type], strict=True)) for any_or_all in (all, any))
    for field, there, needs, may in zip(_FIELDS, given, needed, allowed, strict=True):
        if needs and not there:
            return OrderError(f"order {request.id}: a {request.type} order needs a {field}")
        if there and not may:
            return OrderError(f"order {request.id}: a {request.type} order has no {field}; leave it out")
    raise AssertionError(given)


def _exits(account: Account, asked: Bracket, entry: Submitted) -> tuple[int, int]:
    """Return the stop loss and the take profit of a bracket in ticks, 0 if it has none."""
    contract = account.contracts[entry.symbol]
    stop = contract.ticks(asked.stop_loss, "a stop loss") if asked.stop_loss is not None else 0
    target = contract.ticks(asked.take_profit, "a take profit") if asked.take_profit is not None else 0
    if reason := misplaced(entry.sign, stop, entry.price or entry.stop, target):
        raise OrderError(f"bracket {asked.id}: {reason}")
    return stop, target


def _exit(
    account: Account, entry: Submitted, name: str, seq: int, *, type: OrderType, limit: int, trigger: int, rival: str
) -> Submitted:
    """Return the record of an exit, with the symbol and quantity of its entry."""
    _check_unused(account, name)
    if name == entry.order:
        raise OrderError(f"order {name}: an exit of its bracket has the same id; use another id for the entry")
    return Submitted(
        seq, entry.ts, name, entry.symbol, -entry.sign, entry.quantity, type, limit, trigger, 0, TimeInForce.GTC, 0,
        False, True, "" if account.profile.netting else entry.order, entry.arrives, entry.order, rival,
    )  # fmt: skip


def _ticket(account: Account, request: OrderRequest) -> str:
    """Return the ticket of the position that an order closes on a hedging account, or an empty string."""
    if account.profile.netting:
        if request.ticket:
            raise OrderError(f"order {request.id}: a netting account has no tickets; leave it out")
        return ""
    if request.ticket:
        opener = account.orders.get(request.ticket)
        if opener is not None and opener.symbol != request.symbol:
            raise OrderError(
                f"order {request.id}: the ticket {request.ticket} is a position in {opener.symbol}, "
                f"not in {request.symbol}"
            )
        return request.ticket
    if request.reduce_only:
        sign = -request.side.sign
        open_ = (key for key, held in account.positions.items() if held.symbol == request.symbol and held.sign == sign)
        return next(open_, "")
    return ""

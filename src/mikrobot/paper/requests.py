"""Requests become orders: every field is checked here, and prices and quantities become whole numbers.

What cannot be an order is refused with an `OrderError` before it has any effect. Does not look at
the market; that is `admission`.
"""

from itertools import pairwise

from mikrobot.domain.errors import OrderError, UnknownSymbol
from mikrobot.paper.account import Account
from mikrobot.paper.contracts import Contract
from mikrobot.paper.journal import Submitted
from mikrobot.paper.orders import Bracket, OneCancelsOther, OrderRequest, OrderType, TimeInForce

_SHAPES: dict[OrderType, frozenset[tuple[bool, bool, bool]]] = {
    OrderType.MARKET: frozenset({(False, False, False)}),
    OrderType.LIMIT: frozenset({(True, False, False)}),
    OrderType.STOP: frozenset({(False, True, False)}),
    OrderType.STOP_LIMIT: frozenset({(True, True, False)}),
    OrderType.TRAILING_STOP: frozenset({(False, False, True), (False, True, True)}),
}
"""By type, which of price, stop and trail may be given together."""

_FIELDS = ("price", "stop", "trail")


def contract_of(account: Account, symbol: str) -> Contract:
    """Return the contract of a symbol that the account's venue lists.

    Raises
    ------
    UnknownSymbol
        If it lists none.
    """
    try:
        return account.contracts[symbol]
    except KeyError:
        raise UnknownSymbol(f"unknown symbol {symbol!r}; the venue lists {', '.join(account.contracts)}") from None


def single(account: Account, request: OrderRequest, ts: int, arrives: int, seq: int, *, rival: str = "") -> Submitted:
    """Return the record of one order.

    Raises
    ------
    OrderError, UnknownSymbol
        If it is no order that any market could take.
    """
    contract = contract_of(account, request.symbol)
    _check(account, request, ts)
    price, stop, trail = request.price, request.stop, request.trail
    return Submitted(
        seq, ts, request.id, request.symbol, request.side.sign, contract.steps(request.quantity), request.type,
        contract.ticks(price, "a limit") if price is not None else 0,
        contract.ticks(stop, "a stop") if stop is not None else 0,
        contract.ticks(trail, "a trailing distance") if trail is not None else 0,
        request.tif, request.expires or 0, request.post_only, request.reduce_only or bool(request.ticket),
        _ticket(account, request), arrives, "", rival,
    )  # fmt: skip


def bracket(account: Account, asked: Bracket, ts: int, arrives: int, seq: int) -> list[Submitted]:
    """Return the records of an entry and its exits; the exits' numbers leave room for their transitions.

    Raises
    ------
    OrderError, UnknownSymbol
        If a leg is no order, or the exits lie on the wrong sides.
    """
    entry = single(account, asked.entry, ts, arrives, seq)
    stop, target = _exits(account, asked)
    ticket = "" if account.profile.netting else entry.order
    legs = [(f"{asked.id}.sl", OrderType.STOP, 0, stop), (f"{asked.id}.tp", OrderType.LIMIT, target, 0)]
    legs = [leg for leg in legs if leg[2] or leg[3]]
    if not legs:
        raise OrderError(f"bracket {asked.id}: give it a stop loss, a take profit or both")
    records = [entry]
    for name, kind, limit, trigger in legs:
        _check_unused(account, name)
        rival = next((other for other, *_ in legs if other != name), "")
        records.append(
            Submitted(
                seq + 2 * len(records) - 1, ts, name, entry.symbol, -entry.sign, entry.quantity, kind,
                limit, trigger, 0, TimeInForce.GTC, 0, False, True, ticket, arrives, entry.order, rival,
            )
        )  # fmt: skip
    return records


def pair(account: Account, asked: OneCancelsOther, ts: int, arrives: int, seq: int) -> list[Submitted]:
    """Return the records of two orders of which one cancels the other.

    Raises
    ------
    OrderError, UnknownSymbol
        If a leg is no order.
    """
    if asked.first.id == asked.second.id:
        raise OrderError(f"order {asked.first.id}: the two legs have the same id; give each its own")
    return [
        single(account, asked.first, ts, arrives, seq, rival=asked.second.id),
        single(account, asked.second, ts, arrives, seq + 1, rival=asked.first.id),
    ]


def _check(account: Account, request: OrderRequest, ts: int) -> None:
    _check_unused(account, request.id)
    given = (request.price is not None, request.stop is not None, request.trail is not None)
    if given not in _SHAPES[request.type]:
        raise _misshapen(request, given)
    if (request.tif is TimeInForce.GTD) != (request.expires is not None):
        raise OrderError(f"order {request.id}: GTD goes with a time of expiry, and only GTD does")
    if request.expires is not None and request.expires <= ts:
        raise OrderError(f"order {request.id}: it expires at {request.expires}, which is not after {ts}")
    if request.post_only and (request.type is not OrderType.LIMIT or request.tif in (TimeInForce.IOC, TimeInForce.FOK)):
        raise OrderError(f"order {request.id}: only a resting limit order can be post-only")


def _check_unused(account: Account, order_id: str) -> None:
    if order_id in account.orders:
        raise OrderError(f"order {order_id}: the account has an order of this id already; ids are used once")


def _misshapen(request: OrderRequest, given: tuple[bool, ...]) -> OrderError:
    """Return what of price, stop and trail an order lacks, or should not have."""
    needed, allowed = (map(any_or_all, zip(*_SHAPES[request.type], strict=True)) for any_or_all in (all, any))
    for field, there, needs, may in zip(_FIELDS, given, needed, allowed, strict=True):
        if needs and not there:
            return OrderError(f"order {request.id}: a {request.type} order needs a {field}")
        if there and not may:
            return OrderError(f"order {request.id}: a {request.type} order has no {field}; leave it out")
    raise AssertionError(given)


def _exits(account: Account, asked: Bracket) -> tuple[int, int]:
    """Return the stop loss and the take profit of a bracket in ticks, 0 where it has none."""
    contract = contract_of(account, asked.entry.symbol)
    sign = asked.entry.side.sign
    entry = asked.entry.price if asked.entry.price is not None else asked.entry.stop
    placed = [("stop loss", asked.stop_loss), ("entry", entry), ("take profit", asked.take_profit)]
    ticks = [contract.ticks(price, f"a {name}") if price is not None else 0 for name, price in placed]
    known = [(name, price) for (name, _), price in zip(placed, ticks, strict=True) if price]
    for (lower, below), (upper, above) in pairwise(known):
        if sign * (above - below) <= 0:
            word = "below" if sign > 0 else "above"
            raise OrderError(f"bracket {asked.id}: the {lower} must lie {word} the {upper}")
    return ticks[0], ticks[2]


def _ticket(account: Account, request: OrderRequest) -> str:
    """Return the position that an order closes on a hedging account."""
    if account.profile.netting:
        if request.ticket:
            raise OrderError(f"order {request.id}: a netting account has no tickets; leave it out")
        return ""
    if request.ticket:
        return request.ticket
    if request.reduce_only:
        sign = -request.side.sign
        open_ = (key for key, held in account.positions.items() if held.symbol == request.symbol and held.sign == sign)
        return next(open_, "")
    return ""

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

_NEEDS = {
    OrderType.MARKET: (),
    OrderType.LIMIT: ("price",),
    OrderType.STOP: ("stop",),
    OrderType.STOP_LIMIT: ("price", "stop"),
    OrderType.TRAILING_STOP: ("trail",),
}
_MAY_HAVE = {OrderType.TRAILING_STOP: ("stop",)}


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


def single(
    account: Account, request: OrderRequest, ts: int, arrives: int, seq: int, *, parent: str = "", rival: str = ""
) -> Submitted:
    """Return the record of one order.

    Raises
    ------
    OrderError, UnknownSymbol
        If it is no order that any market could take.
    """
    contract = contract_of(account, request.symbol)
    _check(account, request, ts)
    trail = contract.ticks(request.trail, "a trailing distance") if request.trail is not None else 0
    return Submitted(
        seq=seq,
        ts=ts,
        order=request.id,
        symbol=request.symbol,
        sign=request.side.sign,
        quantity=contract.steps(request.quantity),
        type=request.type.value,
        price=contract.ticks(request.price, "a limit") if request.price is not None else 0,
        stop=contract.ticks(request.stop, "a stop") if request.stop is not None else 0,
        trail=trail,
        tif=request.tif.value,
        expires=request.expires or 0,
        post_only=request.post_only,
        reduce_only=request.reduce_only or bool(request.ticket),
        ticket=_ticket(account, request),
        arrives=arrives,
        parent=parent,
        rival=rival,
    )


def bracket(account: Account, asked: Bracket, ts: int, arrives: int, seq: int) -> list[Submitted]:
    """Return the records of an entry and its exits; the exits' numbers leave room for their transitions.

    Raises
    ------
    OrderError, UnknownSymbol
        If a leg is no order, or the exits lie on the wrong sides.
    """
    entry = single(account, asked.entry, ts, arrives, seq)
    _check_sides(account, asked)
    ticket = "" if account.profile.netting else entry.order
    legs = [
        (f"{asked.id}.sl", OrderType.STOP, None, asked.stop_loss),
        (f"{asked.id}.tp", OrderType.LIMIT, asked.take_profit, None),
    ]
    legs = [leg for leg in legs if leg[2] is not None or leg[3] is not None]
    if not legs:
        raise OrderError(f"bracket {asked.id}: give it a stop loss, a take profit or both")
    records = [entry]
    for name, kind, price, stop in legs:
        request = OrderRequest(
            name, asked.entry.symbol, asked.entry.side.opposite, asked.entry.quantity, kind, price, stop,
            reduce_only=True, ticket=ticket or None,
        )  # fmt: skip
        rival = next((other for other, *_ in legs if other != name), "")
        number = seq + 1 + 2 * (len(records) - 1)
        records.append(single(account, request, ts, arrives, number, parent=entry.order, rival=rival))
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
    if request.id in account.orders:
        raise OrderError(f"order {request.id}: the account has an order of this id already; ids are used once")
    needs = _NEEDS[request.type]
    for field in ("price", "stop", "trail"):
        given = getattr(request, field) is not None
        if field in needs and not given:
            raise OrderError(f"order {request.id}: a {request.type.value} order needs a {field}")
        if given and field not in needs and field not in _MAY_HAVE.get(request.type, ()):
            raise OrderError(f"order {request.id}: a {request.type.value} order has no {field}; leave it out")
    if (request.tif is TimeInForce.GTD) != (request.expires is not None):
        raise OrderError(f"order {request.id}: GTD goes with a time of expiry, and only GTD does")
    if request.expires is not None and request.expires <= ts:
        raise OrderError(f"order {request.id}: it expires at {request.expires}, which is not after {ts}")
    if request.post_only and (request.type is not OrderType.LIMIT or request.tif in (TimeInForce.IOC, TimeInForce.FOK)):
        raise OrderError(f"order {request.id}: only a resting limit order can be post-only")


def _check_sides(account: Account, asked: Bracket) -> None:
    contract = contract_of(account, asked.entry.symbol)
    sign = asked.entry.side.sign
    entry = asked.entry.price if asked.entry.price is not None else asked.entry.stop
    placed = [("stop loss", asked.stop_loss), ("entry", entry), ("take profit", asked.take_profit)]
    known = [(name, contract.ticks(price, f"a {name}")) for name, price in placed if price is not None]
    for (lower, below), (upper, above) in pairwise(known):
        if sign * (above - below) <= 0:
            word = "below" if sign > 0 else "above"
            raise OrderError(f"bracket {asked.id}: the {lower} must lie {word} the {upper}")


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

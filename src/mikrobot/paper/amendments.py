"""Cancel or modify the orders of one account on request.

A refused request changes nothing and is noted in the journal. Does not submit orders; see `exchange`.
"""

from dataclasses import replace
from decimal import Decimal

from mikrobot.domain.errors import OrderError
from mikrobot.paper.account import Account
from mikrobot.paper.admission import modification_objection
from mikrobot.paper.matching import Matching
from mikrobot.paper.orders import Order, OrderType, Status

ON_REQUEST = "on request"
"""Reason of a cancellation or of new terms, unless another one is given."""

_NO_ORDER = "there is no working order with this id"


def cancel(matching: Matching, ts: int, order_id: str, why: str = ON_REQUEST) -> str:
    """Cancel an order, or all live orders of a bracket; return why nothing was canceled, or an empty string."""
    account = matching.account
    orders = [account.orders[order_id]] if order_id in account.orders else _legs(account, order_id)
    if not any(order.alive for order in orders):
        return _refuse(account, ts, order_id, "cancel", reason=_NO_ORDER)
    for order in orders:
        if order.alive:
            matching.end(ts, order, Status.CANCELED, why)
    return ""


def modify(
    matching: Matching, ts: int, order_id: str, *, price: Decimal | None, stop: Decimal | None, quantity: Decimal | None
) -> str:
    """Replace the terms of an order, and match it again; return the reason for a refusal, or an empty string."""
    account = matching.account
    order = account.orders.get(order_id)
    if order is None or not order.alive:
        return _refuse(account, ts, order_id, "modify", reason=_no_terms(account, order_id))
    try:
        changed = _changed(account, order, price=price, stop=stop, quantity=quantity)
    except OrderError as error:
        return _refuse(account, ts, order_id, "modify", reason=str(error))
    reason = modification_objection(account, matching.markets, matching.rates, order, changed=changed, ts=ts)
    if reason:
        return _refuse(account, ts, order_id, "modify", reason=reason)
    last = (changed.price, changed.stop) != (order.price, order.stop) or changed.quantity > order.quantity
    account.amend(ts, order, ON_REQUEST, quantity=changed.quantity, price=changed.price, stop=changed.stop, last=last)
    matching.reconsider(order, ts)
    return ""


def _changed(
    account: Account, order: Order, *, price: Decimal | None, stop: Decimal | None, quantity: Decimal | None
) -> Order:
    """Return a copy of an order with new terms; for an order without a limit, `price` is its stop."""
    if order.type in (OrderType.STOP, OrderType.TRAILING_STOP) and stop is None:
        stop = price
        price = None
    contract = account.contracts[order.symbol]
    return replace(
        order,
        quantity=order.quantity if quantity is None else contract.steps(quantity),
        price=order.price if price is None else contract.ticks(price, "a limit"),
        stop=order.stop if stop is None else contract.ticks(stop, "a stop"),
    )


def _refuse(account: Account, ts: int, order_id: str, request: str, *, reason: str) -> str:
    account.note(ts, f"{request}_refused", f"{order_id}: {reason}")
    return reason


def _no_terms(account: Account, order_id: str) -> str:
    """Return why an id cannot be modified: it is unknown, ended, or the id of a bracket."""
    legs = [] if order_id in account.orders else _legs(account, order_id)
    if not legs:
        return _NO_ORDER
    return f"a bracket has no terms of its own; modify one of {', '.join([leg.id for leg in legs])}"


def _legs(account: Account, bracket_id: str) -> list[Order]:
    """Return the orders of a bracket, whose ids are derived from the bracket's id."""
    names = [f"{bracket_id}{part}" for part in (".entry", ".sl", ".tp")]
    return [account.orders[name] for name in names if name in account.orders]

"""Reading of an execution scenario: JSON in, contracts, profiles and requests out.

What makes no sense is refused with the part it stands in. Does not play anything.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from mikrobot.domain.errors import MikrobotError, ScenarioError
from mikrobot.domain.trading import Side
from mikrobot.paper.contracts import Contract, Kind, Swap, Tier
from mikrobot.paper.money import whole
from mikrobot.paper.orders import Bracket, OrderRequest, OrderType, TimeInForce
from mikrobot.paper.profiles import Profile

Json = Mapping[str, Any]

CLASSES = {"quote": 0, "book": 0, "bar": 0, "funding": 1, "snapshot": 3}
"""Class of an event in the exchange's order; what is not here is a request, of class 2."""

_KINDS = ("quote", "book", "bar", "funding", "submit", "oco", "modify", "cancel", "deposit", "snapshot")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")


def part(name: str, read: Callable[[], Any]) -> Any:
    """Read one part of a scenario; what is wrong in it is told under its name."""
    try:
        return read()
    except MikrobotError as error:
        raise ScenarioError(f"{name}: {error}") from error


def named(number: int, event: Any) -> str:
    """Return how an event is called in a message."""
    if not isinstance(event, Mapping):
        return f"event {number}"
    return f"event {number} ({event.get('type', 'no type')} at t={event.get('t', 'none')})"


def in_order(events: list[Any]) -> list[tuple[int, Json]]:
    """Return the events with their numbers in the exchange's order; they must not go back in time."""
    numbered, latest = list(enumerate(events, 1)), None
    for number, event in numbered:
        if not isinstance(event, Mapping):
            raise ScenarioError(f"event {number}: expected an object, found {event!r}")
        kind = event.get("type")
        if kind not in _KINDS:
            raise ScenarioError(f"{named(number, event)}: there is no event {kind!r}; there are {', '.join(_KINDS)}")
        ts = part(named(number, event), partial(time, event))
        if latest is not None and ts < latest:
            raise ScenarioError(
                f"{named(number, event)}: it lies before the event ahead of it, at t={latest}; sort them"
            )
        latest = ts
    return sorted(numbered, key=lambda entry: (time(entry[1]), CLASSES.get(entry[1]["type"], 2)))


def field(given: Any, name: str, where: str = "") -> Any:
    """Return a field that must be there."""
    if not isinstance(given, Mapping):
        raise ScenarioError(f"{where or 'the event'}: expected an object, found {given!r}")
    if given.get(name) is None:
        raise ScenarioError(f"{where + ': ' if where else ''}{name} is missing")
    return given[name]


def items(given: Any, name: str, where: str) -> list[Any]:
    """Return a field that must be a list."""
    found = field(given, name, where)
    if not isinstance(found, list):
        raise ScenarioError(f"{where}: {name} must be a list, not {found!r}")
    return found


def number(value: Any, what: str) -> Decimal:
    """Return a finite number, whether it is given as text or as a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ScenarioError(f"{what} must be a number, not {value!r}")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ScenarioError(f"{what} must be a number, not {value!r}") from None
    if not number.is_finite():
        raise ScenarioError(f"{what} must be finite, not {value!r}")
    return number


def optional(given: Json, name: str) -> Decimal | None:
    """Return a number that may be missing."""
    return None if given.get(name) is None else number(given[name], name)


def _decimal(given: Json, name: str, default: str) -> Decimal:
    return number(default if given.get(name) is None else given[name], name)


def time(event: Json) -> int:
    """Return the milliseconds of an event."""
    value = field(event, "t")
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ScenarioError(f"t must be whole milliseconds, not {value!r}")
    return value


def _chosen(given: Json, name: str, choices: type[Any], default: str | None = None) -> Any:
    value = given.get(name, default)
    try:
        return choices(value)
    except ValueError:
        known = ", ".join(choice.value for choice in choices)
        raise ScenarioError(f"{name} must be one of {known}, not {value!r}") from None


def request(order: Json, **changes: Any) -> OrderRequest:
    """Return an order as it is asked for."""
    expires = order.get("expire_t")
    if expires is not None and (isinstance(expires, bool) or not isinstance(expires, int)):
        raise ScenarioError(f"expire_t must be whole milliseconds, not {expires!r}")
    request = OrderRequest(
        id=str(field(order, "id", "order")),
        symbol=str(field(order, "symbol", "order")),
        side=_chosen(order, "side", Side),
        quantity=number(field(order, "qty", "order"), "qty"),
        type=changes.pop("type", None) or _chosen(order, "type", OrderType),
        price=optional(order, "price"),
        stop=optional(order, "stop"),
        trail=optional(order, "trail"),
        tif=_chosen(order, "tif", TimeInForce, "GTC"),
        expires=expires,
        post_only=bool(order.get("post_only", False)),
        reduce_only=bool(order.get("reduce_only", False)),
        ticket=order.get("ticket"),
    )
    return replace(request, **changes)


def bracket(order: Json) -> Bracket:
    """Return a bracket; the price of a stop entry may be given as its price."""
    entry = field(order, "entry", "bracket")
    name = str(field(order, "id", "order"))
    kind = _chosen(entry, "type", OrderType)
    prices = {field: optional(entry, field) for field in ("price", "stop", "trail")}
    if kind is OrderType.STOP and prices["stop"] is None:
        prices = {"price": None, "stop": prices["price"], "trail": None}
    return Bracket(
        name, request(order, id=f"{name}.entry", type=kind, **prices), optional(order, "sl"), optional(order, "tp")
    )


def contract(given: Json) -> Contract:
    """Return the contract of an instrument."""
    kind = _chosen(given, "type", Kind)
    tick = number(field(given, "tick"), "tick")
    step = number(field(given, "size_step"), "size_step")
    if tick <= 0 or step <= 0:
        raise ScenarioError(f"tick and size_step must be positive, not {tick} and {step}")
    contract = Contract(
        symbol=str(field(given, "symbol")),
        kind=kind,
        base=str(field(given, "base")),
        quote=str(field(given, "quote")),
        tick=tick,
        step=step,
        swap=_swap(given),
        spread=whole(_decimal(given, "spread", "0"), tick, "spread"),
        session="fx" if given.get("session") == "fx" else "always",
        pip=_decimal(given, "pip", "0.0001"),
        lot=_decimal(given, "lot", "1"),
        maker_fee=_decimal(given, "maker_fee", "0"),
        taker_fee=_decimal(given, "taker_fee", "0"),
        margin_rate=_decimal(given, "margin_rate", "1"),
    )
    return replace(contract, maintenance=(Tier(None, _decimal(given, "maintenance_rate", "0")),))


def _swap(given: Json) -> Swap | None:
    long, short = optional(given, "swap_long"), optional(given, "swap_short")
    if long is None and short is None:
        return None
    day = given.get("swap_triple_day", "wednesday")
    if day not in _DAYS:
        raise ScenarioError(f"swap_triple_day must be one of {', '.join(_DAYS)}, not {day!r}")
    return Swap(long or Decimal(0), short or Decimal(0), _DAYS.index(day))


def profile(given: Json, contracts: list[Contract]) -> Profile:
    """Return the profile of an account."""
    if given.get("type") not in ("margin", "cash"):
        raise ScenarioError(f"type must be margin or cash, not {given.get('type')!r}")
    if given["type"] == "cash":
        return Profile("scenario", cash=True)
    leverage = _decimal(given, "leverage", "1")
    if leverage <= 0:
        raise ScenarioError(f"leverage must be positive, not {leverage}")
    return Profile(
        "scenario",
        currency=str(field(given, "base_currency")),
        leverage=leverage,
        netting=bool(given.get("netting", True)),
        isolated=any(contract.kind is Kind.PERP for contract in contracts),
        commission_per_lot=_decimal(given, "commission_per_lot", "0"),
        commission_currency=str(given.get("commission_ccy") or ""),
    )

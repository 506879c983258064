"""Read an execution scenario: convert its JSON to contracts, profiles and order requests.

An invalid value is refused with an error that names the part that contains it. Does not simulate.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any, Literal

from mikrobot.domain import amounts
from mikrobot.domain.errors import MikrobotError, ScenarioError
from mikrobot.domain.instruments.instrument import Swap
from mikrobot.domain.trading import Side
from mikrobot.paper.contracts import Contract, Kind, Tier
from mikrobot.paper.money import whole
from mikrobot.paper.orders import Bracket, OrderRequest, OrderType, TimeInForce
from mikrobot.paper.profiles import Profile
from mikrobot.paper.scenario_keys import EVENTS, KEYS

Json = Mapping[str, Any]

CLASSES = {"quote": 0, "book": 0, "bar": 0, "funding": 1, "snapshot": 3}
"""Event class in the exchange's order, by event type; all other types are requests, of class 2."""

LATEST_MS = 4_102_444_800_000
"""2100-01-01 in milliseconds since 1970; a later time is probably in another unit."""

_DIGITS, _LARGEST, _FINEST = 40, 15, -18
"""Maximum digits of a number, and the limits of the powers of ten of its first and last digit."""

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")


def part(name: str, read: Callable[[], Any]) -> Any:
    """Read one part of a scenario; an error gets the name of the part."""
    try:
        return read()
    except MikrobotError as error:
        raise ScenarioError(f"{name}: {error}") from error


def named(number: int, event: Any) -> str:
    """Return the name of an event for an error message."""
    if not isinstance(event, Mapping):
        return f"event {number}"
    return f"event {number} ({_word(event.get('type', 'no type'))} at t={_word(event.get('t', 'none'))})"


def _word(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= 60 else shown(value)


def in_order(events: list[Any]) -> list[tuple[int, Json]]:
    """Return the events with their numbers in the exchange's order; they must be given in time order."""
    numbered, latest = list(enumerate(events, 1)), None
    for number, event in numbered:
        if not isinstance(event, Mapping):
            raise ScenarioError(f"event {number}: expected an object, found {shown(event)}")
        ts = part(named(number, event), partial(_checked, event))
        if latest is not None and ts < latest:
            raise ScenarioError(
                f"{named(number, event)}: it is earlier than the event before it, at t={latest}; sort the events"
            )
        latest = ts
    return sorted(numbered, key=lambda entry: (time(entry[1]), CLASSES.get(entry[1]["type"], 2)))


def _checked(event: Json) -> int:
    """Return the time of an event after a check of its type and keys."""
    kind = event.get("type")
    if not isinstance(kind, str) or kind not in EVENTS:
        raise ScenarioError(f"unknown event type {shown(kind)}; the types are {', '.join(EVENTS)}")
    only(event, EVENTS[kind], f"a {kind}")
    return time(event)


def only(given: Any, allowed: frozenset[str], what: str) -> None:
    """Refuse a part that is not an object, or has a key that is not allowed.

    Raises
    ------
    ScenarioError
        If so; the message names the first such key.
    """
    if not isinstance(given, Mapping):
        raise ScenarioError(f"{what} must be an object, not {shown(given)}")
    for key in given:
        if key not in allowed:
            raise ScenarioError(f"{what} has no key {shown(key)}; its keys are {', '.join(sorted(allowed))}")


def shown(value: Any) -> str:
    """Return a value as text for a message, cut to one short line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def field(given: Any, name: str, where: str = "") -> Any:
    """Return a required field."""
    if not isinstance(given, Mapping):
        raise ScenarioError(f"{where or 'the event'}: expected an object, found {shown(given)}")
    if given.get(name) is None:
        raise ScenarioError(f"{where + ': ' if where else ''}{name} is missing")
    return given[name]


def items(given: Any, name: str, where: str) -> list[Any]:
    """Return a required field that is a list."""
    entries = field(given, name, where)
    if not isinstance(entries, list):
        raise ScenarioError(f"{where}: {name} must be a list, not {shown(entries)}")
    return entries


def text(given: Any, name: str, where: str = "") -> str:
    """Return a required field that is non-empty text."""
    value = field(given, name, where)
    if not isinstance(value, str) or not value:
        raise ScenarioError(f"{where + ': ' if where else ''}{name} must be text, not {shown(value)}")
    return value


def flag(given: Json, name: str, *, default: bool = False) -> bool:
    """Return an optional field that is true or false."""
    value = given.get(name)
    if value is not None and not isinstance(value, bool):
        raise ScenarioError(f"{name} must be true or false, not {shown(value)}")
    return default if value is None else value


def number(value: Any, what: str) -> Decimal:
    """Return a finite number that is given as a number, or as text in ASCII digits."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ScenarioError(f"{what} must be a number, not {shown(value)}")
    try:
        number = amounts.number(str(value))
    except ValueError:
        raise ScenarioError(f"{what} must be a number, not {shown(value)}") from None
    if not number.is_finite():
        raise ScenarioError(f"{what} must be finite, not {shown(value)}")
    if not number:
        return Decimal(0)
    digits = number.as_tuple().digits
    if len(digits) > _DIGITS or not _FINEST <= _last_place(number) <= number.adjusted() <= _LARGEST:
        raise ScenarioError(f"{what} must be below 10^16 and have at most 18 decimals, not {shown(value)}")
    return number


def _last_place(number: Decimal) -> int:
    """Return the power of ten of the last nonzero digit."""
    _, digits, exponent = number.as_tuple()
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return int(exponent) + zeros


def optional(given: Json, name: str) -> Decimal | None:
    """Return an optional number."""
    return None if given.get(name) is None else number(given[name], name)


def _decimal(given: Json, name: str, default: str) -> Decimal:
    return number(default if given.get(name) is None else given[name], name)


def _positive(given: Json, name: str, default: str | None = None) -> Decimal:
    value = number(field(given, name), name) if default is None else _decimal(given, name, default)
    if value <= 0:
        raise ScenarioError(f"{name} must be positive, not {value}")
    return value


def _share(given: Json, name: str, *, rebate: bool = False) -> Decimal:
    """Return a rate below 1; only a maker fee may be negative, as a rebate."""
    value = _decimal(given, name, "0")
    if not (-1 if rebate else 0) <= value < 1:
        raise ScenarioError(f"{name} must be a share from 0 to below 1, not {value}")
    return value


def time(event: Json) -> int:
    """Return the milliseconds of an event."""
    value = milliseconds(field(event, "t"), "t")
    if value >= LATEST_MS:
        raise ScenarioError(f"t must be whole milliseconds before the year 2100, not {value}; check its unit")
    return value


def milliseconds(value: Any, what: str) -> int:
    """Return a time in milliseconds since 1970."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ScenarioError(f"{what} must be whole milliseconds, not {shown(value)}")
    return value


def _chosen(given: Json, name: str, choices: type[Any], default: str | None = None) -> Any:
    value = given.get(name)
    value = default if value is None else value
    try:
        return choices(value)
    except ValueError:
        values = ", ".join(choice.value for choice in choices)
        raise ScenarioError(f"{name} must be one of {values}, not {shown(value)}") from None


def asked(order: Any) -> OrderRequest | Bracket:
    """Return the request of a submit event: an order or a bracket."""
    return bracket(order) if field(order, "type", "order") == "bracket" else request(order)


def request(order: Any) -> OrderRequest:
    """Return the request for one order."""
    only(order, KEYS["order"], "an order")
    return _request(order, text(order, "id", "order"), order)


def _request(order: Json, name: str, terms: Json) -> OrderRequest:
    """Return an order request with type and prices taken from `terms`."""
    expires = order.get("expire_t")
    return OrderRequest(
        id=name,
        symbol=text(order, "symbol", "order"),
        side=_chosen(order, "side", Side),
        quantity=number(field(order, "qty", "order"), "qty"),
        type=_chosen(terms, "type", OrderType),
        price=optional(terms, "price"),
        stop=optional(terms, "stop"),
        trail=optional(terms, "trail"),
        tif=_chosen(order, "tif", TimeInForce, "GTC"),
        expires=None if expires is None else milliseconds(expires, "expire_t"),
        post_only=flag(order, "post_only"),
        reduce_only=flag(order, "reduce_only"),
        ticket=None if order.get("ticket") is None else text(order, "ticket", "order"),
        trail_pct=optional(terms, "trail_pct"),
        activation=optional(terms, "activation"),
    )


def bracket(order: Any) -> Bracket:
    """Return a bracket; a stop entry may give its trigger as `price`."""
    only(order, KEYS["bracket"], "a bracket")
    entry = field(order, "entry", "bracket")
    name = text(order, "id", "order")
    only(entry, KEYS["entry"], "an entry")
    if entry.get("type") == OrderType.STOP.value and entry.get("stop") is None:
        entry = {**entry, "price": None, "stop": entry.get("price")}
    return Bracket(name, _request(order, f"{name}.entry", entry), optional(order, "sl"), optional(order, "tp"))


def contract(given: Any) -> Contract:
    """Return the contract of an instrument."""
    only(given, KEYS["instrument"], "an instrument")
    tick = _positive(given, "tick")
    for name in ("price_precision", "size_precision"):
        _decimals(given, name)
    contract = Contract(
        symbol=text(given, "symbol"),
        kind=_chosen(given, "type", Kind),
        base=text(given, "base"),
        quote=text(given, "quote"),
        tick=tick,
        step=_positive(given, "size_step"),
        swap=_swap(given),
        spread=whole(_decimal(given, "spread", "0"), tick, "spread"),
        session=_session(given),
        pip=_positive(given, "pip", "0.0001"),
        lot=_positive(given, "lot", "1"),
        maker_fee=_share(given, "maker_fee", rebate=True),
        taker_fee=_share(given, "taker_fee", rebate=True),
        margin_rate=_positive(given, "margin_rate", "1"),
        min_notional=_decimal(given, "min_notional", "0"),
    )
    if contract.spread < 0 or contract.min_notional < 0:
        raise ScenarioError("spread and min_notional must be 0 or more")
    if contract.base == contract.quote:
        raise ScenarioError(f"base and quote must differ, both are {contract.base}")
    return replace(contract, maintenance=(Tier(None, _share(given, "maintenance_rate")),))


def _decimals(given: Json, name: str) -> None:
    """Check a number of decimals; its value is unused, as tick and size step define the grids."""
    places = optional(given, name)
    if places is not None and (places != int(places) or not 0 <= places <= -_FINEST):
        raise ScenarioError(f"{name} must be a number of decimals from 0 to {-_FINEST}, not {places}")


def _session(given: Json) -> Literal["always", "fx"]:
    match given.get("session"):
        case None | "always":
            return "always"
        case "fx":
            return "fx"
        case other:
            raise ScenarioError(f"session must be always or fx, not {shown(other)}")


def _swap(given: Json) -> Swap | None:
    long, short = optional(given, "swap_long"), optional(given, "swap_short")
    day = given.get("swap_triple_day")
    day = "wednesday" if day is None else day
    if day not in _DAYS:
        raise ScenarioError(f"swap_triple_day must be one of {', '.join(_DAYS)}, not {shown(day)}")
    return None if long is None and short is None else Swap(long or Decimal(0), short or Decimal(0), _DAYS.index(day))


def profile(given: Any, contracts: list[Contract]) -> Profile:
    """Return the profile of an account."""
    only(given, KEYS["account"], "an account")
    kind = given.get("type")
    if kind not in ("margin", "cash"):
        raise ScenarioError(f"type must be margin or cash, not {shown(kind)}")
    if kind == "cash":
        return Profile("scenario", cash=True)
    commission = _decimal(given, "commission_per_lot", "0")
    if commission < 0:
        raise ScenarioError(f"commission_per_lot must be 0 or more, not {commission}")
    return Profile(
        "scenario",
        currency=text(given, "base_currency"),
        leverage=_positive(given, "leverage", "1"),
        netting=flag(given, "netting", default=True),
        isolated=any(contract.kind is Kind.PERP for contract in contracts),
        commission_per_lot=commission,
        commission_currency="" if given.get("commission_ccy") is None else text(given, "commission_ccy"),
    )


def lot(given: Json) -> Decimal | None:
    """Return the lot size that an account sets for every instrument, or None."""
    return None if given.get("lot") is None else _positive(given, "lot")


def balances(given: Json) -> dict[str, Decimal]:
    """Return the opening balances of an account by currency."""
    amounts = field(given, "balances")
    if not isinstance(amounts, Mapping):
        raise ScenarioError(f"balances must be an object of currencies and amounts, not {shown(amounts)}")
    opening = {currency: number(amount, f"balance {shown(currency)}") for currency, amount in amounts.items()}
    for currency, amount in opening.items():
        if amount < 0:
            raise ScenarioError(f"balance {currency} must be 0 or more, not {amount}")
    return opening

"""Execution scenarios: JSON in, what happened as plain values out, all models off.

Events at one instant are taken in the exchange's order: market data, then funding, then requests,
then snapshots. A scenario that makes no sense is refused with the event that makes none.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from mikrobot.domain.errors import MikrobotError, ScenarioError
from mikrobot.domain.trading import Side
from mikrobot.paper import margin
from mikrobot.paper.account import Account
from mikrobot.paper.bar_path import BarTicks
from mikrobot.paper.book import Level
from mikrobot.paper.contracts import Contract, Kind, Swap, Tier
from mikrobot.paper.exchange import Exchange
from mikrobot.paper.journal import Filled
from mikrobot.paper.money import decimal, whole
from mikrobot.paper.orders import Bracket, OneCancelsOther, OrderRequest, OrderType, TimeInForce
from mikrobot.paper.profiles import Profile

_CLASSES = {"quote": 0, "book": 0, "bar": 0, "funding": 1, "snapshot": 3}
_ACCOUNT = "scenario"
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")

Json = Mapping[str, Any]


def simulate(scenario: Json) -> dict[str, Any]:
    """Play a scenario and return its fills, orders, snapshots and final balances, numbers as strings.

    Parameters
    ----------
    scenario : mapping
        With account, instruments and events.

    Raises
    ------
    ScenarioError
        If it makes no sense; the message names the event or the part.
    """
    if not isinstance(scenario, Mapping):
        raise ScenarioError(f"expected a scenario as one JSON object, found {type(scenario).__name__}")
    contracts = [
        _part(f"instrument {number}", partial(_contract, given))
        for number, given in enumerate(_list(scenario, "instruments", "the scenario"), 1)
    ]
    profile = _part("account", lambda: _profile(_field(scenario, "account", "the scenario"), contracts))
    if len({contract.symbol for contract in contracts}) != len(contracts):
        raise ScenarioError("instruments: a symbol is listed twice; list each once")
    lot = _part("account", partial(_optional, scenario["account"], "lot"))
    if lot is not None:
        contracts = [replace(contract, lot=lot) for contract in contracts]
    play = _Play(Exchange(contracts), profile)
    _part("account", lambda: play.fund(scenario["account"]))
    for number, event in _in_order(_list(scenario, "events", "the scenario")):
        _part(_named(number, event), partial(play.event, event))
    return play.result()


class _Play:
    """One scenario as it goes on."""

    def __init__(self, exchange: Exchange, profile: Profile) -> None:
        self._exchange = exchange
        self._account = exchange.open(_ACCOUNT, profile)
        self._snapshots: list[dict[str, Any]] = []
        self._asked: set[str] = set()
        self._handlers: dict[str, Callable[[int, Json], None]] = {
            "quote": self._quote,
            "book": self._book,
            "bar": self._bar,
            "funding": self._funding,
            "submit": self._submit,
            "oco": self._oco,
            "modify": self._modify,
            "cancel": self._cancel,
            "deposit": self._deposit,
            "snapshot": self._snapshot,
        }

    def fund(self, account: Json) -> None:
        for currency, amount in _field(account, "balances", "account").items():
            self._account.deposit(0, currency, _number(amount, f"balance {currency}"))

    def event(self, event: Json) -> None:
        ts = _time(event)
        if _CLASSES.get(event["type"], 2) >= 2:
            self._exchange.settle(ts)
        self._handlers[event["type"]](ts, event)
        if _CLASSES.get(event["type"], 2) >= 2:
            self._exchange.settle(ts)

    def _quote(self, ts: int, event: Json) -> None:
        contract = self._contract(event)
        bid, ask = (contract.ticks(_number(_field(event, side), side), f"the {side}") for side in ("bid", "ask"))
        sizes = (self._size(contract, event.get(f"{side}_size")) for side in ("bid", "ask"))
        self._exchange.quote(ts, contract.symbol, bid, ask, *sizes)

    def _book(self, ts: int, event: Json) -> None:
        contract = self._contract(event)
        bids, asks = (self._levels(contract, event, side) for side in ("bids", "asks"))
        self._exchange.book(ts, contract.symbol, bids, asks)

    def _bar(self, ts: int, event: Json) -> None:
        contract = self._contract(event)
        detail = event.get("detail")
        if detail:
            self._exchange.detailed_bar(((_time(bar), self._ticks(contract, bar)) for bar in detail), contract.symbol)
        else:
            self._exchange.bar(ts, contract.symbol, *self._ticks(contract, event))

    def _funding(self, ts: int, event: Json) -> None:
        contract, mark = self._contract(event), event.get("mark")
        ticks = None if mark is None else contract.ticks(_number(mark, "mark"), "the mark")
        self._exchange.funding(ts, contract.symbol, _number(_field(event, "rate"), "rate"), ticks)

    def _submit(self, ts: int, event: Json) -> None:
        order = _field(event, "order")
        self._ask(ts, _bracket(order) if _field(order, "type", "order") == "bracket" else _request(order))

    def _oco(self, ts: int, event: Json) -> None:
        orders = _list(event, "orders", "oco")
        if len(orders) != 2:
            raise ScenarioError(f"an oco has two orders, not {len(orders)}")
        self._ask(ts, OneCancelsOther(_request(orders[0]), _request(orders[1])))

    def _ask(self, ts: int, asked: OrderRequest | Bracket | OneCancelsOther) -> None:
        self._exchange.submit(_ACCOUNT, ts, asked)
        match asked:
            case Bracket():
                self._asked.add(asked.id)
            case OneCancelsOther():
                self._asked |= {asked.first.id, asked.second.id}
            case _:
                self._asked.add(asked.id)

    def _modify(self, ts: int, event: Json) -> None:
        given = {"price": event.get("price"), "stop": event.get("stop"), "quantity": event.get("qty")}
        if not any(value is not None for value in given.values()):
            raise ScenarioError("a modify has a new price, stop or qty")
        new = {name: None if value is None else _number(value, name) for name, value in given.items()}
        self._exchange.modify(_ACCOUNT, ts, self._known(event), **new)

    def _cancel(self, ts: int, event: Json) -> None:
        self._exchange.cancel(_ACCOUNT, ts, self._known(event))

    def _deposit(self, ts: int, event: Json) -> None:
        self._account.deposit(ts, _field(event, "currency"), _number(_field(event, "amount"), "amount"))

    def _snapshot(self, ts: int, event: Json) -> None:
        self._snapshots.append({"t": ts, **state(self._exchange, self._account, ts)})

    def _known(self, event: Json) -> str:
        name = str(_field(event, "id"))
        if name not in self._asked and name not in self._account.orders:
            raise ScenarioError(f"no order {name!r} has been submitted")
        return name

    def _contract(self, event: Json) -> Contract:
        symbol = _field(event, "symbol")
        try:
            return self._exchange.contracts[symbol]
        except (KeyError, TypeError):
            raise ScenarioError(f"no instrument has the symbol {symbol!r}") from None

    def _size(self, contract: Contract, size: Any) -> int | None:
        if size is None:
            return None
        steps = whole(_number(size, "size"), contract.step, f"{contract.symbol}: a displayed size")
        if steps < 0:
            raise ScenarioError(f"a displayed size is 0 or more, not {size}")
        return steps

    def _levels(self, contract: Contract, event: Json, side: str) -> list[Level]:
        found = []
        for level in _list(event, side, "book"):
            if not isinstance(level, list) or len(level) != 2:
                raise ScenarioError(f"a level is [price, size], not {level!r}")
            price = contract.ticks(_number(level[0], "price"), f"a price of the {side}")
            size = self._size(contract, level[1])
            if size != 0:
                found.append((price, size))
        return found

    def _ticks(self, contract: Contract, event: Json) -> BarTicks:
        names = ("open", "high", "low", "close")
        open_, high, low, close = (contract.ticks(_number(_field(event, n), n), f"the {n}") for n in names)
        given = event.get("spread")
        spread = contract.spread if given is None else whole(_number(given, "spread"), contract.tick, "the spread")
        return BarTicks(open_, high, low, close, spread)

    def result(self) -> dict[str, Any]:
        account = self._account
        fills = [_told(account.contracts[r.symbol], r) for r in account.journal if isinstance(r, Filled)]
        orders = {
            name: {"status": order.status.value, "filled": str(account.contracts[order.symbol].quantity(order.filled))}
            for name, order in account.orders.items()
        }
        refused = {record.order: {"status": "rejected", "filled": "0"} for record in account.refused}
        return {
            "fills": fills,
            "orders": refused | orders,
            "snapshots": self._snapshots,
            "final": {"balances": _balances(account)},
            "rejections": [{"t": r.ts, "order": r.order, "reason": r.reason} for r in account.rejections()],
            "ambiguous": sum(fill["ambiguous"] for fill in fills),
        }


def state(exchange: Exchange, account: Account, ts: int) -> dict[str, Any]:
    """Return balances, free cash, unrealised profit, margin and positions as strings.

    Free is the balance less the margin, or less what a cash account's orders lock.
    """
    margins, taken = {}, margin.locked(account)
    unrealised: dict[str, str] = {}
    if not account.profile.cash:
        margins = margin.margins(account)
        taken = {account.currency: sum(margins.values())}
        worth = margin.equity(account, exchange.markets, exchange.rates, ts)
        open_profit = worth - account.balances.get(account.currency, 0)
        unrealised[account.currency] = str(decimal(open_profit, account.currency))
    free = {c: str(decimal(amount - taken.get(c, 0), c)) for c, amount in account.balances.items()}
    return {
        "balances": _balances(account),
        "free": free,
        "unrealized": unrealised,
        "margin_used": {symbol: str(decimal(used, account.currency)) for symbol, used in margins.items()},
        "net_position": {s: str(c.quantity(account.net(s))) for s, c in exchange.contracts.items()},
    }


def _balances(account: Account) -> dict[str, str]:
    return {currency: str(decimal(amount, currency)) for currency, amount in account.balances.items()}


def _told(contract: Contract, fill: Filled) -> dict[str, Any]:
    return {
        "t": fill.ts,
        "order": fill.order,
        "side": "buy" if fill.sign > 0 else "sell",
        "price": str(contract.price(fill.price)),
        "qty": str(contract.quantity(fill.quantity)),
        "liquidity": "maker" if fill.maker else "taker",
        "commission": str(decimal(fill.fee, fill.fee_currency)),
        "commission_ccy": fill.fee_currency,
        "ambiguous": fill.ambiguous,
    }


def _part(name: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except MikrobotError as error:
        raise ScenarioError(f"{name}: {error}") from error


def _named(number: int, event: Any) -> str:
    if not isinstance(event, Mapping):
        return f"event {number}"
    return f"event {number} ({event.get('type', 'no type')} at t={event.get('t', 'none')})"


def _in_order(events: list[Any]) -> list[tuple[int, Json]]:
    """Return the events with their numbers in the exchange's order; they must not go back in time."""
    numbered, latest = list(enumerate(events, 1)), None
    for number, event in numbered:
        if not isinstance(event, Mapping):
            raise ScenarioError(f"event {number}: expected an object, found {event!r}")
        kind = event.get("type")
        if kind not in _KINDS:
            raise ScenarioError(f"{_named(number, event)}: there is no event {kind!r}; there are {', '.join(_KINDS)}")
        ts = _part(_named(number, event), partial(_time, event))
        if latest is not None and ts < latest:
            raise ScenarioError(
                f"{_named(number, event)}: it lies before the event ahead of it, at t={latest}; sort them"
            )
        latest = ts
    return sorted(numbered, key=lambda entry: (_time(entry[1]), _CLASSES.get(entry[1]["type"], 2)))


_KINDS = ("quote", "book", "bar", "funding", "submit", "oco", "modify", "cancel", "deposit", "snapshot")


def _field(given: Any, name: str, where: str = "") -> Any:
    if not isinstance(given, Mapping):
        raise ScenarioError(f"{where or 'the event'}: expected an object, found {given!r}")
    if given.get(name) is None:
        raise ScenarioError(f"{where + ': ' if where else ''}{name} is missing")
    return given[name]


def _list(given: Any, name: str, where: str) -> list[Any]:
    found = _field(given, name, where)
    if not isinstance(found, list):
        raise ScenarioError(f"{where}: {name} must be a list, not {found!r}")
    return found


def _number(value: Any, what: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ScenarioError(f"{what} must be a number, not {value!r}")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ScenarioError(f"{what} must be a number, not {value!r}") from None
    if not number.is_finite():
        raise ScenarioError(f"{what} must be finite, not {value!r}")
    return number


def _optional(given: Json, name: str) -> Decimal | None:
    return None if given.get(name) is None else _number(given[name], name)


def _decimal(given: Json, name: str, default: str) -> Decimal:
    return _number(default if given.get(name) is None else given[name], name)


def _time(event: Json) -> int:
    value = _field(event, "t")
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


def _request(order: Json, **changes: Any) -> OrderRequest:
    expires = order.get("expire_t")
    if expires is not None and (isinstance(expires, bool) or not isinstance(expires, int)):
        raise ScenarioError(f"expire_t must be whole milliseconds, not {expires!r}")
    request = OrderRequest(
        id=str(_field(order, "id", "order")),
        symbol=str(_field(order, "symbol", "order")),
        side=_chosen(order, "side", Side),
        quantity=_number(_field(order, "qty", "order"), "qty"),
        type=changes.pop("type", None) or _chosen(order, "type", OrderType),
        price=_optional(order, "price"),
        stop=_optional(order, "stop"),
        trail=_optional(order, "trail"),
        tif=_chosen(order, "tif", TimeInForce, "GTC"),
        expires=expires,
        post_only=bool(order.get("post_only", False)),
        reduce_only=bool(order.get("reduce_only", False)),
        ticket=order.get("ticket"),
    )
    return replace(request, **changes)


def _bracket(order: Json) -> Bracket:
    entry = _field(order, "entry", "bracket")
    name = str(_field(order, "id", "order"))
    kind = _chosen(entry, "type", OrderType)
    prices = {field: _optional(entry, field) for field in ("price", "stop", "trail")}
    if kind is OrderType.STOP and prices["stop"] is None:
        prices = {"price": None, "stop": prices["price"], "trail": None}
    return Bracket(
        name, _request(order, id=f"{name}.entry", type=kind, **prices), _optional(order, "sl"), _optional(order, "tp")
    )


def _contract(given: Json) -> Contract:
    kind = _chosen(given, "type", Kind)
    tick = _number(_field(given, "tick"), "tick")
    step = _number(_field(given, "size_step"), "size_step")
    if tick <= 0 or step <= 0:
        raise ScenarioError(f"tick and size_step must be positive, not {tick} and {step}")
    contract = Contract(
        symbol=str(_field(given, "symbol")),
        kind=kind,
        base=str(_field(given, "base")),
        quote=str(_field(given, "quote")),
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
    long, short = _optional(given, "swap_long"), _optional(given, "swap_short")
    if long is None and short is None:
        return None
    day = given.get("swap_triple_day", "wednesday")
    if day not in _DAYS:
        raise ScenarioError(f"swap_triple_day must be one of {', '.join(_DAYS)}, not {day!r}")
    return Swap(long or Decimal(0), short or Decimal(0), _DAYS.index(day))


def _profile(given: Json, contracts: list[Contract]) -> Profile:
    if given.get("type") not in ("margin", "cash"):
        raise ScenarioError(f"type must be margin or cash, not {given.get('type')!r}")
    if given["type"] == "cash":
        return Profile("scenario", cash=True)
    leverage = _decimal(given, "leverage", "1")
    if leverage <= 0:
        raise ScenarioError(f"leverage must be positive, not {leverage}")
    return Profile(
        "scenario",
        currency=str(_field(given, "base_currency")),
        leverage=leverage,
        netting=bool(given.get("netting", True)),
        isolated=any(contract.kind is Kind.PERP for contract in contracts),
        commission_per_lot=_decimal(given, "commission_per_lot", "0"),
        commission_currency=str(given.get("commission_ccy") or ""),
    )

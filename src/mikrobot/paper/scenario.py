"""Simulate execution scenarios: take parsed JSON, return the results as plain values.

Latency and slippage models are off. Events at one instant are processed in the exchange's order:
market data, then funding, then requests, then snapshots. An invalid scenario is refused with an
error that names the invalid event.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from mikrobot.domain.errors import ScenarioError
from mikrobot.paper import margin
from mikrobot.paper import scenario_input as reading
from mikrobot.paper.account import Account
from mikrobot.paper.bar_path import BarTicks
from mikrobot.paper.book import Level
from mikrobot.paper.contracts import Contract
from mikrobot.paper.exchange import Exchange
from mikrobot.paper.journal import Filled, Moved
from mikrobot.paper.money import decimal, minor, whole
from mikrobot.paper.orders import TERMINAL, Bracket, OneCancelsOther, OrderRequest
from mikrobot.paper.profiles import Profile
from mikrobot.paper.scenario_keys import KEYS

_ACCOUNT = "scenario"


def simulate(scenario: reading.Json) -> dict[str, Any]:
    """Simulate a scenario and return its fills, orders, snapshots and final balances, numbers as strings.

    `rejections` lists rejected orders and refused modifications and cancellations, each with its reason.
    `reasons` maps the id of each ended order to the reason for its end, if there is one.

    Parameters
    ----------
    scenario : mapping
        With account, instruments and events.

    Raises
    ------
    ScenarioError
        If the scenario is invalid; the message names the event or the part.
    """
    reading.only(scenario, KEYS["scenario"], "a scenario")
    if scenario.get("id") is not None:
        reading.text(scenario, "id", "the scenario")
    contracts = [
        reading.part(f"instrument {number}", partial(reading.contract, given))
        for number, given in enumerate(reading.items(scenario, "instruments", "the scenario"), 1)
    ]
    profile = reading.part(
        "account", lambda: reading.profile(reading.field(scenario, "account", "the scenario"), contracts)
    )
    if len({contract.symbol for contract in contracts}) != len(contracts):
        raise ScenarioError("instruments: a symbol is listed twice; list each once")
    lot = reading.part("account", partial(reading.lot, scenario["account"]))
    if lot is not None:
        contracts = [replace(contract, lot=lot) for contract in contracts]
    play = _Play(Exchange(contracts), profile)
    reading.part("account", partial(play.fund, scenario["account"]))
    for number, event in reading.in_order(reading.items(scenario, "events", "the scenario")):
        reading.part(reading.named(number, event), partial(play.event, event))
    return play.result()


class _Play:
    """The state of a scenario during its simulation."""

    def __init__(self, exchange: Exchange, profile: Profile) -> None:
        self._exchange = exchange
        self._account = exchange.open(_ACCOUNT, profile)
        self._snapshots: list[dict[str, Any]] = []
        self._refusals: list[dict[str, Any]] = []
        self._asked: set[str] = set()
        self._handlers: dict[str, Callable[[int, reading.Json], None]] = {
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

    def fund(self, account: reading.Json) -> None:
        for currency, amount in reading.balances(account).items():
            self._account.deposit(0, currency, amount)

    def event(self, event: reading.Json) -> None:
        ts = reading.time(event)
        if reading.CLASSES.get(event["type"], 2) >= 2:
            self._exchange.settle(ts)
        self._handlers[event["type"]](ts, event)
        if reading.CLASSES.get(event["type"], 2) >= 2:
            self._exchange.settle(ts)

    def _quote(self, ts: int, event: reading.Json) -> None:
        contract = self._contract(event)
        bid, ask = (
            contract.ticks(reading.number(reading.field(event, side), side), f"the {side}") for side in ("bid", "ask")
        )
        sizes = [self._size(contract, event.get(f"{side}_size")) for side in ("bid", "ask")]
        if reading.flag(event, "conversion_only"):
            self._exchange.rate(ts, contract.symbol, bid, ask)
        else:
            self._exchange.quote(ts, contract.symbol, bid, ask, *sizes)

    def _book(self, ts: int, event: reading.Json) -> None:
        contract = self._contract(event)
        bids, asks = (self._levels(contract, event, side) for side in ("bids", "asks"))
        if not reading.flag(event, "conversion_only"):
            self._exchange.book(ts, contract.symbol, bids, asks)
        elif not bids or not asks:
            raise ScenarioError("a book for conversion needs a bid and an ask")
        else:
            self._exchange.rate(ts, contract.symbol, bids[0][0], asks[0][0])

    def _bar(self, ts: int, event: reading.Json) -> None:
        contract = self._contract(event)
        bar = self._ticks(contract, event)
        if reading.flag(event, "conversion_only"):
            self._exchange.rate(ts, contract.symbol, bar.close, bar.close + bar.spread)
        elif event.get("detail"):
            self._exchange.detailed_bar(self._detail(ts, contract, event), contract.symbol)
        else:
            self._exchange.bar(ts, contract.symbol, *bar)

    def _detail(self, ts: int, contract: Contract, event: reading.Json) -> list[tuple[int, BarTicks]]:
        """Return the finer bars of a bar; one that closes after it, or leaves its range, is an error."""
        coarse, finer = self._ticks(contract, event), []
        if not coarse.low <= min(coarse.open, coarse.close) <= max(coarse.open, coarse.close) <= coarse.high:
            raise ScenarioError("the open or the close of the bar is outside its low and high; correct the bar")
        for bar in reading.items(event, "detail", "bar"):
            reading.only(bar, KEYS["detail"], "a finer bar")
            if reading.time(bar) > ts:
                raise ScenarioError(f"a finer bar closes at t={bar['t']}, after the bar that it is part of")
            if bar.get("symbol") not in (None, contract.symbol):
                raise ScenarioError(f"a finer bar has the symbol {reading.shown(bar['symbol'])}, not {contract.symbol}")
            finer.append((reading.time(bar), self._within(contract, bar, event, coarse=coarse)))
        return finer

    def _within(self, contract: Contract, bar: reading.Json, event: reading.Json, *, coarse: BarTicks) -> BarTicks:
        """Return a finer bar whose prices are within those of the bar that it is part of."""
        ticks = self._ticks(contract, bar)
        if ticks.low < coarse.low or ticks.high > coarse.high:
            raise ScenarioError(
                f"the finer bar at t={bar['t']} goes from {bar['low']} to {bar['high']}, "
                f"beyond the bar that it is part of, from {event['low']} to {event['high']}; correct one of them"
            )
        return ticks

    def _funding(self, ts: int, event: reading.Json) -> None:
        contract, mark = self._contract(event), event.get("mark")
        ticks = None if mark is None else contract.ticks(reading.number(mark, "mark"), "the mark")
        self._exchange.funding(ts, contract.symbol, reading.number(reading.field(event, "rate"), "rate"), ticks)

    def _submit(self, ts: int, event: reading.Json) -> None:
        self._ask(ts, reading.asked(reading.field(event, "order")))

    def _oco(self, ts: int, event: reading.Json) -> None:
        orders = reading.items(event, "orders", "oco")
        if len(orders) != 2:
            raise ScenarioError(f"an oco needs two orders, not {len(orders)}")
        self._ask(ts, OneCancelsOther(reading.request(orders[0]), reading.request(orders[1])))

    def _ask(self, ts: int, asked: OrderRequest | Bracket | OneCancelsOther) -> None:
        self._exchange.submit(_ACCOUNT, ts, asked)
        match asked:
            case Bracket():
                self._asked.add(asked.id)
            case OneCancelsOther():
                self._asked |= {asked.first.id, asked.second.id}
            case _:
                self._asked.add(asked.id)

    def _modify(self, ts: int, event: reading.Json) -> None:
        given = {"price": event.get("price"), "stop": event.get("stop"), "quantity": event.get("qty")}
        if not any(value is not None for value in given.values()):
            raise ScenarioError("a modify needs a new price, stop or qty")
        new = {name: None if value is None else reading.number(value, name) for name, value in given.items()}
        name = self._order_id(event)
        self._refusal(ts, name, "modify", self._exchange.modify(_ACCOUNT, ts, name, **new))

    def _cancel(self, ts: int, event: reading.Json) -> None:
        name = self._order_id(event)
        self._refusal(ts, name, "cancel", self._exchange.cancel(_ACCOUNT, ts, name))

    def _refusal(self, ts: int, name: str, request: str, reason: str) -> None:
        """Store the refusal of a request for the result, if it has a reason."""
        if reason:
            self._refusals.append({"t": ts, "order": name, "reason": f"{request} refused: {reason}"})

    def _deposit(self, ts: int, event: reading.Json) -> None:
        currency = reading.text(event, "currency")
        amount = reading.number(reading.field(event, "amount"), "amount")
        free = margin.withdrawable(self._account, currency)
        if amount < 0 and minor(-amount, currency) > free:
            left = decimal(max(free, 0), currency)
            raise ScenarioError(f"a withdrawal of {_text(-amount)} {currency} exceeds the {_text(left)} that are free")
        self._account.deposit(ts, currency, amount)

    def _snapshot(self, ts: int, event: reading.Json) -> None:
        self._snapshots.append({"t": ts, **state(self._exchange, self._account, ts)})

    def _order_id(self, event: reading.Json) -> str:
        name = reading.text(event, "id")
        if name not in self._asked and name not in self._account.orders:
            raise ScenarioError(f"no order {reading.shown(name)} has been submitted")
        return name

    def _contract(self, event: reading.Json) -> Contract:
        symbol = reading.text(event, "symbol")
        try:
            return self._exchange.contracts[symbol]
        except KeyError:
            raise ScenarioError(f"no instrument has the symbol {reading.shown(symbol)}") from None

    def _size(self, contract: Contract, size: Any) -> int | None:
        if size is None:
            return None
        steps = whole(reading.number(size, "size"), contract.step, f"{contract.symbol}: a displayed size")
        if steps < 0:
            raise ScenarioError(f"a displayed size must be 0 or more, not {reading.shown(size)}")
        return steps

    def _levels(self, contract: Contract, event: reading.Json, side: str) -> list[Level]:
        levels = []
        for level in reading.items(event, side, "book"):
            if not isinstance(level, list) or len(level) != 2:
                raise ScenarioError(f"a level must be [price, size], not {reading.shown(level)}")
            price = contract.ticks(reading.number(level[0], "price"), f"a price of the {side}")
            size = self._size(contract, level[1])
            if size != 0:
                levels.append((price, size))
        return levels

    def _ticks(self, contract: Contract, event: reading.Json) -> BarTicks:
        names = ("open", "high", "low", "close")
        open_, high, low, close = (
            contract.ticks(reading.number(reading.field(event, n), n), f"the {n}") for n in names
        )
        given = event.get("spread")
        spread = (
            contract.spread if given is None else whole(reading.number(given, "spread"), contract.tick, "the spread")
        )
        return BarTicks(open_, high, low, close, spread)

    def result(self) -> dict[str, Any]:
        account = self._account
        fills = [_fill(account.contracts[r.symbol], r) for r in account.journal if isinstance(r, Filled)]
        orders = {
            name: {
                "status": order.status.value,
                "filled": _text(account.contracts[order.symbol].quantity(order.filled)),
            }
            for name, order in account.orders.items()
        }
        ends = (record for record in account.journal if isinstance(record, Moved) and record.after in TERMINAL)
        rejections = [{"t": r.ts, "order": r.order, "reason": r.reason} for r in account.rejections()]
        refused = {record.order: {"status": "rejected", "filled": "0"} for record in account.refused}
        return {
            "fills": fills,
            "orders": refused | orders,
            "snapshots": self._snapshots,
            "final": {"balances": _balances(account)},
            "rejections": sorted(rejections + self._refusals, key=lambda refusal: refusal["t"]),
            "reasons": {record.order: record.reason for record in ends if record.reason},
            "ambiguous": sum(fill["ambiguous"] for fill in fills),
        }


def state(exchange: Exchange, account: Account, ts: int) -> dict[str, Any]:
    """Return balances, free cash, unrealised profit, margin and positions as strings.

    Free cash is the balance less the margin, or less the amounts that the orders of a cash account
    lock; the margin that an isolated position has lost already is not subtracted again. The unrealised
    profit of a cash account is that of its bought coins at the bid, by the currency in which they were bought.
    """
    margins, taken = {}, margin.locked(account)
    unrealised: dict[str, str] = {}
    if account.profile.cash:
        unrealised = {
            name: _text(decimal(gain, name)) for name, gain in margin.holdings_gain(account, exchange.markets)
        }
    else:
        margins = margin.margins(account)
        balance = account.balances.get(account.currency, 0)
        taken = {account.currency: balance - account.free_cash if account.profile.isolated else sum(margins.values())}
        worth = margin.equity(account, exchange.markets, exchange.rates, ts)
        unrealised[account.currency] = _text(decimal(worth - balance, account.currency))
    free = {c: _text(decimal(amount - taken.get(c, 0), c)) for c, amount in account.balances.items()}
    return {
        "balances": _balances(account),
        "free": free,
        "unrealized": unrealised,
        "margin_used": {symbol: _text(decimal(used, account.currency)) for symbol, used in margins.items()},
        "net_position": {s: _text(c.quantity(account.net(s))) for s, c in exchange.contracts.items()},
    }


def _balances(account: Account) -> dict[str, str]:
    return {currency: _text(decimal(amount, currency)) for currency, amount in account.balances.items()}


def _text(number: Decimal) -> str:
    """Return a number as text without an exponent."""
    return f"{number:f}"


def _fill(contract: Contract, fill: Filled) -> dict[str, Any]:
    return {
        "t": fill.ts,
        "order": fill.order,
        "side": "buy" if fill.sign > 0 else "sell",
        "price": _text(contract.price(fill.price)),
        "qty": _text(contract.quantity(fill.quantity)),
        "liquidity": "maker" if fill.maker else "taker",
        "commission": _text(decimal(fill.fee, fill.fee_currency)),
        "commission_ccy": fill.fee_currency,
        "ambiguous": fill.ambiguous,
    }

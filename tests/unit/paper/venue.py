"""A venue for tests: contracts, accounts without latency and slippage, and short calls for orders."""

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

from mikrobot.domain.instruments.instrument import Swap
from mikrobot.domain.trading import Side
from mikrobot.paper.account import Account
from mikrobot.paper.contracts import Contract, Kind
from mikrobot.paper.exchange import Exchange
from mikrobot.paper.journal import Booked, Filled, Noted
from mikrobot.paper.money import decimal
from mikrobot.paper.orders import Bracket, OrderRequest, OrderType, Status
from mikrobot.paper.profiles import Profile

MONDAY = 1_710_115_200_000
"""Monday 2024-03-11 00:00 UTC in milliseconds; the rollover is at 21:00 UTC in that week."""

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

EURUSD = Contract(
    "EURUSD", Kind.FX, "EUR", "USD", D("0.00001"), D(1000), lot=D(100_000), swap=Swap(D("-6.5"), D("1.2"))
)
GBPUSD = replace(EURUSD, symbol="GBPUSD", base="GBP", swap=None)
USDJPY = Contract(
    "USDJPY", Kind.FX, "USD", "JPY", D("0.001"), D(1000), pip=D("0.01"), lot=D(100_000), swap=Swap(D(11), D(-21))
)
EURJPY = replace(USDJPY, symbol="EURJPY", base="EUR", swap=Swap(D("4.5"), D(-9)))
BTC = Contract("BTCUSDT", Kind.SPOT, "BTC", "USDT", D("0.01"), D("0.00001"), maker_fee=D("0.001"), taker_fee=D("0.001"))
PERP = replace(BTC, symbol="BTCPERP", kind=Kind.PERP, tick=D("0.1"), step=D("0.001"), taker_fee=D("0.0005"))
CONTRACTS = (EURUSD, GBPUSD, USDJPY, EURJPY, BTC, PERP)

NETTING = Profile("netting", currency="USD", leverage=D(30))
HEDGING = replace(NETTING, name="hedging", netting=False)
CASH = Profile("cash", cash=True)
ISOLATED = Profile("isolated", currency="USDT", leverage=D(10), isolated=True)


class Venue:
    """An exchange with one account; takes prices and quantities as text."""

    def __init__(
        self, profile: Profile = NETTING, money: dict[str, str] | None = None,
        contracts: tuple[Contract, ...] = CONTRACTS, *, waits_for_open: bool = False, at: int = MONDAY,
    ) -> None:  # fmt: skip
        self.exchange = Exchange(contracts, waits_for_open=waits_for_open)
        self.account: Account = self.exchange.open("a", profile, seed=7)
        self.ts = at
        for currency, amount in (money or {profile.currency or "USDT": "10000"}).items():
            self.account.deposit(at, currency, D(amount))

    def at(self, ts: int) -> "Venue":
        """Advance to a time and process all events due by then."""
        self.ts = ts
        self.exchange.settle(ts)
        return self

    def quote(self, symbol: str, bid: str, ask: str, size: str | None = None) -> "Venue":
        """Send a quote one millisecond later."""
        self.ts += 1
        contract = self.exchange.contracts[symbol]
        steps = None if size is None else contract.steps(D(size))
        self.exchange.quote(self.ts, symbol, contract.ticks(D(bid)), contract.ticks(D(ask)), steps, steps)
        self.exchange.settle(self.ts)
        return self

    def send(self, id: str, symbol: str, side: str, quantity: str, type: str = "market", **rest: Any) -> str:
        """Submit an order now; return the reason for an immediate refusal."""
        prices = {name: D(value) for name, value in rest.items() if name in ("price", "stop", "trail")}
        request = OrderRequest(id, symbol, Side(side), D(quantity), OrderType(type), **rest | prices)
        refusal = self.exchange.submit("a", self.ts, request)
        self.exchange.settle(self.ts)
        return refusal

    def send_bracket(self, id: str, symbol: str, side: str, quantity: str, sl: str, tp: str) -> str:
        """Submit a bracket with a market entry."""
        entry = OrderRequest(id, symbol, Side(side), D(quantity))
        refusal = self.exchange.submit("a", self.ts, Bracket(id, entry, D(sl), D(tp)))
        self.exchange.settle(self.ts)
        return refusal

    def status(self, id: str) -> Status:
        return self.account.orders[id].status

    def balance(self, currency: str = "USD") -> D:
        return self.account.balance(currency)

    def booked(self, kind: str) -> list[D]:
        """Return the cash entries of a kind."""
        entries = [r for r in self.account.journal if isinstance(r, Booked) and r.kind == kind]
        return [decimal(entry.amount, entry.currency) for entry in entries]

    def fills(self) -> list[Filled]:
        return [record for record in self.account.journal if isinstance(record, Filled)]

    def notes(self) -> list[str]:
        return [record.kind for record in self.account.journal if isinstance(record, Noted)]

    def reasons(self) -> list[str]:
        return [record.reason for record in self.account.rejections()]

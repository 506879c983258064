"""Generated markets and requests for the invariants: several accounts, instruments, quotes, books and bars.

A world is a list of tuples of small integers, which hypothesis draws and shrinks. This module converts
each tuple to an event, a few milliseconds to several hours after the previous one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal as D

from hypothesis import strategies as st

from mikrobot.domain.instruments.instrument import Swap
from mikrobot.domain.trading import Side
from mikrobot.paper.account import Account
from mikrobot.paper.book import Level
from mikrobot.paper.contracts import Contract, Kind
from mikrobot.paper.exchange import Exchange
from mikrobot.paper.orders import Bracket, OneCancelsOther, OrderRequest, OrderType, TimeInForce
from mikrobot.paper.profiles import Profile
from mikrobot.paper.slippage import Latency, Slippage

START = 1_710_189_000_000  # Monday 2024-03-11 20:30 UTC, half an hour before the rollover

EURUSD = Contract(
    "EURUSD", Kind.FX, "EUR", "USD", D("0.00001"), D(1000), lot=D(100_000), swap=Swap(D("-6.5"), D("1.2")), adv=1e8
)
USDJPY = Contract(
    "USDJPY", Kind.FX, "USD", "JPY", D("0.001"), D(1000), pip=D("0.01"), lot=D(100_000), swap=Swap(D(11), D(-21))
)
EURJPY = replace(USDJPY, symbol="EURJPY", base="EUR")
BTC = Contract("BTCUSDT", Kind.SPOT, "BTC", "USDT", D("0.01"), D("0.001"), maker_fee=D("0.0002"), taker_fee=D("0.001"))
PERP = replace(BTC, symbol="BTCPERP", kind=Kind.PERP, tick=D("0.1"), taker_fee=D("0.0005"))
CONTRACTS = {contract.symbol: contract for contract in (EURUSD, USDJPY, EURJPY, BTC, PERP)}
FIRST = {"EURUSD": 110_000, "USDJPY": 150_000, "EURJPY": 165_000, "BTCUSDT": 6_000_000, "BTCPERP": 600_000}

NETTING = Profile("netting", currency="USD", leverage=D(30), commission_per_lot=D("3.50"))
PROFILES = {
    "netting": NETTING,
    "hedging": replace(NETTING, name="hedging", netting=False),
    "cash": Profile("cash", cash=True),
    "isolated": Profile("isolated", currency="USDT", leverage=D(10), isolated=True),
}
MONEY = {
    "netting": {"USD": 2500},
    "hedging": {"USD": 2500},
    "cash": {"USDT": 3000, "BTC": 1},
    "isolated": {"USDT": 500},
}
TRADES = {
    "netting": ("EURUSD", "USDJPY", "EURJPY"),
    "hedging": ("EURUSD", "USDJPY", "EURJPY"),
    "cash": ("BTCUSDT",),
    "isolated": ("BTCPERP",),
}
NAMES = tuple(PROFILES)

Draw = tuple[int, int, int, int, int, int]

draws = st.tuples(
    st.integers(0, 15),
    st.integers(0, 11),
    st.integers(-90, 90),
    st.integers(0, 40),
    st.integers(1, 40),
    st.integers(0, 63),
)
worlds = st.lists(draws, min_size=8, max_size=30)


@dataclass(frozen=True)
class Shown:
    """Market data shown from an instant on: book levels or a bar."""

    ts: int
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()
    bar: tuple[int, int, int, int, int] | None = None
    opened: int = 0


@dataclass
class Run:
    """A simulated world: its exchange, and the market data and order pairs for the checks."""

    exchange: Exchange
    shown: dict[str, list[Shown]] = field(default_factory=lambda: {symbol: [] for symbol in CONTRACTS})
    pairs: list[tuple[str, str, str]] = field(default_factory=list)
    opening: dict[str, int] = field(default_factory=lambda: dict(FIRST))
    waits: bool = False

    @property
    def accounts(self) -> list[Account]:
        return list(self.exchange.accounts.values())


def noisy(profile: Profile) -> Profile:
    """Return the profile with latency and slippage added."""
    return replace(profile, latency=Latency(5.0, 10.0, 0.5), slippage=Slippage())


def play(world: Sequence[Draw], names: Iterable[str] = NAMES, *, models: bool = False, waits: bool = False) -> Run:
    """Simulate a world with the named accounts; requests for other accounts are skipped.

    With `waits`, orders that arrive after a bar wait for the next price, and trade only in bars that open later.
    """
    run = Run(Exchange(CONTRACTS.values(), waits_for_open=waits), waits=waits)
    for name in names:
        profile = noisy(PROFILES[name]) if models else PROFILES[name]
        account = run.exchange.open(name, profile, seed=7)
        for currency, amount in MONEY[name].items():
            account.deposit(START, currency, D(amount))
    ts = START
    for symbol, price in FIRST.items():
        ts += 1
        _show(run, ts, symbol, ((price, None),), ((price + 10, None),))
    for number, draw in enumerate(world):
        ts += 1 + draw[3] * (400_000 if draw[5] == 63 else 700 if draw[5] > 50 else 1)
        _event(run, ts, f"o{number}", draw)
        run.exchange.settle(ts)
    return run


def _event(run: Run, ts: int, name: str, draw: Draw) -> None:
    kind, who, move, wide, size, odd = draw
    symbol = tuple(CONTRACTS)[who % len(CONTRACTS)]
    if kind < 3:
        bid = _moved(run, symbol, move, odd)
        depth = None if odd % 3 == 0 else size
        _show(run, ts, symbol, ((bid, depth),), ((bid + wide, depth),))
    elif kind < 5:
        bid = _moved(run, symbol, move, odd)
        bids = tuple((bid - step * (1 + odd % 4), 1 + (size + step) % 9) for step in range(1 + odd % 3))
        asks = tuple((bid + wide + step * (1 + odd % 5), 1 + (size * 3 + step) % 9) for step in range(1 + odd % 4))
        _show(run, ts, symbol, bids, asks)
    elif kind < 8:
        _bar(run, ts, symbol, draw)
    elif kind == 15 and odd % 2:
        run.exchange.funding(ts, "BTCPERP", D(move).scaleb(-5))
    else:
        account = NAMES[who % len(NAMES)]
        if account in run.exchange.accounts:
            _ask(run, ts, account, name, draw)


def _moved(run: Run, symbol: str, move: int, odd: int) -> int:
    """Move the price by a small step, and occasionally by a large one."""
    times = 1 if odd < 61 else 80 if CONTRACTS[symbol].kind is Kind.FX else 800
    bid = max(run.opening[symbol] + move * times, 1000)
    run.opening[symbol] = bid
    return bid


def _show(run: Run, ts: int, symbol: str, bids: tuple[Level, ...], asks: tuple[Level, ...]) -> None:
    run.shown[symbol].append(Shown(ts, bids, asks))
    run.exchange.book(ts, symbol, bids, asks)


def _bar(run: Run, ts: int, symbol: str, draw: Draw) -> None:
    _, _, move, wide, size, odd = draw
    open_ = run.opening[symbol] + odd - 30
    close = _moved(run, symbol, move, odd)
    bar = (open_, max(open_, close) + size, min(open_, close) - odd, close, wide)
    opened = ts - 1 - 3 * wide if run.waits else ts
    run.shown[symbol].append(Shown(ts, bar=bar, opened=opened))
    run.exchange.bar(ts, symbol, *bar, opened=opened)


def _ask(run: Run, ts: int, account: str, name: str, draw: Draw) -> None:
    kind, who, move, wide, size, odd = draw
    symbol = TRADES[account][(who // 4) % len(TRADES[account])]
    side = Side.BUY if odd % 2 else Side.SELL
    if kind == 12 and run.exchange.accounts[account].live:
        live = list(run.exchange.accounts[account].live.values())
        order = live[size % len(live)]
        contract = CONTRACTS[order.symbol]
        price = contract.price(max(run.opening[order.symbol] + move, 1))
        change = {"quantity": contract.quantity(size)} if odd % 3 == 0 else {"price": price}
        run.exchange.modify(account, ts, order.id, **change)
    elif kind == 13 and run.exchange.accounts[account].live:
        live = list(run.exchange.accounts[account].live)
        run.exchange.cancel(account, ts, live[size % len(live)])
    elif kind == 11:
        first = _order(run, f"{name}a", symbol, Side.BUY, 1 + odd % 2, move, wide, size)
        second = _order(run, f"{name}b", symbol, Side.SELL, 1 + odd // 2 % 2, move, wide, size)
        if not run.exchange.submit(account, ts, OneCancelsOther(first, second)):
            run.pairs.append((account, first.id, second.id))
    elif kind in (9, 10):
        near, tick = run.opening[symbol], CONTRACTS[symbol].tick
        entry = _order(run, f"{name}e", symbol, side, (0, 0, 1, 2)[odd // 2 % 4], move, wide, size)
        anchor = int((entry.price or entry.stop or near * tick) / tick)
        stop, target = anchor - side.sign * (15 + wide), anchor + side.sign * (15 + abs(move))
        run.exchange.submit(account, ts, Bracket(name, entry, stop * tick, target * tick))
    else:
        request = _order(run, name, symbol, side, odd // 2 % 5, move, wide, size)
        tif = (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD)[odd // 8 % 4]
        if request.type is OrderType.LIMIT:
            post = odd % 7 == 0 and tif is TimeInForce.GTC
            request = replace(request, tif=tif, post_only=post, expires=ts + 9 if tif is TimeInForce.GTD else None)
        run.exchange.submit(account, ts, replace(request, reduce_only=kind == 14))


def _order(run: Run, name: str, symbol: str, side: Side, type: int, move: int, wide: int, size: int) -> OrderRequest:
    contract, near = CONTRACTS[symbol], run.opening[symbol]
    quantity = contract.quantity(size)
    away = abs(move) + 1
    below, above = contract.price(near - away), contract.price(near + 10 + away)
    match type:
        case 1:
            return OrderRequest(name, symbol, side, quantity, OrderType.LIMIT, below if side is Side.BUY else above)
        case 2:
            return OrderRequest(name, symbol, side, quantity, OrderType.STOP, stop=above if side is Side.BUY else below)
        case 3:
            stop = above if side is Side.BUY else below
            limit = stop + side.sign * (wide - 10) * contract.tick
            return OrderRequest(name, symbol, side, quantity, OrderType.STOP_LIMIT, limit, stop)
        case 4:
            return OrderRequest(name, symbol, side, quantity, OrderType.TRAILING_STOP, trail=contract.price(1 + wide))
        case _:
            return OrderRequest(name, symbol, side, quantity)

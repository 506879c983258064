"""The trading venue of a strategy: one simulated exchange with one account per market.

Live trading, replay and backtest all use `Venue`. FX and CFDs trade on an MT5 hedging account. Crypto can be
sold short, so it trades under the rules of an isolated-margin perpetual at the bar prices, with the
fees of its instrument. Funding is charged where the market announces it, which bar files do not; swap where the
instrument has one. Every account is in US dollars, and one unit of a stablecoin counts as one dollar. Results in
another currency are converted at the price of another symbol of the venue. Latency and slippage are
drawn from the seed, the account's name and the order's id. None of these depends on the run, so the
same bars and orders give the same fills. Does not make decisions, read a clock or write to a store.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol, TypeVar

from mikrobot.domain.errors import DataError
from mikrobot.domain.funding import FundingRate
from mikrobot.domain.instruments.rates import needs_rate, rate_symbol, require_rates
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.instruments.shapes import AT_PAR
from mikrobot.domain.market import Bar
from mikrobot.domain.order_books import ClosingBook
from mikrobot.domain.trading import OrderIntent, Side
from mikrobot.paper import limits, margin, money
from mikrobot.paper.account import Account
from mikrobot.paper.contracts import Contract, Kind, listed
from mikrobot.paper.displayed import depth_of
from mikrobot.paper.estimates import bid_ticks, spread_ticks
from mikrobot.paper.exchange import Exchange
from mikrobot.paper.journal import Record
from mikrobot.paper.orders import Bracket, OrderRequest, OrderType, TimeInForce
from mikrobot.paper.profiles import ISOLATED_PERP, MT5_HEDGING, Profile
from mikrobot.paper.working_orders import FAR

CURRENCY = "USD"

VENUE_RULES: Mapping[str, Profile] = {"fx": MT5_HEDGING, "crypto": replace(ISOLATED_PERP, currency=CURRENCY)}
"""Account profile of each market, by the market's name."""

RUN_END = "run_end"
"""Prefix of the ids of orders that close the positions left open at the end of a run."""

FLATTEN = "flatten"
"""Prefix of the ids of orders that close positions on request."""

CENT = Decimal("0.01")

_MINUTE_MS = 60_000
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Quoted(Protocol):
    @property
    def symbol(self) -> str: ...


OfSymbol = TypeVar("OfSymbol", bound=_Quoted)
"""A bar in any form."""


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """State of the account that trades one symbol, at one bar close. Money is in dollars.

    Attributes
    ----------
    contract, profile
        Contract of the symbol, and profile of its account.
    balance : Decimal
        Cash of the account.
    free_margin : Decimal
        Margin that the account has free for new positions.
    engaged : frozenset of str
        Symbols with a position or with an entry that may still fill, over all accounts.
    day_opening, day_loss : Decimal
        Equity of the account at the start of the UTC day, and its loss since then; 0 if it has grown.
    limit : str
        Loss limit that the account has reached, which stops new positions; empty if none.
    rate : Decimal or None
        Dollars for one unit of the quote currency, from another symbol; None if the own price converts, or no rate is
        younger than a minute.
    """

    contract: Contract
    profile: Profile
    balance: Decimal
    free_margin: Decimal
    engaged: frozenset[str]
    day_opening: Decimal
    day_loss: Decimal
    limit: str = ""
    rate: Decimal | None = None


def contract_of(symbol: str) -> Contract:
    """Return the contract used to trade a symbol.

    Raises
    ------
    UnknownSymbol
        If the symbol is not a known instrument.
    """
    traded = instrument(symbol)
    contract = listed(traded, VENUE_RULES[traded.market].leverage)
    if traded.market == "fx":
        return contract
    quote = CURRENCY if traded.quote in AT_PAR else traded.quote
    base = CURRENCY if traded.base in AT_PAR and quote != CURRENCY else traded.base
    return replace(
        contract,
        kind=Kind.PERP,
        base=base,
        quote=quote,
        maker_fee=traded.maker_fee,
        taker_fee=traded.taker_fee,
        converts=quote == CURRENCY,
        swap=None,
    )


def divided(balance: Decimal, markets: Iterable[str]) -> dict[str, Decimal]:
    """Divide a balance equally among markets, to the cent; the alphabetically first one gets the remainder.

    >>> divided(Decimal("10000.01"), ["fx", "crypto", "fx"])
    {'crypto': Decimal('5000.01'), 'fx': Decimal('5000.00')}
    """
    first, *others = sorted(set(markets))
    share = (balance / (1 + len(others))).quantize(CENT)
    return {first: balance - share * len(others), **dict.fromkeys(others, share)}


def milliseconds(at: datetime) -> int:
    """Return an instant in milliseconds since 1970, the exchange's time unit."""
    return (at - _EPOCH) // _MILLISECOND


class Venue:
    """The accounts of a strategy, on an exchange that no one else uses.

    Parameters
    ----------
    symbols : iterable of str
        All symbols that may be traded.
    seed : int

    Attributes
    ----------
    instruments : dict of str to Instrument
        By symbol, as they were when the venue was built.
    exchange : Exchange
    markets : dict of str to str
        Account name by symbol.

    Raises
    ------
    UnknownSymbol
        If a symbol is not a known instrument.
    UsageError
        If no symbol converts the quote currency of another to dollars.
    """

    def __init__(self, symbols: Iterable[str], seed: int) -> None:
        self.instruments = {symbol: instrument(symbol) for symbol in symbols}
        self.markets: dict[str, str] = {symbol: traded.market for symbol, traded in self.instruments.items()}
        require_rates(self.markets)
        self.exchange = Exchange(map(contract_of, self.markets), waits_for_open=True)
        self._rates = frozenset(rate_symbol(symbol, self.markets) for symbol in filter(needs_rate, self.markets))
        self._seed = seed
        self._returned: dict[str, int] = {}

    @property
    def reached(self) -> datetime | None:
        """Time of the newest event, UTC; None before the first one."""
        return None if self.exchange.now == FAR else _EPOCH + self.exchange.now * _MILLISECOND

    def open(self, at: datetime, balance: Decimal) -> None:
        """Open an account for each market and divide an opening balance equally among them, to the cent."""
        self.open_with(at, divided(balance, self.markets.values()))

    def open_with(self, at: datetime, balances: Mapping[str, Decimal]) -> None:
        """Open an account for each market with its own opening balance."""
        for name, balance in balances.items():
            self.exchange.open(name, VENUE_RULES[name], seed=self._seed).deposit(milliseconds(at), CURRENCY, balance)

    def restore(self, journals: Mapping[str, Sequence[Record]], last: Iterable[Bar], at: datetime) -> None:
        """Restore the accounts from their journals, including open orders, to their state at an instant.

        Parameters
        ----------
        journals : mapping of str to sequence of Record
            Journals by account, each from its first record.
        last : iterable of Bar
            The newest bar of each symbol that had closed by then, in time order.
        at : datetime
            Time up to which bars have been played and decisions made.

        Raises
        ------
        DataError
            If a record is missing, repeated or inconsistent with the records before it.
        """
        for bar in last:
            self.play(bar)
        self.exchange.settle(milliseconds(at))
        for name, records in journals.items():
            account = Account.rebuilt(name, VENUE_RULES[name], self.exchange.contracts, records, seed=self._seed)
            self._returned[name] = account.seq
            self.exchange.restore(account)

    def play(self, bar: Bar, book: ClosingBook | None = None) -> None:
        """Apply one closed bar to every account; bars must arrive in order of their closes.

        Parameters
        ----------
        bar : Bar
        book : ClosingBook, optional
            The order book at the open of the bar. If it is live, orders that waited for this open take its levels
            in place of the bar's opening price and spread.

        Raises
        ------
        BarError
            If its prices are not a valid bar, or it is older than the newest event.
        """
        contract = self.exchange.contracts[bar.symbol]
        opened, closed = milliseconds(bar.open_time), milliseconds(bar.close_time)
        first, high, low, last = (bid_ticks(contract, price) for price in (bar.open, bar.high, bar.low, bar.close))
        spread, depth = spread_ticks(contract, bar.spread), None if book is None else depth_of(contract, book)
        self.exchange.bar(closed, bar.symbol, first, high, low, last, spread, opened, depth)

    def fund(self, funding: FundingRate, close_time: datetime) -> None:
        """Charge funding on the positions that are open before the bars of a minute are played.

        Parameters
        ----------
        funding : FundingRate
            Its mark price counts, rounded to a tick; without one, the middle of the newest prices.
        close_time : datetime
            Close of these bars; the charge is booked at their open.

        Raises
        ------
        UnknownSymbol
            If the venue does not trade the symbol.
        """
        contract = self.exchange.contracts.get(funding.symbol)
        mark = None if funding.mark is None or contract is None else round(funding.mark / contract.tick)
        self.exchange.funding(milliseconds(close_time) - _MINUTE_MS, funding.symbol, funding.rate, mark)

    def rates_first(self, bars: Iterable[OfSymbol]) -> Iterable[OfSymbol]:
        """Order the bars of one close so that those whose prices convert others come first."""
        return bars if not self._rates else sorted(bars, key=lambda bar: bar.symbol not in self._rates)

    def leave_expired(self, at: datetime) -> None:
        """Process all events due by a close, then send a market exit for every position past its time limit.

        The exit fills at the next opening price, unless the stop or the target fills first. If the
        venue refuses the exit, as in the last minute before a weekend, it is sent again.
        """
        now = milliseconds(at)
        self.exchange.settle(now)
        for account in self.exchange.accounts.values():
            for stop in account.working():
                entry = account.orders.get(stop.parent)
                if entry is None or not entry.filled or stop.type is not OrderType.STOP or entry.expires > now:
                    continue
                leaving = f"{entry.id}.time"
                if not any(order.id.startswith(leaving) for order in account.working(stop.symbol)):
                    self._leave(account, stop.symbol, entry.id, f"{leaving}.{at:%Y%m%dT%H%M}", now=now)

    def cancel_entries(self, at: datetime, chosen: Callable[[str, Side], bool], why: str) -> None:
        """Cancel the entries that may still fill, by symbol and side, at an instant or at the newest event if later."""
        for account in self.exchange.accounts.values():
            entries = [order for order in account.working() if not order.reduce_only and not order.parent]
            pending = [order for order in entries if chosen(order.symbol, _side(order.sign))]
            if not pending:
                continue
            now = max(milliseconds(at), self.exchange.now)
            self.exchange.settle(now)
            for order in pending:
                if order.alive:
                    self.exchange.cancel(account.id, now, order.id, why)

    def flatten(self, at: datetime, chosen: Callable[[str, Side], bool]) -> None:
        """Send a market exit for every position, by symbol and side, that no such exit closes already.

        It fills as one of `leave_expired` does.
        """
        for account in self.exchange.accounts.values():
            for key, position in list(account.positions.items()):
                leaving = f"{FLATTEN}.{key}"
                if not chosen(position.symbol, _side(position.quantity)):
                    continue
                if not any(order.id.startswith(leaving) for order in account.working(position.symbol)):
                    name = f"{leaving}.{at:%Y%m%dT%H%M}"
                    self._leave(account, position.symbol, key, name, now=milliseconds(at))

    def close_out(self, at: datetime, next_run: str) -> None:
        """Close every open order and position; note the next run on each account that had any.

        Positions are closed at the last bid or ask, with the slippage and commission of a market order.

        Raises
        ------
        DataError
            If a position cannot be closed because no conversion rate to the account currency is available.
        """
        now = milliseconds(at)
        for account in self.exchange.accounts.values():
            if not account.positions and not account.live:
                continue
            account.note(now, RUN_END, next_run)
            self.exchange.close_out(account.id, now, RUN_END)
            if account.positions:
                held = ", ".join(position.symbol for position in account.positions.values())
                raise DataError(f"account {account.id}: {held} cannot be closed, there is no rate to {CURRENCY}")

    def place(self, order: OrderIntent) -> str:
        """Send a bracket at the close of its decision; its entry, at the market or a stop, expires at ``expires_at``.

        Returns
        -------
        str
            Reason for an immediate refusal, or an empty string.
        """
        traded = self.instruments[order.symbol]
        entry = OrderRequest(
            order.id, order.symbol, order.side, order.lots * traded.lot,
            OrderType.MARKET if order.entry is None else OrderType.STOP, stop=order.entry,
            tif=TimeInForce.GTD, expires=milliseconds(order.expires_at),
        )  # fmt: skip
        bracket = Bracket(order.id, entry, order.stop, order.target)
        return self.exchange.submit(self.markets[order.symbol], milliseconds(order.submitted_at), bracket)

    def standing(self, symbol: str, at: datetime) -> AccountSnapshot:
        """Return the state of the account that trades a symbol, after all events up to that close."""
        exchange, account = self.exchange, self.exchange.accounts[self.markets[symbol]]
        equity = margin.equity(account, exchange.markets, exchange.rates, milliseconds(at))
        free = account.free_cash if account.profile.isolated else equity - margin.used(account)
        opening = account.marks.get("day", account.paid_in)
        return AccountSnapshot(
            contract=exchange.contracts[symbol],
            profile=account.profile,
            balance=account.balance(CURRENCY),
            free_margin=_dollars(free),
            engaged=frozenset(_engaged(exchange.accounts.values())),
            day_opening=_dollars(opening),
            day_loss=_dollars(max(opening - equity, 0)),
            limit=limits.breach(account, equity),
            rate=self._rate(account, symbol, milliseconds(at)),
        )

    def unrecorded(self) -> dict[str, list[Record]]:
        """Return the records of each account that earlier calls have not returned."""
        new: dict[str, list[Record]] = {}
        for name, account in self.exchange.accounts.items():
            start = self._returned.get(name, 0)
            if account.seq > start:
                new[name], self._returned[name] = account.journal[start:], account.seq
        return new

    def _rate(self, account: Account, symbol: str, now: int) -> Decimal | None:
        contract, exchange = self.exchange.contracts[symbol], self.exchange
        if CURRENCY in (contract.quote, contract.base):
            return None
        rate = exchange.rates.rate(contract.quote, account.currency, now, receives=False)
        return None if rate is None or rate.stale else Decimal(rate.value[0]) / Decimal(rate.value[1])

    def _leave(self, account: Account, symbol: str, entry: str, name: str, *, now: int) -> None:
        ticket = None if account.profile.netting else entry
        held = account.positions[ticket or symbol].quantity
        side, quantity = Side.SELL if held > 0 else Side.BUY, self.exchange.contracts[symbol].quantity(abs(held))
        request = OrderRequest(name, symbol, side, quantity, reduce_only=True, ticket=ticket)
        self.exchange.submit(account.id, now, request)


def _side(sign: int) -> Side:
    return Side.BUY if sign > 0 else Side.SELL


def _engaged(accounts: Iterable[Account]) -> Iterable[str]:
    for account in accounts:
        yield from (position.symbol for position in account.positions.values())
        yield from (order.symbol for order in account.live.values() if not order.reduce_only)


def _dollars(minor: int) -> Decimal:
    return money.decimal(minor, CURRENCY)

"""The event loop of the simulated exchange: any number of accounts, one total order of events.

Events are ordered by (time, class, sequence). Market data come first, then funding and rollovers,
then order arrivals, and no event reads data with a later key. Accounts share only prices: each one
consumes displayed size and causes market impact for itself alone. Live trading, replay and backtest
all use this event loop.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from heapq import heappop

from mikrobot.domain.errors import BarError, OrderError, UnknownSymbol, UsageError
from mikrobot.paper import amendments, financing, limits, requests
from mikrobot.paper.account import Account
from mikrobot.paper.bar_path import BarTicks, play
from mikrobot.paper.book import Depth, Level, Market
from mikrobot.paper.contracts import Contract, next_rollover
from mikrobot.paper.conversion import Rates
from mikrobot.paper.journal import CLOSED, Refused
from mikrobot.paper.matching import Matching
from mikrobot.paper.orders import Bracket, OneCancelsOther, OrderRequest, Status
from mikrobot.paper.profiles import Profile
from mikrobot.paper.working_orders import FAR, WorkingOrders


class Exchange:
    """A simulated exchange for any number of accounts.

    Parameters
    ----------
    contracts : iterable of Contract
    waits_for_open : bool
        If true, orders that arrive after a bar's close trade at the open of the first bar that opens
        at or after their submission. If false, they trade at the close, as at a quote still in force.

    Attributes
    ----------
    markets : dict of str to Market
    accounts : dict of str to Account
    """

    def __init__(self, contracts: Iterable[Contract], *, waits_for_open: bool = False) -> None:
        self.contracts = {contract.symbol: contract for contract in contracts}
        self.markets = {symbol: Market(contract) for symbol, contract in self.contracts.items()}
        self.rates = Rates(self.markets.values())
        self.accounts: dict[str, Account] = {}
        self._waits = waits_for_open
        self._matchings: dict[str, Matching] = {}
        self._working: dict[str, list[tuple[Matching, WorkingOrders]]] = {symbol: [] for symbol in self.contracts}
        self._now = FAR  # until the first event, so that `bar` does not take its fast path
        self._due = FAR
        self._rollover = (FAR, 0)
        self._midnight = FAR
        self._swaps = any(contract.swap for contract in self.contracts.values())

    def open(self, id: str, profile: Profile, *, seed: int = 0) -> Account:
        """Open an account with a zero balance; fund it with `Account.deposit`.

        Raises
        ------
        UsageError
            If the id is in use, or a margin account has no currency.
        """
        if not profile.cash and not profile.currency:
            raise UsageError(f"account {id}: the profile {profile.name} has no currency; set one")
        return self.restore(Account(id, profile, self.contracts, seed))

    def restore(self, account: Account) -> Account:
        """Add an existing account, for example one rebuilt from its journal.

        Give the markets their last prices first, so that the positions of the account can be valued.

        Raises
        ------
        UsageError
            If the id is in use.
        """
        if account.id in self.accounts:
            raise UsageError(f"account {account.id} exists already; use another id")
        matching = Matching(account, self.markets, self.rates)
        self.accounts[account.id], self._matchings[account.id] = account, matching
        for symbol, working in account.working_orders.items():
            self._working[symbol].append((matching, working))
            working.fence()
        account.expose()
        if account.marks and self._now != FAR:
            limits.mark_periods(account, self.markets, self.rates, self._now)
        self._wake_for(account)
        return account

    def quote(  # noqa: PLR0917, prices in the order in which every feed gives them
        self, ts: int, symbol: str, bid: int, ask: int, bid_size: int | None = None, ask_size: int | None = None
    ) -> None:
        """Process a quote: prices in ticks, sizes in steps; None if the dealer displays no size."""
        self.book(ts, symbol, ((bid, bid_size),), ((ask, ask_size),))

    def book(self, ts: int, symbol: str, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Process a full book, best levels first; it replaces the previous book.

        A book, like a quote or a bar, from outside the trading hours is ignored: nothing trades at it.

        Raises
        ------
        BarError
            If it is unsorted or crossed, or older than the newest event.
        UnknownSymbol
            If no contract has this symbol.
        """
        market = self._market(ts, symbol)
        if not market.trades_at(ts):
            self._ignore(market, ts)
            return
        market.show(ts, bids, asks)
        for matching, working in self._working[symbol]:
            bid, ask = market.bid, market.ask
            if bid is None or ask is None or working.touched(bid, bid, ask - bid):
                matching.on_market(market, ts)
                if working.waiting:
                    matching.meet_waiting(working, ts, ts)

    def rate(self, ts: int, symbol: str, bid: int, ask: int) -> None:
        """Process a conversion rate in ticks; nothing trades at it.

        Raises
        ------
        BarError
            If the bid is above the ask, or it is older than the newest event.
        UnknownSymbol
            If no contract has this symbol.
        """
        self._market(ts, symbol).convert(ts, bid, ask)

    def bar(  # noqa: PLR0917, prices in the order in which every feed gives them
        self, ts: int, symbol: str, open: int, high: int, low: int, close: int,
        spread: int = 0, opened: int | None = None, depth: Depth | None = None,
    ) -> None:  # fmt: skip
        """Process a closed bar.

        Parameters
        ----------
        ts : int
            Close time, ms.
        symbol : str
        open, high, low, close : int
            Bid prices in ticks.
        spread : int
            Ticks between bid and ask.
        opened : int, optional
            Open time, ms; if omitted, all orders that have arrived count as submitted before the open, and
            the bar belongs to the trading hours of its last millisecond.
        depth : Depth, optional
            Order book at the open; needs `opened`.

        Raises
        ------
        BarError
            If its prices are not a valid bar, or it is older than the newest event.
        UnknownSymbol
            If no contract has this symbol.
        """
        if not 0 < low <= open <= high or not low <= close <= high or spread < 0:
            raise BarError(
                f"{symbol} at {ts}: expected 0 < low <= open, close <= high and a spread of 0 or more, "
                f"found open {open}, high {high}, low {low}, close {close}, spread {spread}; correct it at its source"
            )
        if self._now <= ts <= self._due and symbol in self.markets:
            market, self._now = self.markets[symbol], ts
        else:
            market = self._market(ts, symbol)
        formed = ts - 1 if opened is None else opened
        if not market.open_from <= formed < market.open_until and not market.trades_at(formed):
            self._ignore(market, ts)
            return
        low_ask, high_ask = low + spread, high + spread
        for matching, working in self._working[symbol]:
            if (
                working.low_bid < low
                and high < working.high_bid
                and working.low_ask < low_ask
                and high_ask < working.high_ask
            ):
                continue
            ticks = BarTicks(open, high, low, close, spread)
            play(matching, market, ts, ts if opened is None else opened, bar=ticks, depth=depth)
        market.point(ts, close, close + spread)
        market.quoting = not self._waits

    def detailed_bar(self, bars: Iterable[tuple[int, BarTicks]], symbol: str) -> None:
        """Process finer bars (close time, bar) in place of the coarse bar that they make up."""
        for ts, bar in bars:
            self.bar(ts, symbol, *bar)

    def funding(self, ts: int, symbol: str, rate: Decimal, mark: int | None = None) -> None:
        """Charge funding on every open perpetual position; longs pay a positive rate.

        Parameters
        ----------
        ts : int
        symbol : str
        rate : Decimal
            Share of the notional.
        mark : int, optional
            Mark price in ticks; if omitted, the midpoint of the newest quote.
        """
        market = self._market(ts, symbol)
        for matching, _ in self._working[symbol]:
            financing.charge_funding(matching.account, market, self.rates, ts, rate=rate, mark=mark)
            matching.liquidation.fence(ts)

    def submit(self, account_id: str, ts: int, asked: OrderRequest | Bracket | OneCancelsOther) -> str:
        """Send an order; it arrives after the account's latency.

        Returns
        -------
        str
            Reason for an immediate refusal, or an empty string. A rejection by the venue appears later,
            in the order's status on arrival.
        """
        account = self._matching(account_id).account
        self._turn(ts)
        latency = account.profile.latency
        arrives = ts
        if latency.base_ms or latency.median_ms:
            arrives += latency.draw(account.seed, account_id, requests.leader(asked).id)
        try:
            for record in requests.records(account, asked, ts, arrives, seq=account.seq):
                account.apply(record)
                if record.parent:
                    account.move(ts, account.orders[record.order], Status.HELD, "waits for its entry")
        except (OrderError, UnknownSymbol) as error:
            account.apply(Refused(account.seq, ts, requests.leader(asked).id, str(error)))
            return str(error)
        self._wake_for(account)
        return ""

    def cancel(self, account_id: str, ts: int, order_id: str, why: str = amendments.ON_REQUEST) -> str:
        """Cancel an order immediately; the id of a bracket cancels all its live orders.

        Returns
        -------
        str
            Reason why nothing was canceled, or an empty string.
        """
        return amendments.cancel(self._matching(account_id), ts, order_id, why)

    def modify(
        self, account_id: str, ts: int, order_id: str, *,
        price: Decimal | None = None, stop: Decimal | None = None, quantity: Decimal | None = None,
    ) -> str:  # fmt: skip
        """Replace the terms of an order immediately; for an order without a limit, `price` is its stop.

        A new price or a larger size moves the order to the end of the queue; a smaller size keeps its place.

        Returns
        -------
        str
            Reason for a refusal, which leaves the order unchanged, or an empty string.
        """
        matching = self._matching(account_id)
        return amendments.modify(matching, ts, order_id, price=price, stop=stop, quantity=quantity)

    def close_out(self, account_id: str, ts: int, reason: str) -> None:
        """Cancel every order of an account and close every position at the last price.

        Parameters
        ----------
        account_id : str
        ts : int
        reason : str
            Prefix of the ids of the closing orders, and reason of every cancellation.
        """
        matching = self._matching(account_id)
        account = matching.account
        self._turn(ts)
        for order in account.working():
            if order.alive:
                matching.end(ts, order, Status.CANCELED, reason)
        for position in list(account.positions.values()):
            matching.close(position, ts, reason)

    @property
    def now(self) -> int:
        """Time of the newest event, milliseconds; `FAR` before the first one."""
        return self._now

    def settle(self, ts: int) -> None:
        """Process all events due up to and including an instant."""
        self._turn(ts)
        if self._due <= ts:
            self._advance(ts, inclusive=True)

    def _matching(self, account_id: str) -> Matching:
        try:
            return self._matchings[account_id]
        except KeyError:
            raise UsageError(
                f"no account {account_id!r}; the accounts are {', '.join(self.accounts) or 'none'}"
            ) from None

    def _market(self, ts: int, symbol: str) -> Market:
        """Process all events due before an event of a symbol, and return the market of the symbol."""
        market = self.markets.get(symbol)
        if market is None:
            raise UnknownSymbol(f"unknown symbol {symbol!r}; the venue lists {', '.join(self.contracts)}")
        self._turn(ts)
        if self._due < ts:
            self._advance(ts, inclusive=False)
        return market

    def _ignore(self, market: Market, ts: int) -> None:
        """Note the first price from outside the trading hours on each account that has an order or a position."""
        symbol = market.contract.symbol
        for matching, working in self._working[symbol]:
            account = matching.account
            if account.closures.get(symbol, -1) <= market.ts and not (working.empty and not account.net(symbol)):
                account.note(ts, CLOSED, symbol)

    def _turn(self, ts: int) -> None:
        """Advance the time; an earlier time is an error."""
        if self._now == FAR:
            self._rollover = next_rollover(ts) if self._swaps else self._rollover
            self._midnight = limits.next_day(ts)
            self._due = min(self._due, self._rollover[0], self._midnight)
            self._mark_days(ts)
        elif ts < self._now:
            raise BarError(f"an event at {ts} came after one at {self._now}; sort the feed by time")
        self._now = ts

    def _advance(self, ts: int, *, inclusive: bool) -> None:
        """Process events due before or at an instant in time order: new days, rollovers, then order arrivals."""
        end = ts + 1 if inclusive else ts
        while self._due < end:
            now = self._due
            if now >= self._midnight:
                self._midnight = limits.next_day(now)
                self._mark_days(now)
            if now >= self._rollover[0]:
                self._roll(now)
            for matching in self._matchings.values():
                if matching.account.expiring:
                    matching.expire(now)
                if matching.account.pending:
                    self._arrivals(matching, now)
            self._due = min(self._rollover[0], self._midnight)
            for account in self.accounts.values():
                self._wake_for(account)

    def _roll(self, now: int) -> None:
        at, weekday = self._rollover
        for matching in self._matchings.values():
            financing.charge_swap(matching.account, self.markets, self.rates, at, weekday=weekday)
            matching.liquidation.fence(at)
        self._rollover = next_rollover(now)

    def _mark_days(self, ts: int) -> None:
        for account in self.accounts.values():
            limits.mark_periods(account, self.markets, self.rates, ts)

    def _wake_for(self, account: Account) -> None:
        if account.pending and account.pending[0][0] < self._due:
            self._due = account.pending[0][0]
        if account.expiring and account.expiring[0][0] < self._due:
            self._due = account.expiring[0][0]

    def _arrivals(self, matching: Matching, ts: int) -> None:
        pending = matching.account.pending
        while pending and pending[0][0] <= ts:
            order = heappop(pending)[2]
            if order.status is not Status.NEW:
                continue
            market = self.markets[order.symbol]
            if self._waits and not market.quoting:
                working = matching.account.working_orders[order.symbol]
                working.waiting.append(order)
                working.fence()
            else:
                matching.arrive(order, ts)

"""Trade strategies minute by minute: play the bars, then decide. Shared by live trading, replay and backtest.

Does not use stores, models or the clock.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby

from mikrobot.analytics.charges import Charge, charges
from mikrobot.analytics.trades import OpenTrade, closed_trades, open_positions
from mikrobot.decision.outlook import Outlook
from mikrobot.decision.product_owner import decide_trade
from mikrobot.decision.signals import NoSignal, Signal
from mikrobot.domain.funding import NO_FUNDING, FundingByClose, FundingRate
from mikrobot.domain.market import Bar
from mikrobot.domain.news import NewsCalendar
from mikrobot.domain.order_books import NO_BOOKS, BooksAtOpen
from mikrobot.domain.risk_profiles import RiskProfile
from mikrobot.domain.trading import Decision, Fill, OrderIntent, Trade
from mikrobot.live.arms import Share
from mikrobot.live.permits import Permits
from mikrobot.live.strategies import Strategies
from mikrobot.paper.fills import fills_of
from mikrobot.paper.venue import Venue

ATR = "m1_atr_14"
"""The feature column that a decision reads directly, besides the levels of the model's task."""


@dataclass(slots=True)
class Trader:
    """Trades strategies on a venue.

    Attributes
    ----------
    run_id : str
        Run id of the decisions.
    venue : Venue
    profile : RiskProfile
    strategies : Strategies
    share : Share or None
        Share of the market in which it may open positions; None: all of it.
    news : NewsCalendar or None
        The calendar of the run; None: it has none.
    permits : Permits
        The trading states that limit it.
    """

    run_id: str
    venue: Venue
    profile: RiskProfile
    strategies: Strategies
    share: Share | None = None
    news: NewsCalendar | None = None
    permits: Permits = field(init=False)

    def __post_init__(self) -> None:
        self.permits = Permits(self.profile)

    def play(
        self,
        bars: Iterable[Bar],
        until: datetime,
        books: BooksAtOpen = NO_BOOKS,
        funding: FundingByClose = NO_FUNDING,
    ) -> None:
        """Play closed bars in order of close time, and close expired positions at each close and at `until`.

        Parameters
        ----------
        bars : iterable of Bar
        until : datetime
        books : mapping
            Order books at the opens of the bars, where there are any.
        funding : mapping
            Funding to charge, in order of the closes before whose bars it is due, up to `until`.
        """
        self.permits.before(self.venue, until)
        closed = None
        due = [(close_time, rate) for close_time, rates in funding.items() for rate in rates]
        for closed, group in groupby(bars, key=lambda bar: bar.close_time):
            self.permits.before_bars(self.venue, closed)
            due = self._fund(due, closed)
            for bar in self.venue.rates_first(group):
                self.venue.play(bar, books.get((bar.symbol, bar.open_time)))
            self.venue.leave_expired(closed)
            self.permits.after(self.venue, closed)
        self._fund(due, until)
        if closed != until:
            self.venue.leave_expired(until)
            self.permits.after(self.venue, until)

    def _fund(self, due: list[tuple[datetime, FundingRate]], until: datetime) -> list[tuple[datetime, FundingRate]]:
        """Charge the funding due by a close, and return the rest."""
        for close_time, rate in due:
            if close_time <= until:
                self.venue.fund(rate, close_time)
        return [(close_time, rate) for close_time, rate in due if close_time > until]

    def decide_and_place(self, outlook: Outlook) -> Iterator[tuple[Decision, OrderIntent | None]]:
        """Decide by each strategy about one symbol at a close that has been played, and place the orders."""
        for strategy in self.strategies.running:
            profile = strategy.described.mandate.within(self.profile)
            decision, order = self.decide(outlook, strategy.answer(outlook), strategy.described.identity, profile)
            if order is not None:
                self.venue.place(order)
            yield decision, order

    def decide(
        self, outlook: Outlook, answer: Signal | NoSignal, strategy: str, profile: RiskProfile
    ) -> tuple[Decision, OrderIntent | None]:
        """Decide about the answer of a strategy at a close that has been played; place nothing."""
        standing = self.venue.standing(outlook.symbol, outlook.close_time)
        decision, order = decide_trade(
            self.run_id, outlook, answer, standing, profile=profile, strategy=strategy, news=self.news
        )
        if self.share is not None and (why := self.share.objection(outlook.symbol, outlook.close_time)):
            reasons = (*decision.reasons, f"share refused: {why}")
            decision, order = replace(decision, approved=False, reasons=reasons), None
        return self.permits.apply(decision, order)


@dataclass(slots=True)
class Traded:
    """The decisions, orders and accounts of a strategy so far.

    Attributes
    ----------
    decisions : int
    orders : list of OrderIntent
    trader : Trader
        Holds the venue with the current state of the accounts.
    """

    trader: Trader
    decisions: int = 0
    orders: list[OrderIntent] = field(default_factory=list)

    @property
    def trades(self) -> tuple[Trade, ...]:
        """The closed trades, in order of exit."""
        return closed_trades(self.orders, self.fills)

    @property
    def held(self) -> tuple[OpenTrade, ...]:
        """The open positions."""
        return open_positions(self.orders, self.fills)

    @property
    def fills(self) -> list[Fill]:
        """The fills of every account, in order of time."""
        accounts = self.trader.venue.exchange.accounts
        return fills_of({name: account.journal for name, account in accounts.items()})

    @property
    def charges(self) -> list[Charge]:
        """Every cash entry other than the fills, and slippage, in order of time."""
        accounts = self.trader.venue.exchange.accounts.values()
        return sorted(charge for account in accounts for charge in charges(account))


def outlook(
    bar: Bar, atr: float, above: float, below: float,
    *, up: float, down: float, by: str, features: Mapping[str, float],
) -> Outlook:  # fmt: skip
    """Return the outlook of a symbol at the close of a bar; the values are those of `Outlook`."""
    return Outlook(
        bar.symbol, bar.close_time, bar.close, bar.spread, atr, above, below, up, down, by,
        bar.open, bar.high, bar.low, features,
    )  # fmt: skip

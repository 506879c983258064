"""The worker process: decide at each bar close, and write predictions, decisions and virtual fills to the ledger.

Takes the outlook of each symbol from `forecasts`, decides, and plays the bars on the paper exchange. Each minute is one
transaction that includes the journals of the accounts, so that a worker killed at any instant neither loses nor
duplicates a fill. Its accounts are rebuilt from the ledger. Fails closed: without an outlook the minute is recorded as
skipped with the reason, and no position is opened.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mikrobot import telemetry
from mikrobot.domain.errors import StatesChanged
from mikrobot.domain.funding import NO_FUNDING, FundingByClose
from mikrobot.domain.instruments import registry
from mikrobot.domain.market import Bar, Timeframe
from mikrobot.domain.order_books import BooksAtOpen
from mikrobot.domain.sources import is_live
from mikrobot.domain.trading import Decision, OrderIntent, Prediction
from mikrobot.live import pid_records, wiring
from mikrobot.live.accounts import lines_of, venue_of
from mikrobot.live.arms import share_of
from mikrobot.live.entry import live_process
from mikrobot.live.forecasts import Forecasts, SymbolOutlook
from mikrobot.live.halt_watch import HaltWatch
from mikrobot.live.opening_books import OpeningBooks
from mikrobot.live.run_funding import RunFunding, later_than
from mikrobot.live.session import traded_until
from mikrobot.live.steady_clock import TOLERANCE_S
from mikrobot.live.strategies import opened
from mikrobot.live.trader import Trader
from mikrobot.paper.venue import Venue
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.books import BookSamples
from mikrobot.store.feast.online import FeatureRows
from mikrobot.store.ledger import Ledger, Skip
from mikrobot.store.postgres import database
from mikrobot.store.postgres.roles import LIVE
from mikrobot.store.runs import Run, Runs, Segment

log = telemetry.logger("worker")

REPORT_EVERY = 15
"""Minutes between two records of the latencies."""


@dataclass(slots=True)
class Minute:
    """The records of one minute for the ledger of one run."""

    predictions: list[Prediction] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    orders: list[OrderIntent] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)


@dataclass(slots=True)
class AccountRun:
    """A run and its trader: the run of the worker, or an arm that follows it.

    Attributes
    ----------
    run : Run
    settings : Settings
        The rules by which it trades.
    trader : Trader
    reached : datetime
        The newest close in its ledger, UTC.
    """

    run: Run
    settings: Settings
    trader: Trader
    reached: datetime


@dataclass(slots=True)
class Worker:
    """Trades one segment of a run on virtual accounts, and every arm that follows it on accounts of its own.

    Attributes
    ----------
    accounts : tuple of AccountRun
        The arms first, the run itself last: a minute is complete only after the run has committed it.
    halts : HaltWatch
        The halts of the run, which its arms follow.
    books : OpeningBooks
    funding : RunFunding or None
    """

    segment: Segment
    settings: Settings
    bars: BarStore
    forecasts: Forecasts
    ledger: Ledger
    runs: Runs
    timers: telemetry.Timers
    accounts: tuple[AccountRun, ...]
    clock: Clock
    halts: HaltWatch
    books: OpeningBooks
    funding: RunFunding | None = None

    @property
    def run(self) -> Run:
        """The run itself."""
        return self.accounts[-1].run

    @property
    def _columns(self) -> list[str]:
        """The feature columns that the strategies of any account read."""
        return list(dict.fromkeys(name for own in self.accounts for name in own.trader.strategies.columns))

    def work(self) -> None:
        """Handle every minute that the streamer publishes, until the streamer has finished.

        Raises
        ------
        ServiceError
            If the streamer or the prediction service has ended and there is no supervisor.
        """
        reached = traded_until(self.runs, self.run.id, self.segment)
        log.info("working", run=self.run.id, after=reached, accounts=len(self.accounts))
        pid_records.report_ready("worker", self.settings.home)
        while True:
            published = self.runs.wait(self.run.id, "streamer", reached, timeout_s=1.0, segment=self.segment.number)
            self.halts.look_for_silence(reached)
            if published is not None and self._lies_ahead(published):
                self.clock.sleep(1.0)
            elif published is not None and published > reached:
                with self.timers.stage("minute"):
                    self.handle(reached, published)
                reached = published
                if reached.minute % REPORT_EVERY == 0 or reached > self.segment.trade_until:
                    self.halts.report(self.settings.home)
                if reached.minute % REPORT_EVERY == 0:
                    self.runs.record_latencies(self.run.id, "worker", self.segment.number, self.timers.summary())
            elif self._over(reached):
                return
            else:
                pid_records.require_alive("streamer", self.settings.home, self.clock)

    def _lies_ahead(self, close_time: datetime) -> bool:
        """Return True if a live bar closes later than the time that has really passed allows; it is not traded yet."""
        ahead = (close_time - self.clock.now()).total_seconds()
        return is_live(self.run.source) and ahead > TOLERANCE_S

    def handle(self, after: datetime, close_time: datetime) -> None:
        """Play the bars that closed in (after, close_time], then decide at the newest close."""
        with self.timers.stage("bar_read"):
            bars = self.bars.closed(self.run.source, self.segment.symbols, Timeframe.M1, after, until=close_time)
        with self.timers.stage("book_read"):
            books = self.books.between(after, close_time)
        funding = NO_FUNDING if self.funding is None else self.funding.between(after, close_time)
        with self.timers.stage("quality_read"):
            self.halts.hear(bars)
            self.halts.judge(after, close_time)
        symbol_outlooks = [self._look(bar) for bar in bars if bar.close_time == close_time]
        for account in self.accounts:
            if account.reached < close_time:
                fresh = [bar for bar in bars if bar.close_time > account.reached]
                due = later_than(funding, account.reached)
                self._trade(account, fresh, books, symbol_outlooks, close_time=close_time, funding=due)

    def _trade(
        self, account: AccountRun, bars: Sequence[Bar], books: BooksAtOpen, symbol_outlooks: Sequence[SymbolOutlook],
        *, close_time: datetime, funding: FundingByClose,
    ) -> None:  # fmt: skip
        """Play the bars and decide in one account, and commit its minute."""
        minute = Minute(skips=_passed_over(bars, close_time))
        is_the_run = account.run.id == self.run.id
        ordered = self.halts.operators.at(account.run.id, account.reached, close_time)
        account.trader.permits.by_operators = ordered.applying
        account.trader.permits.by_data = self.halts.begun_or_applying
        with self.timers.stage("play"):
            account.trader.play(bars, close_time, books, funding)
        for symbol_outlook in symbol_outlooks:
            self._decide(account, symbol_outlook, minute)
        try:
            with self.timers.stage("ledger_commit"):
                written = self.ledger.commit(
                    account.run.id,
                    close_time,
                    predictions=minute.predictions,
                    decisions=minute.decisions,
                    orders=minute.orders,
                    journal=lines_of(account.trader.venue.unrecorded()),
                    skips=minute.skips,
                    shadows=[shadow for look in symbol_outlooks for shadow in look.shadows] if is_the_run else (),
                    states=[*(self.halts.changes if is_the_run else ()), *ordered.changes],
                    spans=account.trader.permits.taken(),
                    decided_under=ordered.version,
                    memories=tuple(account.trader.strategies.changed()),
                )
        except StatesChanged as change:
            log.info("decided_again", run=account.run.id, close_time=close_time, reason=str(change))
            self.halts.operators.read_again()
            self._restore(account)
            self._trade(account, bars, books, symbol_outlooks, close_time=close_time, funding=funding)
            return
        account.reached = close_time
        self.halts.operators.settle(account.run.id, ordered, written=written)
        if not written:
            account.reached = self.runs.reached(account.run.id, "worker") or close_time
            self._restore(account)
        if is_the_run:
            self.halts.settle(account.reached, written=written)

    def _restore(self, account: AccountRun) -> None:
        """Rebuild the accounts of a run and the memories of its strategies as its ledger has them."""
        account.trader.venue = venue_of(account.run, account.settings, self.ledger, self.bars, at=account.reached)
        account.trader.strategies.recall(self.ledger.memories(account.run.id))

    def _look(self, bar: Bar) -> SymbolOutlook:
        """Return the outlook at a close that may be decided."""
        if objection := self._missed(bar) or self.halts.objection(bar.symbol):
            return SymbolOutlook(None, skips=[Skip(bar.symbol, bar.close_time, objection)])
        return self.forecasts.look(bar, self._columns)

    def _missed(self, bar: Bar) -> str:
        """Return why there is no decision on a bar after the run's hours: the next bar has already closed."""
        late = self.clock.now() - bar.close_time
        if bar.close_time <= self.segment.trade_until or late < bar.timeframe.delta:
            return ""
        minutes = late // timedelta(minutes=1)
        return f"missed: handled {minutes} min after its close; open positions continue, no position is opened"

    def _decide(self, account: AccountRun, symbol_outlook: SymbolOutlook, minute: Minute) -> None:
        minute.skips += symbol_outlook.skips
        if symbol_outlook.outlook is None:
            return
        chosen, predictions = symbol_outlook.outlook, symbol_outlook.predictions
        if account.settings.model == "challenger":
            if symbol_outlook.challenged is None:
                minute.skips.append(Skip(chosen.symbol, chosen.close_time, "no challenger has answered"))
                return
            chosen, predictions = symbol_outlook.challenged, symbol_outlook.shadows
        minute.predictions += predictions
        with self.timers.stage("decide"):
            for decision, order in account.trader.decide_and_place(chosen):
                minute.decisions.append(decision)
                if order is not None:
                    minute.orders.append(order)

    def _over(self, handled: datetime) -> bool:
        reached = self.runs.reached(self.run.id, "streamer")
        finished = self.runs.finished(self.run.id, "streamer", self.segment.number)
        return finished and (reached is None or reached <= handled)


def _passed_over(bars: Sequence[Bar], close_time: datetime) -> list[Skip]:
    """Return the record of earlier closes that are handled with the newest one, without a decision."""
    reason = f"handled with the close at {close_time:%Y-%m-%d %H:%M} UTC; only the newest close is decided"
    return [Skip(bar.symbol, bar.close_time, reason) for bar in bars if bar.close_time < close_time]


def trader_of(run: Run, venue: Venue, settings: Settings, ledger: Ledger) -> Trader:
    """Return the trader of a run on a venue, whose strategies remember what the ledger holds."""
    strategies = opened(settings)
    strategies.recall(ledger.memories(run.id))
    return Trader(run.id, venue, settings.trading, strategies, share_of(run), run.news)


def account_runs(
    run: Run, segment: Segment, settings: Settings, ledger: Ledger, *, bars: BarStore, runs: Runs
) -> tuple[AccountRun, ...]:
    """Restore a run and the arms that follow it, each from its own ledger; the run itself last."""
    return tuple(
        _account_run(followed, segment, settings, ledger, bars=bars, runs=runs)
        for followed in (*runs.followers(run.id), run)
    )


def _account_run(
    run: Run, segment: Segment, settings: Settings, ledger: Ledger, *, bars: BarStore, runs: Runs
) -> AccountRun:
    own, reached = wiring.rules_of(settings, run), traded_until(runs, run.id, segment)
    return AccountRun(run, own, trader_of(run, venue_of(run, own, ledger, bars, at=reached), own, ledger), reached)


def run_worker(settings: Settings, run_id: str, number: int, clock: Clock) -> None:
    """Trade a segment of a recorded run to its end, and record its latencies."""
    timers = telemetry.Timers()
    with database.open_pool(settings, LIVE) as pool:
        runs, ledger = Runs(pool), Ledger(pool)
        run, bars = runs.get(run_id), BarStore(pool)
        registry.adopt(run.instruments)
        segment = run.segments[number]
        rows, predictions = FeatureRows(settings), wiring.prediction_client(settings, run.source, clock)
        forecasts = Forecasts(run, settings, bars, rows, predictions, timers, clock)
        worker = Worker(
            segment,
            settings,
            bars,
            forecasts,
            ledger,
            runs,
            timers,
            account_runs(run, segment, settings, ledger, bars=bars, runs=runs),
            clock,
            HaltWatch.begun(pool, run, segment, clock, reached=traded_until(runs, run_id, segment)),
            OpeningBooks(run.source, segment.symbols, BookSamples(pool)),
            RunFunding.of(run, pool),
        )
        try:
            worker.work()
            for account in worker.accounts:
                runs.finish(account.run.id, "worker", number)
        finally:
            for account in worker.accounts:
                account.trader.strategies.close()
            runs.record_latencies(run_id, "worker", number, timers.summary())


main = live_process("worker", run_worker)

if __name__ == "__main__":
    main()

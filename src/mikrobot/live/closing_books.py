"""The order books that the streamer publishes with the bars of a minute, and the report of their states.

A minute that was stored before a restart keeps the books that were stored with it, so that its feature rows are the
same again. In a replay of a recorded session the books are those that the session published.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from mikrobot.analytics.trades import open_positions
from mikrobot.domain.market import Bar
from mikrobot.domain.order_books import ClosingBook
from mikrobot.domain.sources import is_live
from mikrobot.live import reports, wiring
from mikrobot.live.accounts import fills
from mikrobot.live.session import PRESENT
from mikrobot.market.streams.bar_stream import Take
from mikrobot.market.streams.book_stream import BookStream
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.store.books import BookSamples
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run, Runs

POSITIONS_KEPT = timedelta(seconds=10)
"""Time after which the open positions are read again, while several books wait for a snapshot."""


@dataclass(slots=True)
class ClosingBooks:
    """The order books of one run at the closes of its bars.

    Attributes
    ----------
    run : Run
    samples : BookSamples
    clock : Clock
    live : BookStream or None
        Those of a recording in a replay; None where the source has no order books, or the settings turn them off.
    """

    run: Run
    samples: BookSamples
    clock: Clock
    live: BookStream | None = None
    _stored: dict[tuple[str, datetime], ClosingBook] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, run: Run, symbols: Sequence[str], *, pool: Pool, clock: Clock) -> Self:
        """Return the books of a run on its source, and start to follow them."""
        held = HeldSymbols(run, Ledger(pool), Runs(pool), clock)
        return cls(run, BookSamples(pool), clock, wiring.open_books(settings, symbols, clock, held))

    def resume(self, symbols: Sequence[str], after: datetime, until: datetime) -> None:
        """Read the books that were stored with minutes after the last published one."""
        if self.live is not None:
            self._stored = self.samples.closing(self.run.source, symbols, after, until=until)

    def at_close(self, close_time: datetime, bars: Sequence[Bar]) -> dict[str, ClosingBook]:
        """Return the book of each of the bars that close at a time; without those that have none, as in the past."""
        if self.live is None:
            return {}
        symbols = [bar.symbol for bar in bars]
        stored = {symbol: book for symbol in symbols if (book := self._stored.pop((symbol, close_time), None))}
        if is_live(self.run.source) and self.clock.now() - close_time >= PRESENT:
            return stored
        return stored | self.live.at_close(close_time, [symbol for symbol in symbols if symbol not in stored])

    def record(self, take: Take) -> None:
        """Pass every raw message and every snapshot on from now."""
        if self.live is not None:
            self.live.record(take)

    def report(self, home: Path) -> None:
        """Replace the report of the states for `status`."""
        if self.live is not None:
            reports.BOOKS.write(tuple(self.live.status()), home)
        else:
            reports.BOOKS.forget(home)

    def close(self) -> None:
        """End the connections."""
        if self.live is not None:
            self.live.close()


@dataclass(slots=True)
class HeldSymbols:
    """The symbols of which a run or an arm that follows it holds a position, by its ledger."""

    run: Run
    ledger: Ledger
    runs: Runs
    clock: Clock
    _symbols: frozenset[str] = frozenset()
    _read_at: datetime | None = None

    def __call__(self) -> Collection[str]:
        """Return the symbols, at most `POSITIONS_KEPT` old.

        Raises
        ------
        StoreError
            If the database fails.
        """
        now = self.clock.now()
        if self._read_at is None or not timedelta(0) <= now - self._read_at < POSITIONS_KEPT:
            runs = (self.run, *self.runs.followers(self.run.id))
            self._symbols = frozenset(
                held.order.symbol
                for run in runs
                for held in open_positions(self.ledger.orders(run.id), fills(self.ledger, run))
            )
            self._read_at = now
        return self._symbols

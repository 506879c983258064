"""The streamer process: compute feature rows from closed bars and write them to the online store.

A row that breaks the catalog's checks goes into quarantine instead, from which the worker reads the reason.
Streamer and worker communicate only through the stores. On past minutes, the streamer waits for the worker after
each minute, so that the worker reads every row; in the present it waits `PATIENCE_S` at most. It ends when the
worker has ended and there is no supervisor. The bars of one minute are processed leads first, so that their
followers read the lead's row of the same close. After a restart, it resumes after the last published minute,
from a snapshot of the feature state and the stored bars.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot import telemetry
from mikrobot.domain.errors import BarError
from mikrobot.domain.instruments import registry
from mikrobot.domain.instruments.registry import leads_first
from mikrobot.domain.market import Bar, Timeframe
from mikrobot.domain.order_books import ClosingBook
from mikrobot.domain.quality import QualityScore
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.features.row_check import RowCheck
from mikrobot.live import bar_truth, clock_report, pid_records, reports, venue_report, wiring
from mikrobot.live.bar_quality import BarQuality
from mikrobot.live.closing_books import ClosingBooks
from mikrobot.live.entry import live_process
from mikrobot.live.longer_bar_check import LongerBarCheck
from mikrobot.live.published_bars import DIFFERS, EVERY_MINUTES, compare
from mikrobot.live.recording import Recording, Stored, as_recorded, recorded
from mikrobot.live.run_funding import FundingRecord
from mikrobot.live.session import PRESENT
from mikrobot.live.tick_check import TickCheck
from mikrobot.market.combined.feed import feed_of
from mikrobot.market.feed import Source
from mikrobot.market.streams.bar_stream import BarStream
from mikrobot.runtime import Clock, rate_of
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.feast.online import FeatureRows
from mikrobot.store.postgres import database
from mikrobot.store.postgres.roles import LIVE
from mikrobot.store.runs import Run, Runs, Segment
from mikrobot.store.states import FeatureStates

log = telemetry.logger("streamer")

SNAPSHOT_EVERY = 60
"""Minutes between snapshots of the feature state: the most that a restart has to compute again."""

REPORT_EVERY = 15
"""Minutes between two records of the latencies."""

PATIENCE_S = 5.0
"""Seconds that the streamer waits for the worker in the present before it continues without it."""


@dataclass(slots=True)
class Streamer:
    """Publishes the feature rows of one segment of a run.

    ``home`` holds the pid record of the worker; ``arriving`` are closed bars that the venue sends by itself, and
    ``books`` the order books at their closes; ``recording`` is where the session is recorded, if it is; ``longer``
    compares the bars with longer ones of the venue, ``ticks`` with its ticks,
    and ``funding`` records what the venue charges, if it has any.
    """

    run: Run
    segment: Segment
    source: Source
    pipeline: FeaturePipeline
    bars: BarStore
    rows: FeatureRows
    states: FeatureStates
    runs: Runs
    clock: Clock
    timers: telemetry.Timers
    home: Path
    arriving: BarStream | None = None
    books: ClosingBooks | None = None
    recording: Recording | None = None
    longer: LongerBarCheck | None = None
    funding: FundingRecord | None = None
    ticks: TickCheck | None = None
    check: RowCheck = field(default_factory=RowCheck)
    quality: BarQuality = field(init=False)

    def __post_init__(self) -> None:
        """Begin without a bar."""
        self.quality = BarQuality(self.run.source)

    def stream(self) -> None:
        """Publish every minute from the last published one to the end of the source."""
        resumed = self._resume()
        if self.arriving is None:
            reports.STREAMS.forget(self.home)
            reports.CLOCK.forget(self.home)
        reports.VENUES.forget(self.home)
        if self.source.live:
            self.quality.follow(self.clock.now(), compares=self.arriving is not None, rate=rate_of(self.clock))
        pid_records.report_ready("streamer", self.home)
        end = None if self.source.live else self.segment.trade_until
        symbols = leads_first(self.segment.symbols)
        feed = feed_of(self.source, symbols, resumed, end, clock=self.clock, stream=self.arriving)
        for number, (close_time, bars) in enumerate(feed, start=1):
            if self.arriving is not None:
                bar_truth.keep_origins(self.bars, self.run.source, self.arriving)
            self.publish(close_time, bars)
            if self.arriving is not None:
                self._compare(close_time, self.arriving)
            for bar in venue_report.keep(feed, self.bars, self.run.source, self.clock.now(), home=self.home):
                self.quality.note_revised(bar)
            self._check_bars(close_time)
            if self.books is not None:
                self.books.report(self.home)
            if number % SNAPSHOT_EVERY == 0:
                self._snapshot(close_time)
            if number % REPORT_EVERY == 0:
                self.runs.record_latencies(self.run.id, "streamer", self.segment.number, self.timers.summary())

    def _compare(self, close_time: datetime, arriving: BarStream) -> None:
        """Keep later versions of bars, those on the stream and those that the venue has by now; report the streams."""
        for bar in bar_truth.keep(self.bars, self.run.source, arriving, self.clock.now()):
            self.quality.note_revised(bar)
        reports.STREAMS.write(tuple(arriving.status()), self.home)
        clock_report.write(self.source, self.home)
        if close_time.minute % EVERY_MINUTES == 0 and self.clock.now() - close_time < PRESENT:
            for bar in compare(self.source, self.bars, self.segment.symbols, close_time, clock=self.clock):
                self.quality.note_revised(bar)

    def _check_bars(self, close_time: datetime) -> None:
        """Compare the bars with the M5 and H1 bars of the venue, and with its ticks."""
        if self.ticks is not None:
            for bar in self.ticks.compare(self.segment.symbols, close_time):
                self.quality.note_revised(bar)
        if self.longer is not None:
            for symbol, fields in self.longer.compare(self.segment.symbols, close_time):
                self.quality.note_longer(symbol, fields)

    def publish(self, close_time: datetime, bars: Sequence[Bar]) -> None:
        """Store the bars of one minute and their feature rows, then announce the minute."""
        with self.timers.stage("bar_to_announcement"):
            books = self.books.at_close(close_time, bars) if self.books is not None else {}
            scores: list[QualityScore] = []
            stores = [self._folded(bar, books.get(bar.symbol), scores) for bar in bars]
            stores += [] if self.funding is None else self.funding.stores(close_time)
            self.runs.advance(self.run.id, "streamer", close_time, lambda: [store() for store in stores])
        if self.recording is not None:
            self.recording.published(close_time, bars, books, scores)
        with self.timers.stage("announcement_to_handled"):
            self._await_worker(close_time)

    def _folded(self, bar: Bar, book: ClosingBook | None, scores: list[QualityScore]) -> Callable[[], object]:
        """Update the feature state with a bar; return the call that stores the bar and its row, or quarantines them.

        The score of the bar is appended to `scores`; a bar that is refused has none.
        """
        try:
            with self.timers.stage("feature_step"):
                values = self.pipeline.update(bar, None if book is None else book.values)
        except BarError as error:
            log.warning("bar_refused", symbol=bar.symbol, close_time=bar.close_time, reason=str(error))
            self.quality.note_refused(bar.symbol)
            return partial(self.bars.quarantine_bar, self.run.source, bar, str(error))
        with self.timers.stage("quality"):
            delay_s = self.arriving.delay_s(bar) if self.arriving is not None else None
            scored = self.quality.score(bar, self.clock.now(), delay_s, None if book is None else book.state)
        scores.append(scored)
        with self.timers.stage("row_check"):
            wrong = self.check(values, self.pipeline.seen(bar.symbol))
        if wrong:
            log.warning("row_flagged", symbol=bar.symbol, close_time=bar.close_time, reason=wrong)
        return partial(self._store, bar, values, wrong, scored, book=book)

    def _store(
        self, bar: Bar, values: NDArray[np.float64], wrong: str, scored: QualityScore, *, book: ClosingBook | None
    ) -> None:
        with self.timers.stage("bar_store"):
            stored = self.bars.append(self.run.source, bar, scored, book)
        if not stored:
            known_at = bar_truth.known_at(bar.close_time, self.clock.now())
            self.bars.versions.add(self.run.source, bar, known_at, DIFFERS)
            self.quality.note_conflict(bar.symbol)
        wrong = wrong or ("" if stored else DIFFERS)
        if wrong:
            self.bars.quarantine_row(
                self.run.source, bar.symbol, bar.close_time, CATALOG.columns, values=values, reason=wrong
            )
            return
        with self.timers.stage("online_write"):
            self.rows.write(self.run.source, bar.symbol, bar.close_time, values)

    def _await_worker(self, close_time: datetime) -> None:
        """Wait until the worker has handled the minute; on past minutes, as long as it runs or is restarted."""
        before = close_time - timedelta(microseconds=1)
        while self.runs.wait(self.run.id, "worker", before, timeout_s=PATIENCE_S, segment=self.segment.number) is None:
            pid_records.require_alive("worker", self.home, self.clock)
            if self.source.live and self.clock.now() - close_time < PRESENT:
                return
            log.info("waiting_for_worker", close_time=close_time)

    def _resume(self) -> datetime:
        """Restore the feature state at the last published minute; return the next bar's open time."""
        reached = self.runs.reached(self.run.id, "streamer")
        until = max(reached, self.segment.trade_from) if reached else self.segment.trade_from
        if until > self.segment.trade_from:
            self._await_worker(until)
        else:
            self._forget_earlier_runs(until)
        rows: dict[str, pd.DataFrame] = {}
        for symbol in leads_first(self.segment.symbols):
            rows[symbol] = self._restore(symbol, until, rows.get(self.pipeline.lead_of.get(symbol, "")))
            self.quality.restore(symbol, self.segment, until, states=self.states, bars=self.bars)
        if self.funding is not None:
            self.funding.resume(until, self.segment.trade_from)
        if self.books is not None:
            self.books.resume(self.segment.symbols, until, self.clock.now())
        log.info("streaming", run=self.run.id, symbols=self.segment.symbols, after=until)
        return until

    def _forget_earlier_runs(self, until: datetime) -> None:
        """Delete online rows and later states of earlier runs: a replay starts again, perhaps on other data."""
        self.rows.rewind(self.run.source, self.segment.symbols)
        for symbol in self.segment.symbols:
            self.states.rewind(self.run.source, symbol, until)

    def _restore(self, symbol: str, until: datetime, lead: pd.DataFrame | None) -> pd.DataFrame:
        """Restore the state of a symbol at an instant; return the lead rows of the bars since the snapshot."""
        saved = self.states.load(self.run.source, symbol, CATALOG.version, until)
        start = self.segment.history_from
        if saved is not None:
            start = saved[0]
            self.pipeline.restore(symbol, saved[1])
        missed = self.bars.range(self.run.source, symbol, Timeframe.M1, start, end=until)
        return self.pipeline.lead_rows(symbol, missed, lead)

    def _snapshot(self, close_time: datetime) -> None:
        for symbol in self.segment.symbols:
            snapshot = self.pipeline.snapshot(symbol)
            self.states.save(self.run.source, symbol, CATALOG.version, close_time, snapshot=snapshot)
            self.quality.save(symbol, close_time, self.states)


def run_streamer(settings: Settings, run_id: str, number: int, clock: Clock) -> None:
    """Stream a segment of a recorded run to its end, and record its latencies."""
    timers = telemetry.Timers()
    with database.open_pool(settings, LIVE) as pool, ExitStack() as ending:
        runs = Runs(pool)
        run = runs.get(run_id)
        registry.adopt(run.instruments)
        segment, stored = run.segments[number], Stored.of(pool)
        kept = ending.enter_context(recorded(settings, run, segment, stored, clock=clock))
        source = wiring.open_followed(settings, clock)
        streamer = Streamer(
            run,
            segment,
            as_recorded(source, kept) if kept else source,
            FeaturePipeline(segment.symbols),
            stored.bars,
            FeatureRows(settings),
            FeatureStates(pool),
            runs,
            clock,
            timers,
            settings.home,
            wiring.open_stream(settings, segment.symbols, clock),
            ClosingBooks.of(settings, run, segment.symbols, pool=pool, clock=clock),
            kept,
            LongerBarCheck.of(source, stored.bars, clock),
            FundingRecord.of(run, source, segment.symbols, pool, recording=kept),
            TickCheck.of(source, stored.bars, clock),
        )
        streamer.quality.recorded = wiring.recorded_scores(settings)
        if kept and streamer.arriving is not None:
            streamer.arriving.record(kept.take)
        if kept and streamer.books is not None:
            streamer.books.record(kept.take_book)
        try:
            streamer.stream()
            runs.finish(run_id, "streamer", number)
        finally:
            if streamer.arriving is not None:
                streamer.arriving.close()
            if streamer.books is not None:
                streamer.books.close()
            runs.record_latencies(run_id, "streamer", number, timers.summary())


main = live_process("streamer", run_streamer)

if __name__ == "__main__":
    main()

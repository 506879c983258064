"""The recording of a live session, by its streamer: raw messages, what was read by REST, and the published minutes.

A folder is recorded into by one stack at a time. A recording that cannot go on ends with its reason in the log and in
`mikrobot status`; trading goes on. `mikrobot.market.recorded_bars` reads it.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from mikrobot import telemetry
from mikrobot.domain.errors import ServiceError, UsageError
from mikrobot.domain.funding import FundingRate
from mikrobot.domain.market import Bar, Timeframe, bars_of
from mikrobot.domain.order_books import ClosingBook
from mikrobot.domain.quality import QualityScore
from mikrobot.domain.sources import is_live
from mikrobot.live import reports
from mikrobot.market.bar_files import HISTORY, MARK
from mikrobot.market.combined.source import CombinedSource
from mikrobot.market.feed import Source
from mikrobot.market.recorded_bars import FETCHED
from mikrobot.market.recorded_funding import FUNDED, funding_row_of
from mikrobot.market.recorded_minutes import PUBLISHED, line_of, row_of
from mikrobot.market.streams.recorder import Recorder, RecordingStatus
from mikrobot.runtime import Clock, rate_of
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.books import BookSamples
from mikrobot.store.postgres.database import Pool
from mikrobot.store.quality import QualityScores
from mikrobot.store.runs import INSTRUMENTS, Run, Segment

if TYPE_CHECKING:
    from filelock import BaseFileLock

log = telemetry.logger("streamer")

AGAIN = timedelta(minutes=10)
"""Stored minutes that are recorded again at a restart: a kill may have lost the newest of them. As many more as the
market is faster than real time, in which the recorder writes."""

_NO_BOOKS: Mapping[str, ClosingBook] = {}


class Recording:
    """What the streamer records.

    Parameters
    ----------
    folder : Path
    run : Run
    home : Path
        State folder, which gets the report for `status`.
    clock : Clock
    """

    def __init__(self, folder: Path, run: Run, home: Path, clock: Clock) -> None:
        self._home, self._clock = home, clock
        described = {
            "source": run.source, "simulated": run.simulated, "symbols": list(run.symbols), "run": run.id,
            "home": str(home), "pid": os.getpid(),
            "segment": run.segments[-1].to_json(), "instruments": run.settings.get(INSTRUMENTS, {}),
        }  # fmt: skip
        (folder / MARK).write_text(json.dumps(described))
        self._recorder = Recorder(folder)

    def take(self, channel: str, received_at: datetime, message: bytes) -> None:
        """Record a raw message of a socket of bars."""
        self._recorder.put(channel, received_at, message)

    def take_book(self, channel: str, received_at: datetime, message: bytes) -> None:
        """Record a raw message of a socket of order books, or a snapshot; it gives way to what bars need."""
        self._recorder.put(channel, received_at, message, of_book=True)

    def fetched(self, bars: Sequence[Bar]) -> None:
        """Record bars that were read by REST."""
        if bars:
            self._put_data(FETCHED, {"bars": [row_of(bar) for bar in bars]})

    def published(
        self, close_time: datetime, bars: Sequence[Bar], books: Mapping[str, ClosingBook] = _NO_BOOKS,
        scores: Sequence[QualityScore] = (),
    ) -> None:  # fmt: skip
        """Record a minute as it was published, and report how the recording fares.

        Parameters
        ----------
        close_time : datetime
        bars : sequence of Bar
        books : mapping of str to ClosingBook
            The order books of the symbols at this close, where there were any.
        scores : sequence of QualityScore
            The quality of the bars.
        """
        self._put(PUBLISHED, line_of(close_time, bars, books, scores))
        reports.RECORDING.write(self._recorder.status(), self._home)

    def funded(self, close_time: datetime, rates: Sequence[FundingRate]) -> None:
        """Record the funding that is charged before the bars of a minute."""
        self._put_data(FUNDED, {"close": close_time.isoformat(), "rates": [funding_row_of(rate) for rate in rates]})

    def close(self) -> None:
        """Write what waits."""
        self._recorder.close()
        reports.RECORDING.write(self._recorder.status(), self._home)

    def _put_data(self, channel: str, data: dict[str, Any]) -> None:
        self._put(channel, json.dumps({"stream": channel, "data": data}).encode())

    def _put(self, channel: str, message: bytes) -> None:
        self._recorder.put(channel, self._clock.now(), message)


class RecordedSource:
    """A source whose bars are recorded as they are read; see `Source`."""

    def __init__(self, source: Source, recording: Recording) -> None:
        self.name, self.simulated, self.live = source.name, source.simulated, source.live
        self.symbols, self.instruments = source.symbols, source.instruments
        self.span, self.time, self.first_open = source.span, source.time, source.first_open
        self._source, self._recording = source, recording

    def history(self, symbol: str, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the closed M1 bars that open in [start, end), and record them."""
        frame = self._source.history(symbol, start, end)
        self._recording.fetched(bars_of(symbol, frame))
        return frame


def as_recorded(source: Source, recording: Recording) -> Source:
    """Return a source whose bars are recorded as they are read; of a combined one, those of each member."""
    if isinstance(source, CombinedSource):
        source.wrap(lambda member: RecordedSource(member, recording))
        return source
    return RecordedSource(source, recording)


@dataclass(frozen=True, slots=True)
class Stored:
    """The stores with what a session has published.

    Attributes
    ----------
    bars : BarStore
    books : BookSamples
    scores : QualityScores
    """

    bars: BarStore
    books: BookSamples
    scores: QualityScores

    @classmethod
    def of(cls, pool: Pool) -> Self:
        """Return the stores of a database."""
        return cls(BarStore(pool), BookSamples(pool), QualityScores(pool))


@contextmanager
def recorded(
    settings: Settings, run: Run, segment: Segment, stored: Stored, *, clock: Clock
) -> Iterator[Recording | None]:
    """Record a session within the block, if the settings name a folder; yield None if nothing is recorded.

    Parameters
    ----------
    stored : Stored
        Has the bars of before the session.
    """
    reports.RECORDING.forget(settings.home)
    with ExitStack() as kept:
        recording = None
        if settings.record is not None and is_live(run.source):
            try:
                kept.enter_context(_held(settings.record, run.source))
                kept_already = _keep_history(settings.record, run, segment, stored.bars, clock=clock)
                recording = Recording(settings.record, run, settings.home, clock)
                kept.callback(recording.close)
                for symbol in kept_already:
                    _record_again(symbol, run, segment, stored, recording=recording, clock=clock)
            except (ServiceError, OSError, ValueError) as error:  # the last: a history that is no Parquet file
                recording = None
                log.error("recording_stopped", folder=str(settings.record), reason=str(error))
                stopped = RecordingStatus(str(settings.record), stopped=str(error))
                reports.RECORDING.write(stopped, settings.home)
        yield recording


def require_possible(settings: Settings) -> None:
    """Check that a run can be recorded into the folder of the settings, if they name one; create it.

    Raises
    ------
    UsageError
        If the source is none that is recorded, or the folder cannot be used.
    """
    folder = settings.record
    if folder is None:
        return
    if settings.source is not None and not is_live(settings.source):
        raise UsageError("a replay has nothing to record: leave --record out")
    try:
        with _held(folder, settings.source):
            return
    except ServiceError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"{folder} cannot be recorded into ({error.strerror}); give another folder") from error


@contextmanager
def _held(folder: Path, source: str | None) -> Iterator[None]:
    """Reserve a folder for a source within the block; the lock ends with the process, however it ends.

    Raises
    ------
    ServiceError
        If another stack records into it, or it has a recording of another source.
    OSError
        If it cannot be written.
    """
    from filelock import FileLock, Timeout  # here, because it takes a tenth of a second

    folder.mkdir(parents=True, exist_ok=True)
    lock: BaseFileLock = FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        described = _described(folder)
        holder = f"the stack of {described.get('home')} (pid {described.get('pid')})"
        raise ServiceError(f"{holder} records into {folder}; give another folder") from error
    try:
        earlier = _described(folder).get("source", source)
        if source not in {None, earlier}:
            raise ServiceError(f"{folder} has a recording of source {earlier}, not of {source}; give another folder")
        yield
    finally:
        lock.release()


def _described(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / MARK).read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def _keep_history(folder: Path, run: Run, segment: Segment, bars: BarStore, *, clock: Clock) -> list[str]:
    """Write the stored bars of a run into the history of a folder; return the symbols that it has them of already.

    The history of an earlier run in the folder is kept, as far as this run has no bars of its time.
    """
    restarted = _described(folder).get("run") == run.id
    kept = []
    for symbol in segment.symbols:
        path = folder / HISTORY / f"{symbol}_M1.parquet"
        if path.exists() and restarted:
            kept.append(symbol)
            continue
        frame = bars.range(run.source, symbol, Timeframe.M1, segment.history_from, end=clock.now())
        if len(frame):
            shared = frame.rename(columns={"open_time": "ts", "taker_volume": "taker_buy_volume"})
            if path.exists():
                shared = pd.concat([pd.read_parquet(path), shared]).drop_duplicates("ts", keep="last").sort_values("ts")
            path.parent.mkdir(exist_ok=True)
            fresh = path.with_suffix(".new")
            shared.to_parquet(fresh, index=False)
            fresh.replace(path)
    return kept


def _record_again(
    symbol: str, run: Run, segment: Segment, stored: Stored, *, recording: Recording, clock: Clock
) -> None:
    """Record the newest stored minutes of a symbol again, as they were published: a kill may have lost them."""
    again = round(AGAIN / timedelta(minutes=1) * rate_of(clock))
    newest = stored.bars.last(run.source, symbol, Timeframe.M1, again)
    bars = bars_of(symbol, newest[newest["open_time"] >= segment.trade_from])
    if not bars:
        return
    span = bars[0].open_time, bars[-1].close_time
    books = stored.books.closing(run.source, [symbol], span[0], until=span[1])
    scores = {score.close_time: score for score in stored.scores.between(run.source, [symbol], *span)}
    for bar in bars:
        book, score = books.get((symbol, bar.close_time)), scores.get(bar.close_time)
        recording.published(
            bar.close_time, [bar], {symbol: book} if book is not None else {}, [score] if score is not None else []
        )

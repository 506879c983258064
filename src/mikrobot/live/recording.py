"""The recording of a live session, by its streamer: raw messages, bars read by REST, and the minutes it published.

A folder is recorded into by one stack at a time. A recording that cannot go on ends with its reason in the log and in
`mikrobot status`; trading goes on. `mikrobot.market.recorded_bars` reads it.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from mikrobot import telemetry
from mikrobot.domain.errors import ServiceError, UsageError
from mikrobot.domain.market import Bar, Timeframe, bars_of
from mikrobot.domain.sources import SOURCES, is_live
from mikrobot.live import reports
from mikrobot.market.bar_files import HISTORY, MARK
from mikrobot.market.feed import Source
from mikrobot.market.recorded_bars import FETCHED, PUBLISHED, row_of
from mikrobot.market.streams.recorder import Recorder, RecordingStatus
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.runs import Run, Segment

if TYPE_CHECKING:
    from filelock import BaseFileLock

log = telemetry.logger("streamer")

AGAIN = timedelta(minutes=10)
"""Stored minutes that are recorded again at a restart: a kill may have lost the newest of them."""


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
        }  # fmt: skip
        (folder / MARK).write_text(json.dumps(described))
        self._recorder = Recorder(folder)

    def take(self, channel: str, received_at: datetime, message: bytes) -> None:
        """Record a raw message of a socket."""
        self._recorder.put(channel, received_at, message)

    def fetched(self, bars: Sequence[Bar]) -> None:
        """Record bars that were read by REST."""
        if bars:
            self._put(FETCHED, {"bars": [row_of(bar) for bar in bars]})

    def published(self, close_time: datetime, bars: Sequence[Bar]) -> None:
        """Record a minute as it was published, and report how the recording fares."""
        self._put(PUBLISHED, {"close": close_time.isoformat(), "bars": [row_of(bar) for bar in bars]})
        reports.RECORDING.write(self._recorder.status(), self._home)

    def close(self) -> None:
        """Write what waits."""
        self._recorder.close()
        reports.RECORDING.write(self._recorder.status(), self._home)

    def _put(self, channel: str, data: dict[str, Any]) -> None:
        self._recorder.put(channel, self._clock.now(), json.dumps({"stream": channel, "data": data}).encode())


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


@contextmanager
def recorded(
    settings: Settings, run: Run, segment: Segment, bars: BarStore, *, clock: Clock
) -> Iterator[Recording | None]:
    """Record a session within the block, if the settings name a folder; yield None if nothing is recorded.

    Parameters
    ----------
    bars : BarStore
        Has the bars of before the session.
    """
    reports.RECORDING.forget(settings.home)
    with ExitStack() as kept:
        recording = None
        if settings.record is not None and is_live(run.source):
            try:
                kept.enter_context(_held(settings.record, run.source))
                recording = Recording(settings.record, run, settings.home, clock)
                kept.callback(recording.close)
                _keep_stored(settings.record, run, segment, bars, recording=recording, until=clock.now())
            except (ServiceError, OSError) as error:
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
    if settings.source is not None and not SOURCES[settings.source].live:
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


def _keep_stored(
    folder: Path, run: Run, segment: Segment, bars: BarStore, *, recording: Recording, until: datetime
) -> None:
    """Write the stored bars into the history of a folder that has none; else record the newest of them again."""
    for symbol in segment.symbols:
        path = folder / HISTORY / f"{symbol}_M1.parquet"
        if path.exists():
            newest = bars.last(run.source, symbol, Timeframe.M1, AGAIN // timedelta(minutes=1))
            for bar in bars_of(symbol, newest[newest["open_time"] >= segment.trade_from]):
                recording.published(bar.close_time, [bar])
            continue
        frame = bars.range(run.source, symbol, Timeframe.M1, segment.history_from, end=until)
        if len(frame):
            path.parent.mkdir(exist_ok=True)
            fresh = path.with_suffix(".new")
            shared = frame.rename(columns={"open_time": "ts", "taker_volume": "taker_buy_volume"})
            shared.to_parquet(fresh, index=False)
            fresh.replace(path)

"""A folder that a later run records into has the whole history of that run, and replays that run."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from mikrobot.domain.market import bars_of
from mikrobot.live.recording import Stored, recorded
from mikrobot.market.recorded_bars import RecordedSession
from mikrobot.runtime import ManualClock
from mikrobot.settings import Settings
from mikrobot.store.runs import Run, Segment

START = datetime(2025, 1, 6, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class StoredBars:
    """The bars of a market, as the database has them."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def range(self, source: str, symbol: str, timeframe: object, start: datetime, *, end: datetime) -> pd.DataFrame:
        opened = self._frame["open_time"]
        return self._frame[(opened >= start) & (opened < end)].reset_index(drop=True)

    def last(self, source: str, symbol: str, timeframe: object, count: int) -> pd.DataFrame:
        return self._frame.iloc[:0]


def record(folder: Path, home: Path, frame: pd.DataFrame, name: str, history_from: datetime, now: datetime) -> None:
    """Record a run of three minutes of the bars."""
    symbols = ("BTCUSDT", "ETHUSDT") if name == "r1" else ("BTCUSDT",)
    segment = Segment(symbols, history_from, now, now + HOUR)
    run = Run(name, "binance", False, symbols, now, now + HOUR, now, {"segments": [segment.to_json()]})
    bars: Any = StoredBars(frame)
    nothing: Any = SimpleNamespace()
    settings = Settings(home=home, record=folder)
    with recorded(settings, run, segment, Stored(bars, nothing, nothing), clock=ManualClock(now)) as recording:
        assert recording is not None
        for symbol in symbols:
            for bar in bars_of(symbol, bars.range("", symbol, None, now, end=now + 3 * MINUTE)):
                recording.published(bar.close_time, [bar])


@pytest.fixture
def folder(tmp_path: Path, bars: Any) -> Path:
    """A folder into which a run of two symbols was recorded, then one with a longer history an hour later."""
    frame = bars(300, start=START, price=60_000.0)
    recorded_into = tmp_path / "recorded"
    record(recorded_into, tmp_path, frame, "r1", START + HOUR, START + 2 * HOUR)
    record(recorded_into, tmp_path, frame, "r2", START, START + 4 * HOUR)
    return recorded_into


def test_the_history_of_a_later_run_is_whole(folder: Path) -> None:
    session = RecordedSession(folder, START + timedelta(days=1))
    opened = session.frames["BTCUSDT"]["open_time"]
    assert list(opened) == list(pd.date_range(START, START + 4 * HOUR + 2 * MINUTE, freq="1min"))
    assert session.hours is not None
    assert (session.hours.history_from, session.hours.trade_from) == (START, START + 4 * HOUR)


def test_a_replay_has_the_symbols_of_the_later_run(folder: Path) -> None:
    assert list(RecordedSession(folder, START + timedelta(days=1)).frames) == ["BTCUSDT"]


def test_a_restart_of_a_run_writes_no_history_again(folder: Path, tmp_path: Path, bars: Any) -> None:
    history = folder / "history" / "BTCUSDT_M1.parquet"
    before = history.read_bytes()
    record(folder, tmp_path, bars(300, start=START, price=70_000.0), "r2", START, START + 4 * HOUR)
    assert history.read_bytes() == before


def test_a_damaged_history_ends_the_recording_and_not_the_session(folder: Path, tmp_path: Path, bars: Any) -> None:
    (folder / "history" / "BTCUSDT_M1.parquet").write_bytes(b"no Parquet file")
    now, stored, nothing = START + 4 * HOUR, StoredBars(bars(300, start=START)), SimpleNamespace()
    segment = Segment(("BTCUSDT",), START, now, now + HOUR)
    run = Run("r3", "binance", False, ("BTCUSDT",), now, now + HOUR, now, {"segments": [segment.to_json()]})
    of_it: Any = Stored(stored, nothing, nothing)  # type: ignore[arg-type]
    with recorded(Settings(home=tmp_path, record=folder), run, segment, of_it, clock=ManualClock(now)) as recording:
        assert recording is None

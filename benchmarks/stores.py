"""Benchmarks of the stores, compared with the shortest statements on the same server and with the disk."""

import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.features import simulated_bars
from benchmarks.streams import kline
from benchmarks.temporary_stack import temporary_database
from benchmarks.timing import Measurement, Timed, compared, scaled
from mikrobot.domain.market import BAR_COLUMNS, Bar, Timeframe
from mikrobot.domain.trading import Decision, OrderIntent, Prediction, Side
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.live.accounts import lines_of
from mikrobot.market.binance_messages import closed_bar_of
from mikrobot.market.streams.closed_bars import ClosedBars
from mikrobot.models.bos import BosInputs
from mikrobot.paper.venue import Venue
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.feast import offline
from mikrobot.store.feast.config import SERVICE, TIMESTAMP, VIEW, offline_folder, open_feature_store
from mikrobot.store.feast.online import FeatureRows
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres import database, frames
from mikrobot.store.postgres.database import Pool
from mikrobot.store.postgres.roles import LIVE, OWNER
from mikrobot.store.runs import Run, Runs

BARS = 100_000
READ = 1_000
EVENTS = 50_000
COLUMNS = 60

_SOURCE, _SYMBOL = "simulated", "EURUSD"
_START = datetime(2025, 1, 6, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_PAGE = 8_192


def measure(scale: float = 1.0) -> Iterator[Measurement]:
    """Time bars, online rows, the ledger and training rows on a PostgreSQL of their own."""
    frame = simulated_bars(_SYMBOL, scaled(BARS, scale, least=2 * READ))
    with (
        temporary_database() as settings,
        database.open_pool(settings) as pool,
        database.open_pool(settings, OWNER) as owner,
    ):
        yield from _bars(settings, pool, owner, frame, scale=scale)
        yield from _online(settings, pool, frame, scale)
        yield from _ledger(settings, pool, owner, scale)
        yield from _training(settings, frame, scale)


def _bars(settings: Settings, pool: Pool, owner: Pool, frame: pd.DataFrame, *, scale: float) -> Iterator[Measurement]:
    store = BarStore(pool)
    _run(owner, "CREATE TABLE plain (ts timestamptz, " + " float8, ".join(BAR_COLUMNS[1:]) + " float8)")
    size = len(frames.encode(_SYMBOL, frame))
    yield compared(
        f"bars, upsert of {len(frame):,}",
        "ms",
        Timed(
            "upsert",
            lambda: store.upsert(_SOURCE, _SYMBOL, Timeframe.M1, frame),
            prepare=lambda: _run(owner, "TRUNCATE bar"),
        ),
        Timed(
            "COPY into a table without a key",
            lambda: _copy(owner, frame),
            prepare=lambda: _run(owner, "TRUNCATE plain"),
        ),
        limit=Timed("writing as many bytes to the disk", lambda: _write(settings.home, bytes(size))),
        rounds=scaled(7, scale),
    )
    yield compared(
        f"bars, upsert of the same {len(frame):,} again",
        "ms",
        lambda: store.upsert(_SOURCE, _SYMBOL, Timeframe.M1, frame),
        Timed("ON CONFLICT for every row", _overwriting(owner, frame)),
        limit=Timed(
            "COPY into a table without a key",
            lambda: _copy(owner, frame),
            prepare=lambda: _run(owner, "TRUNCATE plain"),
        ),
        rounds=scaled(7, scale),
    )
    yield _to_the_disk(settings, pool, owner, scale)
    path = settings.home / "bars.parquet"
    frame.to_parquet(path, row_group_size=10 * READ)
    first = frame["open_time"].iloc[-READ]
    yield compared(
        f"bars, last {READ:,}", "ms",
        lambda: store.last(_SOURCE, _SYMBOL, Timeframe.M1, READ),
        Timed("Parquet, the same rows", lambda: pd.read_parquet(path, filters=[("open_time", ">=", first)])),
        limit=select_1(pool), rounds=scaled(200, scale),
    )  # fmt: skip


def _to_the_disk(settings: Settings, pool: Pool, owner: Pool, scale: float) -> Measurement:
    """Time a closed kline from its message to its bar that survives a crash, by the role of the streamer."""
    run = Run("klines", _SOURCE, True, (_SYMBOL,), _START, _START, _START, {})
    Runs(pool).begin(run)
    numbers, clock = count(), SystemClock()
    with database.open_pool(settings, LIVE) as live:
        store, runs, arrived = BarStore(live), Runs(live), ClosedBars()

        def stored() -> None:
            number = next(numbers)
            bar = closed_bar_of(kline(number))
            assert bar is not None
            arrived.put(bar)
            bars = arrived.minute(bar.open_time, [bar.symbol], bar.close_time, clock).values()
            runs.advance(run.id, "streamer", bar.close_time, lambda: [store.append("replay", one) for one in bars])

        return compared(
            "bar, from the message of its kline to the disk", "ms", stored, durable_insert(owner),
            limit=Timed("a page written to the disk", _page_writer(settings.home)), rounds=scaled(300, scale),
        )  # fmt: skip


def _overwriting(owner: Pool, frame: pd.DataFrame) -> Callable[[], None]:
    """Store a frame in another table by the statement that needs no look at what is stored."""
    _run(owner, "CREATE TABLE keyed (ts timestamptz PRIMARY KEY, " + " float8, ".join(BAR_COLUMNS[1:]) + " float8)")
    names = ", ".join(BAR_COLUMNS[1:])
    changed = ", ".join(f"excluded.{name}" for name in BAR_COLUMNS[1:])
    statement = f"INSERT INTO keyed SELECT * FROM plain ON CONFLICT (ts) DO UPDATE SET ({names}) = ({changed})"  # noqa: S608, columns of ours

    def call() -> None:
        _run(owner, "TRUNCATE plain")
        _copy(owner, frame)
        _run(owner, statement)

    return call


def _online(settings: Settings, pool: Pool, frame: pd.DataFrame, scale: float) -> Iterator[Measurement]:
    rows, feast = FeatureRows(settings), open_feature_store(settings)
    values = FeaturePipeline([_SYMBOL]).compute(_SYMBOL, frame.head(1_000))[-1]
    wide = pd.DataFrame([values], columns=list(CATALOG.columns)).assign(source=_SOURCE, symbol="GBPUSD")
    closes = (_START + number * _MINUTE for number in count())
    service, entity = feast.get_feature_service(SERVICE), [{"source": _SOURCE, "symbol": _SYMBOL}]
    yield compared(
        "online row, write", "ms",
        lambda: rows.write(_SOURCE, _SYMBOL, next(closes), values),
        Timed(
            "Feast's write_to_online_store",
            lambda: feast.write_to_online_store(VIEW, wide.assign(**{TIMESTAMP: next(closes)})),
        ),
        limit=select_1(pool), rounds=scaled(300, scale),
    )  # fmt: skip
    newest = rows.latest(_SOURCE, _SYMBOL)
    assert newest is not None
    yield compared(
        "online row, read", "ms",
        lambda: rows.read(_SOURCE, _SYMBOL, CATALOG.columns, newest),
        Timed("Feast's get_online_features", lambda: feast.get_online_features(service, entity).to_dict()),
        limit=select_1(pool), rounds=scaled(300, scale),
    )  # fmt: skip


def _ledger(settings: Settings, pool: Pool, owner: Pool, scale: float) -> Iterator[Measurement]:
    """Time the commits of the live processes, by their role."""
    run = Run("bench", _SOURCE, True, (_SYMBOL,), _START, _START, _START, {})
    Runs(pool).begin(run)
    minutes = (_minute(_START + number * _MINUTE) for number in count())
    fills = _fills(_START + timedelta(days=1))
    with database.open_pool(settings, LIVE) as live:
        ledger = Ledger(live)
        yield compared(
            "ledger, commit of a minute", "ms",
            lambda: ledger.commit(run.id, **next(minutes)),
            durable_insert(owner),
            limit=Timed("a page written to the disk", _page_writer(settings.home)),
            rounds=scaled(300, scale),
        )  # fmt: skip
        yield compared(
            "ledger, one durable fill", "ms",
            lambda: ledger.commit(run.id, **next(fills)),
            durable_insert(owner),
            limit=Timed("a page written to the disk", _page_writer(settings.home)),
            rounds=scaled(300, scale),
        )  # fmt: skip


def _fills(start: datetime) -> Iterator[dict[str, Any]]:
    """Give commits with the records of one fill, as the exchange writes them, numbered on and on."""
    venue, seq = Venue([_SYMBOL], seed=7), 0
    venue.open(start, Decimal(10_000))
    first, second = (Bar(_SYMBOL, start + number * _MINUTE, 1.1, 1.1, 1.1, 1.1) for number in range(2))
    venue.play(first)
    stop, target, at = Decimal("1.09000"), Decimal("1.12000"), first.close_time
    venue.place(OrderIntent("filled", "", _SYMBOL, Side.BUY, Decimal("0.10"), stop, target, at, at + 30 * _MINUTE))
    venue.unrecorded()
    venue.play(second)
    ((account, records),) = venue.unrecorded().items()
    for number in count():
        renumbered = [record._replace(seq=seq + place) for place, record in enumerate(records)]
        seq += len(records)
        yield {"close_time": start + number * _MINUTE, "journal": lines_of({account: renumbered})}


def _training(settings: Settings, frame: pd.DataFrame, scale: float) -> Iterator[Measurement]:
    size = scaled(EVENTS, scale, least=500)
    offline.append(settings, _SOURCE, FeaturePipeline([_SYMBOL]).frame(_SYMBOL, frame))
    chosen = np.sort(np.random.default_rng(0).choice(len(frame), size, replace=False))
    at = frame["open_time"].iloc[chosen] + _MINUTE
    events = pd.DataFrame({"source": _SOURCE, "symbol": _SYMBOL, "event_timestamp": at}).reset_index(drop=True)
    columns, folder = list(CATALOG.columns[:COLUMNS]), offline_folder(settings)
    yield compared(
        f"training rows, {size:,} events x {COLUMNS} columns", "ms",
        lambda: offline.training_rows(settings, events, columns),
        Timed("Parquet and pandas' merge_asof", lambda: _merged(folder, events, columns)),
        limit=Timed("reading these columns", lambda: pd.read_parquet(folder, columns=columns)),
        rounds=scaled(5, scale),
    )  # fmt: skip


def select_1(pool: Pool) -> Timed:
    """Return the shortest thing to ask the server: a round trip on a connection that is at hand."""
    return Timed("SELECT 1", lambda: _run(pool, "SELECT 1"))


def durable_insert(owner: Pool) -> Timed:
    """Return the smallest durable write of a server: one row in a table of the owner, acknowledged from the disk."""
    _run(owner, "CREATE TABLE IF NOT EXISTS note (at timestamptz, content text)")
    return Timed("one durable INSERT", lambda: _run(owner, "INSERT INTO note VALUES (now(), 'one row')"))


def _run(pool: Pool, statement: str) -> None:
    with pool.connection() as connection:
        connection.execute(statement.encode())


def _copy(pool: Pool, frame: pd.DataFrame) -> None:
    copied = frames.encode(_SYMBOL, frame)
    statement = "COPY plain FROM STDIN (FORMAT binary)"
    with pool.connection() as connection, connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(copied)


def _write(folder: Path, content: bytes) -> None:
    with (folder / "written").open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _page_writer(folder: Path) -> Callable[[], None]:
    """Return a call that writes a page in the middle of a file and waits for the disk, as a database's log does."""
    written = os.open(folder / "page", os.O_CREAT | os.O_RDWR)
    os.write(written, bytes(64 * _PAGE))
    synced = os.fdatasync if sys.platform == "linux" else os.fsync

    def call() -> None:
        os.pwrite(written, bytes(_PAGE), 8 * _PAGE)
        synced(written)

    return call


def _minute(close_time: datetime) -> dict[str, Any]:
    features = dict.fromkeys(BosInputs().columns, 1.25)
    predictions = [
        Prediction(_SYMBOL, side, close_time, 0.4, "bos", "1", CATALOG.version, features)
        for side in (Side.BUY, Side.SELL)
    ]
    decision = Decision(
        f"{close_time:%Y%m%d%H%M}", _SYMBOL, close_time, False, None, ("probability below the entry",), "simple_break@0"
    )
    return {"close_time": close_time, "predictions": predictions, "decisions": [decision]}


def _merged(folder: Path, events: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    rows = pd.read_parquet(folder, columns=[TIMESTAMP, *columns]).sort_values(TIMESTAMP)
    return pd.merge_asof(events, rows, left_on="event_timestamp", right_on=TIMESTAMP, tolerance=_MINUTE)

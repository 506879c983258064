"""Recorded sockets of order books: the raw messages give the books that the session had, whatever happened to it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import httpx
import pytest
from click.testing import CliRunner

from mikrobot.cli.main import main
from mikrobot.domain.market_events import BookSnapshot, BookUpdate, Tick
from mikrobot.domain.order_books import ClosingBook
from mikrobot.live.recording import Recording
from mikrobot.market.binance_books import LiveBooks, weight_of
from mikrobot.market.binance_markets import SPOT, USDM
from mikrobot.market.binance_messages import event
from mikrobot.market.binance_streams import attempts_of
from mikrobot.market.border import instant
from mikrobot.market.local_venue.opening import VenueOptions
from mikrobot.market.recorded_books import RecordedBooks
from mikrobot.market.recorded_minutes import books_of
from mikrobot.market.recorded_streams import DEPTH, KLINES, files_of, messages
from mikrobot.market.streams.live_book import LiveBook
from mikrobot.store.runs import Run, Segment
from tests.chaos.live_feed import market_clock
from tests.contract.market.served_venue import venue_of
from tests.contract.market.stream_server import until

START = datetime(2025, 2, 5, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SPEED = 20.0
SYMBOLS = ["BTCUSDT", "ETHUSDT"]
MARKETS = {"spot": (SPOT, "api", "binance-local"), "usdm": (USDM, "fapi", "binance-usdm-local")}


class Session:
    """Live books of a local venue, recorded into a folder."""

    def __init__(self, name: str, address: str, folder: Path, home: Path) -> None:
        market, path, source = MARKETS[name]
        self.address, self.clock, self.folder = address, market_clock(f"http://{address}", SPEED, 0.0), folder
        segment = Segment(tuple(SYMBOLS), START, START, START + 60 * MINUTE)
        settings = {"segments": [segment.to_json()]}
        run = Run("r1", source, True, segment.symbols, START, START + 60 * MINUTE, START, settings)
        self.recording = Recording(folder, run, home, self.clock)
        self.books = LiveBooks(
            SYMBOLS, market, self.clock, rest_url=f"http://{address}/{path}", stream_url=f"ws://{address}",
            attempts=attempts_of(home), weight=weight_of(home, market), rng=Random(1),
        )  # fmt: skip
        self.books.record(self._take)
        self.newest: dict[str, datetime] = {}
        self.published: dict[tuple[str, datetime], ClosingBook] = {}

    def _take(self, channel: str, received_at: datetime, message: bytes) -> None:
        self.recording.take_book(channel, received_at, message)
        received = event(message)
        if isinstance(received, BookUpdate):
            self.newest[received.symbol] = instant(received.time_ms * 1000)

    def live(self) -> None:
        until(lambda: {status.state for status in self.books.status()} == {"live"}, "live books")

    def fault(self, **terms: object) -> None:
        httpx.post(f"http://{self.address}/_control", json=terms).raise_for_status()

    def publish(self) -> dict[str, ClosingBook]:
        """Wait for the next close, and for a later change of each book; publish the books at the close."""
        close = self.clock.now().replace(second=0, microsecond=0) + MINUTE
        until(lambda: min(self.newest.get(symbol, START) for symbol in SYMBOLS) > close, "changes after the close")
        books = self.books.at_close(close, SYMBOLS)
        self.published |= {(symbol, close): book for symbol, book in books.items()}
        self.recording.published(close, [], books)
        return books


@pytest.fixture
def record(tmp_path: Path):
    @contextmanager
    def start(name: str) -> Iterator[Session]:
        with ExitStack() as ending:
            options = VenueOptions(symbols=SYMBOLS, start=START, speed=SPEED)
            _, address = ending.enter_context(venue_of(options))
            (tmp_path / "recorded").mkdir()
            session = Session(name, address, tmp_path / "recorded", tmp_path)
            ending.callback(session.recording.close)
            ending.callback(session.books.close)
            yield session

    return start


def computed(folder: Path, symbol: str, *, chained: bool) -> LiveBook:
    """Return the book of a symbol after all recorded messages of it."""
    book = LiveBook(symbol, chained=chained)
    for path in files_of(folder, DEPTH):
        for _, message in messages(path):
            received = event(message)
            if received is None or received.symbol != symbol:
                continue
            if isinstance(received, BookUpdate):
                book.put(received)
                book.apply()
            elif isinstance(received, Tick):
                book.tick(received)
            elif isinstance(received, BookSnapshot):
                book.take(received, asked_for=SPOT.depth_levels)
            book.asked(START)
    return book


def shown(folder: Path, symbol: str) -> list[dict[str, object]]:
    """Return what `mikrobot book` shows of each file."""
    result = CliRunner().invoke(main, ["book", str(folder), "--symbol", symbol, "--json"])
    assert result.exit_code == 0, result.stderr
    return list(json.loads(result.stdout))


@pytest.mark.parametrize("name", sorted(MARKETS))
def test_the_recorded_messages_give_the_published_books_after_faults_too(name, record):
    with record(name) as session:
        session.live()
        session.publish()
        session.fault(fault="id_gap", count=1)
        session.publish()
        session.fault(fault="drop")
        until(lambda: "live" not in {status.state for status in session.books.status()}, "lost books")
        session.live()
        session.publish()
        session.publish()
    recorded = RecordedBooks(books_of(session.folder, SYMBOLS))
    for symbol in SYMBOLS:
        book = computed(session.folder, symbol, chained=name == "usdm")
        closes = [at for of, at in session.published if of == symbol]
        assert len(closes) == 4
        for close in closes:
            published = session.published[symbol, close]
            assert recorded.at_close(close, [symbol]) == {symbol: published}
            if published.state == "live":
                assert book.at_close(close) == published
        states = [session.published[symbol, close].state for close in closes]
        assert states.count("live") >= 3
        assert len(published.bids) == 20
        (end,) = shown(session.folder, symbol)
        assert (end["state"], end["crossed"]) == ("live", 0)
        assert end["ticker_compared"] > 20
        assert end["ticker_equal"] >= 0.99 * end["ticker_compared"]  # prices of another socket may come later
        assert end["published_equal"] == end["published_compared"] == states.count("live")


FOLLOWER = """
import resource, sys
from pathlib import Path
from random import Random
from mikrobot.market.binance_books import LiveBooks, weight_of
from mikrobot.market.binance_markets import SPOT
from mikrobot.market.binance_streams import BinanceStream, attempts_of
from mikrobot.market.streams.recorder import Recorder
from mikrobot.runtime import SystemClock
from tests.chaos.live_feed import market_clock
address, folder, home = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
speed, limit, symbols = float(sys.argv[4]), int(sys.argv[5]), sys.argv[6:]
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
clock = market_clock(f"http://{address}", speed, 0.0)
recorder = Recorder(folder)
stream = BinanceStream(symbols, f"ws://{address}", clock, attempts=attempts_of(home), rng=Random(1))
stream.record(recorder.put)
books = LiveBooks(
    symbols, SPOT, clock, rest_url=f"http://{address}/api", stream_url=f"ws://{address}",
    attempts=attempts_of(home), weight=weight_of(home, SPOT), rng=Random(1),
)
books.record(lambda *message: recorder.put(*message, of_book=True))
while True:
    SystemClock().sleep(0.1)
    status, states = recorder.status(), {book.state for book in books.status()}
    print("status", status.messages, int(states == {"live"}), int(bool(status.books_stopped)), flush=True)
"""


@contextmanager
def follower(tmp_path: Path, limit: int = 0) -> Iterator[subprocess.Popen[str]]:
    """Follow klines and books of a local venue in a process of its own, and record them; end it at the end."""
    folder = tmp_path / "recorded"
    folder.mkdir()
    (folder / "recording.json").write_text("{}")
    with venue_of(VenueOptions(symbols=SYMBOLS, start=START, speed=SPEED)) as (_, address):
        arguments = [address, folder, tmp_path, SPEED, limit, *SYMBOLS]
        process = subprocess.Popen(
            [sys.executable, "-c", FOLLOWER, *map(str, arguments)], stdout=subprocess.PIPE, text=True
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def statuses(process: subprocess.Popen[str]) -> Iterator[tuple[int, bool, bool]]:
    """Yield how many messages were written, whether all books are live, and whether those of books have stopped."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("status "):
            written, is_live, is_stopped = map(int, line.split()[1:])
            yield written, bool(is_live), bool(is_stopped)


def count(folder: Path, channel: str) -> int:
    return sum(1 for path in files_of(folder, channel) for _ in messages(path, broken_off=True))


def test_a_killed_process_loses_nothing_of_what_was_written_of_books_and_bars(tmp_path):
    with follower(tmp_path) as process:
        written = next(written for written, is_live, _ in statuses(process) if is_live and written > 500)
    folder = tmp_path / "recorded"
    assert count(folder, DEPTH) + count(folder, KLINES) >= written
    assert min(count(folder, DEPTH), count(folder, KLINES)) > 10
    for symbol in SYMBOLS:
        assert shown(folder, symbol)[-1]["state"] == "live"


def test_a_full_disk_ends_the_messages_of_books_and_the_bars_go_on(tmp_path):
    with follower(tmp_path, limit=60_000) as process:
        followed = statuses(process)
        assert next(is_stopped for _, _, is_stopped in followed if is_stopped)
        folder = tmp_path / "recorded"
        bars, depth = count(folder, KLINES), count(folder, DEPTH)
        written = next(written for written, _, _ in followed if count(folder, KLINES) > bars + 20)
    assert count(folder, DEPTH) == depth > 10
    assert written > bars + depth

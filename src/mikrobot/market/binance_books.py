"""Live order books of Binance, spot and USD-M futures: depth and bookTicker streams, and snapshots by REST.

Runs one event loop in a thread of its own, with sockets of its own, so that the bars are not disturbed. Snapshots are
fetched one after the other in another thread, as far as the request weight of the address allows.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random, SystemRandom
from threading import Thread
from urllib.parse import quote

import msgspec

from mikrobot.domain.errors import FeedError, FeedRefused, StoreError
from mikrobot.domain.order_books import ClosingBook
from mikrobot.market.binance_depth import DepthClient
from mikrobot.market.binance_markets import STREAMS_PER_SOCKET, BinanceMarket, market_of
from mikrobot.market.binance_messages import as_message, tick_of, update_of
from mikrobot.market.binance_streams import attempts_of
from mikrobot.market.recorded_streams import DEPTH as CHANNEL
from mikrobot.market.streams.bar_stream import Take
from mikrobot.market.streams.book_stream import First
from mikrobot.market.streams.connection import Connection, StreamStatus
from mikrobot.market.streams.live_book import BookStatus, LiveBook
from mikrobot.market.streams.shared_budget import Budget, SharedBudget
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.telemetry import logger

log = logger("market")

MINUTE = timedelta(minutes=1)

SHARE = 0.8
"""Share of the limit of the venue that is used at most."""

SHARE_OF_BARS = 0.1
"""Share of the limit that snapshots leave to the requests for bars."""

LEAST_LIMIT = 1_000
"""Weight per minute that is assumed until the venue has named its limit."""

DEPTH, TICKER = "depth@100ms", "bookTicker"

WATCH_S = 1.0
"""Seconds between two looks at the streams and the books."""

LOOK_S = 0.1
"""Seconds between two looks for a book that needs a snapshot."""

LIMIT_WAIT_S = 10.0
"""Seconds until the limit is asked for again after a failure."""

ANSWER_S = 2.0
"""Real seconds that the books of a close are waited for."""


def open_books(settings: Settings, symbols: Sequence[str], clock: Clock, first: First) -> "LiveBooks | None":
    """Return the order books of the source; None if the settings turn them off or name no server of streams."""
    market = market_of(settings.source or "binance")
    rest_url, stream_url = market.addresses(settings)
    if not settings.books or not stream_url:
        return None
    return LiveBooks(
        symbols, market, clock, rest_url=rest_url, stream_url=stream_url,
        attempts=attempts_of(settings.home), weight=weight_of(settings.home, market), rng=SystemRandom(), first=first,
    )  # fmt: skip


def weight_of(home: Path, market: BinanceMarket) -> SharedBudget:
    """Return the request weight of all processes of a state folder on a market, as far as snapshots may use it."""
    return SharedBudget(home / market.weights, allowed(LEAST_LIMIT), MINUTE)


def allowed(limit: int) -> int:
    """Return the weight that snapshots may use of a limit.

    >>> allowed(6000)
    4200
    """
    return int(limit * (SHARE - SHARE_OF_BARS) + 0.5)


class LiveBooks:
    """The order books of some symbols of one market.

    Parameters
    ----------
    symbols : sequence of str
    market : BinanceMarket
    clock : Clock
    rest_url, stream_url : str
        Addresses, as ``https://api.binance.com/api`` and ``wss://stream.binance.com:9443``.
    attempts : Budget
        Attempts to connect.
    weight : SharedBudget
        Request weight; its limit is set to the one that the venue names.
    rng : Random
        For the waits between attempts.
    first : First
    """

    def __init__(
        self,
        symbols: Sequence[str],
        market: BinanceMarket,
        clock: Clock,
        *,
        rest_url: str,
        stream_url: str,
        attempts: Budget,
        weight: SharedBudget,
        rng: Random,
        first: First = tuple,
    ) -> None:
        self._market, self._clock, self._weight, self._first = market, clock, weight, first
        self._rest = DepthClient(market, rest_url)
        self._books = {symbol: LiveBook(symbol, chained=market.futures) for symbol in symbols}
        self._by_stream = {f"{symbol.lower()}@{kind}": symbol for symbol in symbols for kind in (DEPTH, TICKER)}
        self._changed: dict[str, LiveBook] = {}
        self._logged: dict[str, tuple[str, int, int]] = {}
        self._ended = ""
        self._limit_known = False
        self._refused = datetime.min.replace(tzinfo=UTC), ""
        half = STREAMS_PER_SOCKET // 2
        groups = [list(symbols[at : at + half]) for at in range(0, len(symbols), half)]
        address = f"{stream_url.rstrip('/')}{market.paths.get('depth', '')}/stream?streams="
        self._connections = {
            self._connection(address, group, attempts, rng): [self._books[symbol] for symbol in group]
            for group in groups
        }
        self._loop = asyncio.new_event_loop()
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._thread = Thread(target=self._run, daemon=True, name="binance-books")
        self._thread.start()

    def record(self, take: Take) -> None:
        """Pass every raw message on from now, with the channel of its socket and the time of receipt.

        A snapshot of REST is passed on with the messages of its symbol, in the form of `binance_messages.as_message`.
        """
        for number, connection in enumerate(self._connections, start=1):
            connection.record = partial(take, f"{CHANNEL}{number}")

    def at_close(self, close_time: datetime, symbols: Iterable[str]) -> dict[str, ClosingBook]:
        """Return the order book of each symbol at a close, with its state; without those not known any more.

        Parameters
        ----------
        close_time : datetime
            One of the last minutes, UTC.
        symbols : iterable of str
        """
        asked = [symbol for symbol in symbols if symbol in self._books]
        if self._ended:
            return {symbol: ClosingBook(symbol, close_time, "lost", self._ended) for symbol in asked}
        answer = asyncio.run_coroutine_threadsafe(self._at_close(close_time, asked), self._loop)
        try:
            return answer.result(ANSWER_S)
        except TimeoutError:
            log.warning("books_did_not_answer", close_time=close_time, seconds=ANSWER_S)
            return {}

    def status(self) -> list[BookStatus]:
        """Return the state of each order book."""
        return [book.status() for book in self._books.values()]

    def connections(self) -> list[StreamStatus]:
        """Return the state of each connection."""
        return [connection.status() for connection in self._connections]

    def close(self) -> None:
        """End all connections and the threads."""
        if not self._ended:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._rest.close()

    def _connection(self, address: str, symbols: Sequence[str], attempts: Budget, rng: Random) -> Connection:
        streams = [f"{symbol.lower()}@{kind}" for symbol in symbols for kind in (DEPTH, TICKER)]
        books = [self._books[symbol] for symbol in symbols]
        names = "/".join(quote(stream, safe="@") for stream in streams)

        def lose(reason: str) -> None:
            for book in books:
                book.lose(reason)

        return Connection(
            address + names, streams, self._take, clock=self._clock, attempts=attempts, rng=rng, lose=lose
        )

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._kept_up())
        except Exception as error:
            log.exception("books_ended")
            self._ended = f"the order books have ended for good: {error!r}"
            for book in self._books.values():
                book.lose(self._ended)
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _kept_up(self) -> None:
        """Run until `close`, or until a task fails."""
        works = [self._stop.wait(), self._apply(), self._watch(), self._fetch()]
        tasks = [
            asyncio.ensure_future(work) for work in (*works, *(connection.run() for connection in self._connections))
        ]
        ended, running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for task in ended:
            task.result()

    def _take(self, stream: str, data: msgspec.Raw) -> None:
        book = self._books[self._by_stream[stream]]
        try:
            if stream.endswith(TICKER):
                book.tick(tick_of(data))
                return
            book.put(update_of(data))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("book_message_left_out", stream=stream, reason=str(error))
            return
        self._changed[book.symbol] = book
        self._wake.set()

    async def _apply(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            changed, self._changed = self._changed, {}
            for book in changed.values():
                book.apply()
                await self._clock.wait(0)

    async def _watch(self) -> None:
        while True:
            await self._clock.wait(WATCH_S)
            now = self._clock.now()
            for connection, books in self._connections.items():
                for book in books:
                    book.watch(now, _trouble(connection, f"{book.symbol.lower()}@{DEPTH}", now))
                    self._log_change(book)

    def _log_change(self, book: LiveBook) -> None:
        status = book.status()
        changed = (status.state, status.gaps, status.snapshots)
        if self._logged.get(book.symbol) != changed:
            self._logged[book.symbol] = changed
            counts = {"gaps": status.gaps, "snapshots": status.snapshots}
            log.info("book_state", symbol=book.symbol, state=status.state, reason=status.reason, **counts)

    async def _fetch(self) -> None:
        """Fetch the snapshots that are due, one after the other."""
        while True:
            due = self._due()
            if not due:
                await self._clock.wait(LOOK_S)
            elif not self._limit_known:
                await self._learn_limit(due)
            else:
                await self._fetch_first(await self._ordered(due))

    def _due(self) -> list[LiveBook]:
        now = self._clock.now()
        return [book for book in self._books.values() if book.due(now)]

    async def _ordered(self, due: list[LiveBook]) -> list[LiveBook]:
        """Return the books that are due, those of open positions first."""
        if len(due) < 2:
            return due
        try:
            first = set(await asyncio.to_thread(self._first))
        except StoreError as error:
            log.warning("positions_not_read", reason=str(error))
            return due
        return sorted(due, key=lambda book: book.symbol not in first)

    async def _learn_limit(self, due: Sequence[LiveBook]) -> None:
        try:
            if await self._allowed(self._market.listing_weight, due):
                limit = await asyncio.to_thread(self._rest.weight_limit, due[0].symbol)
                self._weight.most = allowed(limit)
                self._limit_known = True
                await self._correct()
                log.info("request_weight", market=self._market.name, limit=limit, used_at_most=self._weight.most)
        except FeedError as error:
            await self._failed(error, due)
            await self._clock.wait(LIMIT_WAIT_S)

    async def _fetch_first(self, due: Sequence[LiveBook]) -> None:
        """Fetch the snapshot of the first of the books, if the request weight allows it."""
        book = due[0]
        try:
            if not await self._allowed(self._market.depth_weight, due):
                return
            book.asked(self._clock.now())
            snapshot, answer = await asyncio.to_thread(self._rest.snapshot, book.symbol)
            self._record_snapshot(book, answer)
            book.take(snapshot, asked_for=self._market.depth_levels)
            await self._correct()
        except FeedRefused as error:
            await self._failed(error, due)
        except FeedError as error:
            await self._failed(error, [book])

    def _record_snapshot(self, book: LiveBook, answer: bytes) -> None:
        """Record a snapshot between the messages of its symbol, in the order in which the book takes them."""
        connection = next(connection for connection, books in self._connections.items() if book in books)
        if connection.record is not None:
            connection.record(self._clock.now(), as_message(book.symbol, answer))

    async def _allowed(self, weight: int, waiting: Sequence[LiveBook]) -> bool:
        """Spend request weight; where that is not allowed yet, state so and wait a part of the time."""
        wait_s = await asyncio.to_thread(self._weight.take, self._clock.now(), weight)
        if wait_s <= 0:
            return True
        until, refusal = self._refused
        is_refused = self._clock.now() < until
        for book in waiting:
            book.explain(refusal if is_refused else f"its snapshot waits for request weight, {wait_s:.0f} s")
        await self._clock.wait(min(wait_s, WATCH_S))
        return False

    async def _correct(self) -> None:
        now = self._clock.now()
        await asyncio.to_thread(self._weight.correct, now, self._rest.used_weight, now.replace(second=0, microsecond=0))

    async def _failed(self, error: FeedError, waiting: Sequence[LiveBook]) -> None:
        log.warning("snapshot_failed", market=self._market.name, symbols=len(waiting), reason=str(error))
        if isinstance(error, FeedRefused):
            until = self._clock.now() + timedelta(seconds=error.seconds)
            self._refused = until, f"no snapshot: {error}"
            await asyncio.to_thread(self._weight.refuse, until)
        for book in waiting:
            book.explain(f"no snapshot: {error}")

    async def _at_close(self, close_time: datetime, symbols: Sequence[str]) -> dict[str, ClosingBook]:
        books = {symbol: self._books[symbol].at_close(close_time) for symbol in symbols}
        return {symbol: book for symbol, book in books.items() if book is not None}


def _trouble(connection: Connection, stream: str, now: datetime) -> str:
    """Return why a depth stream does not send; empty if it does."""
    if connection.state in ("reconnecting", "polling"):
        return connection.reason
    watchdog = connection.watchdogs[stream]
    return watchdog.fault(now) if watchdog.is_stale(now) else ""

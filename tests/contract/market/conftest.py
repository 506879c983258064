"""A Binance REST server on loopback: the routes, shapes and limits of the real one, generated prices.

Shapes as recorded from GET /api/v3/klines: twelve fields, prices as text, times in milliseconds.
"""

import json
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest

from mikrobot.runtime import Clock, ManualClock

LISTED = datetime(2025, 1, 1, tzinfo=UTC)
SILENT = "silent"
MINUTE_MS = 60_000


def milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def kline(opened: int) -> list[object]:
    """Return a kline computed from its open time."""
    rng = np.random.default_rng(opened // MINUTE_MS)
    path = 60_000 + 500 * np.sin(opened / 6e7) + np.cumsum(rng.normal(0, 20, 4))
    prices = [f"{price:.8f}" for price in (path[0], path.max(), path.min(), path[-1])]
    volume = rng.uniform(0, 40)
    rest = ["1313200.01340410", int(rng.integers(0, 900)), f"{volume * rng.random():.8f}", "745719.41022840", "0"]
    return [opened, *prices, f"{volume:.8f}", opened + MINUTE_MS - 1, *rest]


def listing(symbol: str, tick: str = "0.01000000", step: str = "0.00001000") -> dict[str, object]:
    """Return the listing of a pair of USDT, with the filters that decide its grid."""
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000.00000000", "stepSize": step},
        {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True, "avgPriceMins": 5},
    ]
    coin = symbol.removesuffix("USDT")
    return {"symbol": symbol, "status": "TRADING", "baseAsset": coin, "quoteAsset": "USDT", "filters": filters}


class KlineServer(ThreadingHTTPServer):
    """Serve one-minute klines from `LISTED` to `now`, the forming one included.

    Its `clock` stands at `now` unless a test gives it one that goes. `script` contains responses sent before the normal
    ones: (status, headers, body) or SILENT. `listings` are those of `exchangeInfo` by symbol, `headers` those of
    answers with a time or with klines.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.clock: Clock = ManualClock(datetime(2025, 1, 10, tzinfo=UTC))
        self.script: deque[object] = deque()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.listings = {"BTCUSDT": listing("BTCUSDT")}
        self.released = Event()
        self.url = f"http://127.0.0.1:{self.server_port}/api"
        self.futures_url = f"http://127.0.0.1:{self.server_port}/fapi"
        self.headers: dict[str, str] = {}

    @property
    def now(self) -> datetime:
        return self.clock.now()

    @now.setter
    def now(self, time: datetime) -> None:
        self.clock = ManualClock(time)

    def klines(self, query: dict[str, str]) -> list[list[object]]:
        since = max(int(query.get("startTime", 0)), milliseconds(LISTED))
        until = min(int(query.get("endTime", 2**60)), milliseconds(self.now))
        first = -(-since // MINUTE_MS) * MINUTE_MS
        return [kline(t) for t in range(first, until + 1, MINUTE_MS)[: int(query.get("limit", 500))]]


class Handler(BaseHTTPRequestHandler):
    server: KlineServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        self.server.asked.append((parts.path, query))
        answer = self.server.script.popleft() if self.server.script else self._normal(parts.path, query)
        if answer == SILENT:
            self.server.released.wait(30)
            self.close_connection = True
            return
        self._send(*answer)

    def _normal(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, str], object]:
        if path == "/api/v3/ping":
            return 200, {}, {}
        if path in ("/api/v3/time", "/fapi/v1/time"):
            return 200, self.server.headers, {"serverTime": milliseconds(self.server.now)}
        if path == "/fapi/v1/exchangeInfo":
            return 200, {}, {"timezone": "UTC", "symbols": [*self.server.listings.values()]}
        if path == "/api/v3/exchangeInfo" and query.get("symbol") in self.server.listings:
            return 200, {}, {"timezone": "UTC", "symbols": [self.server.listings[query["symbol"]]]}
        if query.get("symbol") != "BTCUSDT" or query.get("interval") != "1m":
            return 400, {}, {"code": -1121, "msg": "Invalid symbol."}
        return 200, self.server.headers, self.server.klines(query)[: 1500 if path == "/fapi/v1/klines" else 1000]

    def _send(self, status: int, headers: dict[str, str], body: object) -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def venue() -> Iterator[KlineServer]:
    """Return a running Binance on loopback."""
    server = KlineServer()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join(5)

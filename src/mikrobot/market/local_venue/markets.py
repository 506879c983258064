"""The two markets of the venue, spot and USD-M futures: their limits, ids and streams.

Sources: Binance spot API documentation of 2026-07, USD-M documentation of 2026-04.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mikrobot.market.local_venue.draws import key_of

Name = Literal["spot", "usdm"]
Path = Literal["", "public", "market"]


@dataclass(frozen=True, slots=True)
class Market:
    """A market and what its protocol allows.

    Attributes
    ----------
    name : "spot" or "usdm"
    prefix : str
        Path of its REST calls.
    weight_limit : int
        Request weight per minute and address.
    most_klines, most_trades : int
        Largest `limit` of klines and aggTrades.
    depth_periods_ms : mapping of str to int
        Milliseconds between two updates of each depth stream, by the part of its name after the symbol.
    messages_per_s : int
        Incoming messages per second and connection.
    most_streams : int
        Streams per connection.
    ping_s, pong_s : float
        Seconds between two pings of the server, and until a connection without a pong ends.
    """

    name: Name
    prefix: str
    weight_limit: int
    most_klines: int
    most_trades: int
    depth_periods_ms: Mapping[str, int]
    messages_per_s: int
    most_streams: int
    ping_s: float
    pong_s: float

    def path_of(self, kind: str) -> Path:
        """Return the path on which a stream of a kind sends data; see `kind_of`."""
        if self.name == "spot":
            return ""
        return "public" if kind in ("depth", "bookTicker") else "market"


SPOT = Market(
    name="spot",
    prefix="/api/v3",
    weight_limit=6000,
    most_klines=1000,
    most_trades=1000,
    depth_periods_ms={"depth": 1000, "depth@1000ms": 1000, "depth@100ms": 100},
    messages_per_s=5,
    most_streams=1024,
    ping_s=20,
    pong_s=60,
)

USDM = Market(
    name="usdm",
    prefix="/fapi/v1",
    weight_limit=2400,
    most_klines=1500,
    most_trades=1000,
    depth_periods_ms={"depth": 250, "depth@250ms": 250, "depth@500ms": 500, "depth@100ms": 100},
    messages_per_s=10,
    most_streams=200,
    ping_s=180,
    pong_s=600,
)

MARKETS: Mapping[str, Market] = {market.name: market for market in (SPOT, USDM)}


def kind_of(stream: str) -> str:
    """Return the kind of a stream by its name.

    >>> kind_of("btcusdt@depth@100ms"), kind_of("btcusdt@kline_1m"), kind_of("btcusdt@bookTicker")
    ('depth', 'kline', 'bookTicker')
    """
    return stream.partition("@")[2].partition("@")[0].partition("_")[0]


def spot_update_id(event: int) -> int:
    """Return the update id of spot after an event, by its number since the epoch; ids increase."""
    return event * 8 + 1 + key_of("spot", event) % 8


def usdm_update_id(event: int) -> int:
    """Return the update id of USD-M after an event, by its number since the epoch; ids increase."""
    return event * 1000 + 1 + key_of("usdm", event) % 1000


def usdm_first_id(event: int, previous: int) -> int:
    """Return the first update id of the diff of an event: there are unused ids after the previous diff."""
    return previous + 1 + key_of("usdm", "first", event) % max((usdm_update_id(event) - previous) // 2, 1)


def usdm_snapshot_id(event: int, previous: int, following: int | None) -> int:
    """Return the id of a snapshot taken after an event, which may be one that no diff covers."""
    if following is None:
        return previous
    return previous + key_of("usdm", "snapshot", event) % (usdm_first_id(following, previous) - previous)

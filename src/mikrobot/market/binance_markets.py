"""The two markets of Binance, spot and USD-M futures: their addresses, their REST calls and limits, their streams.

Sends no request. Symbols are those of the venue in both: the source of a bar, not its symbol, names its market.

References
----------
Binance spot API documentation of 2026-07, USD-M documentation of 2026-04.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mikrobot.settings import BINANCE_FUTURES_REST, BINANCE_FUTURES_STREAMS, BINANCE_REST, BINANCE_STREAMS, Settings

STREAMS_PER_SOCKET = 200


@dataclass(frozen=True, slots=True)
class BinanceMarket:
    """One market.

    Attributes
    ----------
    name, title : str
        In logs, and in messages.
    futures : bool
        Futures, whose listings are answered all at once, and each of whose depth updates names the one before; spot
        otherwise.
    version : str
        Path of its REST API below the address.
    attempts, weights : str
        Files of the state folder that count the attempts to connect and the weight of requests of all its processes.
    weight_limit : int
        Request weight per minute and address.
    page : int
        Maximum number of klines per response.
    url, stream_url : str
        Addresses of Binance's own servers.
    kline_weight : callable
        Weight of a request for so many klines.
    listing_weight : int
        Weight of a request for listings.
    depth_levels, depth_weight : int
        Levels of each side of an order book that are requested, and the weight of that request.
    paths : mapping of str to str
        Path of the streams of a kind, where it is not the root. Elsewhere they are acknowledged and silent.
    """

    name: str
    title: str
    futures: bool
    version: str
    attempts: str
    weights: str
    weight_limit: int
    page: int
    url: str
    stream_url: str
    kline_weight: Callable[[int], int]
    listing_weight: int
    depth_levels: int
    depth_weight: int
    paths: Mapping[str, str]

    def addresses(self, settings: Settings) -> tuple[str, str]:
        """Return the addresses of REST and of the streams; no streams for a server of one's own without theirs."""
        if self.futures:
            url, streams = settings.binance_futures_url, settings.binance_futures_stream_url
        else:
            url, streams = settings.binance_url, settings.binance_stream_url
        return url, "" if streams == self.stream_url and url != self.url else streams

    def path_of(self, stream: str) -> str:
        """Return the path of a stream.

        >>> USDM.path_of("btcusdt@depth@100ms"), USDM.path_of("btcusdt@kline_1m"), SPOT.path_of("btcusdt@kline_1m")
        ('/public', '/market', '')
        """
        return self.paths.get(stream.partition("@")[2].partition("@")[0].partition("_")[0], "")


def market_of(source: str) -> BinanceMarket:
    """Return the market of a source.

    >>> market_of("binance-usdm-local").title
    'Binance USD-M'
    """
    return USDM if source.startswith("binance-usdm") else SPOT


def _usdm_weight(klines: int) -> int:
    """Return the weight of a request for klines of USD-M.

    >>> [_usdm_weight(klines) for klines in (1, 99, 100, 499, 500, 1000, 1500)]
    [1, 1, 2, 2, 5, 5, 10]
    """
    return 1 if klines < 100 else 2 if klines < 500 else 5 if klines <= 1000 else 10


SPOT = BinanceMarket(
    name="spot",
    title="Binance spot",
    futures=False,
    version="/v3",
    attempts="run/binance.attempts",
    weights="run/binance.weights",
    weight_limit=6_000,
    page=1_000,
    url=BINANCE_REST,
    stream_url=BINANCE_STREAMS,
    kline_weight=lambda _: 2,
    listing_weight=20,
    depth_levels=1_000,
    depth_weight=50,
    paths={},
)

USDM = BinanceMarket(
    name="usdm",
    title="Binance USD-M",
    futures=True,
    version="/v1",
    attempts=SPOT.attempts,  # both count by the address of the machine
    weights="run/binance-usdm.weights",
    weight_limit=2_400,
    page=1_500,
    url=BINANCE_FUTURES_REST,
    stream_url=BINANCE_FUTURES_STREAMS,
    kline_weight=_usdm_weight,
    listing_weight=1,
    depth_levels=1_000,
    depth_weight=20,
    paths={"depth": "/public", "bookTicker": "/public", "kline": "/market", "aggTrade": "/market"},
)

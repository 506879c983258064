"""The metrics of the market data, added to those of the prediction service: one address for whoever collects them.

The worker writes them to the state folder. Without a worker there are none, rather than old ones.
"""

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mikrobot.live import reports

LABELS = ["source", "symbol"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class DataCollector(Collector):
    """Reads the report of the worker when metrics are asked for."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges, each with a value for every symbol that is traded."""
        report = reports.DATA.read(self._home) or reports.MarketData("", {})
        quality = GaugeMetricFamily("mikrobot_data_quality", "Quality score of the last bar, 0 to 1.", labels=LABELS)
        halted = GaugeMetricFamily("mikrobot_halted", "1 while no position is opened for the data.", labels=LABELS)
        closed = GaugeMetricFamily(
            "mikrobot_last_bar_timestamp_seconds", "Close of the last bar that was handled.", labels=LABELS
        )
        for symbol, data in report.symbols.items():
            quality.add_metric([report.source, symbol], data.quality)
            halted.add_metric([report.source, symbol], float(data.halted))
            closed.add_metric([report.source, symbol], data.close_time)
        yield from (quality, halted, closed)


class DataMetrics:
    """Middleware that adds the metrics of the market data to the answer of ``/metrics``."""

    def __init__(self, app: App, home: Path) -> None:
        self._app = app
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(DataCollector(home))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass on every request; add to the body of the metrics."""
        if scope["type"] != "http" or scope["path"] != "/metrics" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        begun: list[Message] = []
        body: list[bytes] = []

        async def collected(message: Message) -> None:
            if message["type"] == "http.response.start":
                begun.append(message)
                return
            body.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._answer(begun[0], b"".join(body), send)

        await self._app(scope, receive, collected)

    async def _answer(self, start: Message, body: bytes, send: Send) -> None:
        if start["status"] == 200:
            body += generate_latest(self._registry)
            kept = [header for header in start["headers"] if header[0].lower() != b"content-length"]
            start["headers"] = [*kept, (b"content-length", str(len(body)).encode())]
        await send(start)
        await send({"type": "http.response.body", "body": body})

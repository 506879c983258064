"""A stand-in for a terminal on a real RPyC server, and a source that reads it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from mikrobot.market.local_terminal.module import StandIn
from mikrobot.market.local_terminal.opening import TerminalOptions, serving
from mikrobot.market.mt5.source import Mt5Source
from mikrobot.market.mt5.terminal import Login
from mikrobot.market.mt5.terminal_link import TerminalLink
from mikrobot.runtime import ManualClock

NOW = datetime(2025, 1, 10, 12, 34, 56, tzinfo=UTC)
"""A Friday."""

MINUTE = timedelta(minutes=1)


def link_to(port: int, clock: ManualClock, login: Login | None = None, timeout_s: float = 20.0) -> TerminalLink:
    return TerminalLink(login or Login(), "127.0.0.1", port, timeout_s=timeout_s, clock=clock, rng=Random(3))


@dataclass
class Broker:
    """A running stand-in, whose market time is that of the clock, and the source that reads it."""

    module: StandIn
    clock: ManualClock
    port: int
    source: Mt5Source

    def another(self, *symbols: str, login: Login | None = None, timeout_s: float = 20.0, **given: Any) -> Mt5Source:
        """Return another source on the same stand-in."""
        link = link_to(self.port, self.clock, login, timeout_s)
        return Mt5Source(symbols or ("EURUSD",), link, self.clock, **{"name": "mt5-local"} | given)

    def last_open(self, symbol: str = "EURUSD") -> datetime:
        """Return the open time of the last bar that the source passes on."""
        bars = self.source.history(symbol, self.clock.now() - timedelta(hours=2), self.clock.now() + timedelta(days=1))
        return bars["open_time"].iloc[-1].to_pydatetime()


@pytest.fixture
def broker() -> Iterator[Callable[..., Broker]]:
    """A function that starts a stand-in at a market time, and opens a source on it."""
    with ExitStack() as running:

        def start(
            *symbols: str, now: datetime = NOW, listed: tuple[str, ...] = ("EURUSD", "BTCUSDT"), hang_s: float = 5.0,
            named_clock: str | None = None, **options: Any,
        ) -> Broker:  # fmt: skip
            clock = ManualClock(now)
            options.setdefault("symbols", listed)
            served = running.enter_context(serving(TerminalOptions(**options), 0, clock=clock, hang_s=hang_s))
            source = Mt5Source(
                symbols or ("EURUSD",), link_to(served.port, clock), clock, name="mt5-local", named_clock=named_clock
            )
            return Broker(served.module, clock, served.port, source)

        yield start

"""The stream of closed bars of a live venue, as the feed uses it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from mikrobot.domain.market import Bar
from mikrobot.market.streams.connection import StreamStatus
from mikrobot.market.streams.trade_check import TradeChecks

Take = Callable[[str, datetime, bytes], None]
"""Takes the channel of a socket, the time of receipt and a raw message."""


class BarStream(Protocol):
    """Closed bars that a venue sends by itself."""

    def minute(self, open_time: datetime, symbols: Sequence[str], until: datetime) -> dict[str, Bar]:
        """Return the bars of a minute as soon as all symbols have theirs, or at a time those that have arrived."""

    def record(self, take: Take) -> None:
        """Pass every raw message on from now, with the channel of its socket and the time of receipt."""

    def take_revised(self) -> list[Bar]:
        """Return the bars that the venue has sent again with other values since the last call."""

    def built(self, symbol: str, open_time: datetime) -> Bar | None:
        """Return the bar that all trades of a minute make up, to be traded in place of the venue's.

        None if a trade is missing, none has arrived from a later minute, or the venue sends no trades.
        """

    def trade_check(self) -> TradeChecks | None:
        """Return the comparison of the venue's bars with its trades; None if the venue sends no trades."""

    def delay_s(self, bar: Bar) -> float | None:
        """Return the seconds that the message of a bar was on its way, see `FeedDelay`; None if it had none."""

    def status(self) -> list[StreamStatus]:
        """Return the state of each connection."""

    def close(self) -> None:
        """End all connections."""

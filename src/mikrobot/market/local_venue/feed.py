"""What the venue publishes of one symbol on one market: the interface of generated and recorded feeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mikrobot.market.local_venue.listing import Listing
from mikrobot.market.local_venue.messages import Message, Payload


@dataclass(frozen=True, slots=True)
class Window:
    """The klines or trades that a request asks for.

    Attributes
    ----------
    since_ms, until_ms : int or None
        First and last time, both included.
    limit : int
        Most of them that are returned.
    """

    since_ms: int | None
    until_ms: int | None
    limit: int


class Feed(Protocol):
    """One symbol on one market.

    Attributes
    ----------
    listing : Listing
    """

    listing: Listing

    def klines(self, window: Window, now_ms: int, *, forming: bool) -> list[list[Any]]:
        """Return the klines that open in a window, as rows of the REST API.

        Without a first time the newest ones, else the oldest. The forming one is included if `forming`.
        """

    def trades(self, window: Window, now_ms: int, *, first_id: int | None) -> list[Payload]:
        """Return aggregate trades as rows of the REST API: from an id, in a window, or without either the newest."""

    def depth(self, limit: int, now_ms: int) -> Payload | None:
        """Return a snapshot of the book with that many levels of each side; None if there is no book."""

    def messages(self, stream: str, since_ms: int, until_ms: int) -> Sequence[Message]:
        """Return the messages of a stream that are due in (since_ms, until_ms], in order."""

    def prepare(self, now_ms: int) -> None:
        """Read what is needed soon."""

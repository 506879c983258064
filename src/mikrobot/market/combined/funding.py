"""The funding of a combined source: that of each member with funding, of its own symbols."""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

from mikrobot.domain.errors import FeedError
from mikrobot.domain.funding import FundingRate
from mikrobot.market.combined.member import Member
from mikrobot.market.feed import Source
from mikrobot.market.funding_feed import FundingFeed


class CombinedFunding:
    """Funding of several venues as it becomes known; see `FundingFeed`.

    What a venue answers too late is charged with the first minute that has it.

    Parameters
    ----------
    feeds : sequence of (Member, FundingFeed)
    """

    def __init__(self, feeds: Sequence[tuple[Member, FundingFeed]]) -> None:
        self._feeds = feeds
        self._announced: deque[FundingRate] = deque()

    def charged(self, close_time: datetime) -> list[FundingRate]:
        """Return the funding to charge before the bars that close at a time."""
        for member, feed in self._feeds:
            with suppress(FeedError):  # it is asked again
                member.ask_briefly(partial(self._ask, feed, close_time))
        return [self._announced.popleft() for _ in range(len(self._announced))]

    def _ask(self, feed: FundingFeed, close_time: datetime, _: Source) -> None:
        self._announced.extend(feed.charged(close_time))

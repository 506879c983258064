"""Scheduled economic news: which events matter, and which one is nearest to a close."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

Impact = Literal["low", "medium", "high"]

IMPACTS: tuple[Impact, ...] = get_args(Impact)

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class NewsEvent:
    """A scheduled publication.

    Attributes
    ----------
    at : datetime
        Scheduled time, UTC. The schedule is known long before, the content is not and plays no part.
    currency : str
        ISO 4217 code of the currency that it concerns.
    impact : "low", "medium" or "high"
    title : str
    """

    at: datetime
    currency: str
    impact: Impact
    title: str

    def to_json(self) -> dict[str, str]:
        """Return the event as plain JSON values."""
        return {"at": self.at.isoformat(), "currency": self.currency, "impact": self.impact, "title": self.title}


@dataclass(frozen=True, slots=True)
class NewsCalendar:
    """A schedule of events.

    Attributes
    ----------
    events : tuple of NewsEvent
        In order of time.
    until : datetime
        Time up to which the schedule goes, UTC.
    """

    events: tuple[NewsEvent, ...]
    until: datetime
    _high: Mapping[str, list[NewsEvent]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        high: dict[str, list[NewsEvent]] = {}
        for event in self.events:
            if event.impact == "high":
                high.setdefault(event.currency, []).append(event)
        object.__setattr__(self, "_high", high)

    def nearest(self, currencies: Iterable[str], at: datetime) -> NewsEvent | None:
        """Return the event of high impact that is nearest to a time, before or after it; None if there is none."""
        near = [event for currency in currencies for event in self._neighbours(currency, at)]
        return min(near, key=lambda event: (abs(event.at - at), event), default=None)

    def between(self, start: datetime, end: datetime | None) -> "NewsCalendar":
        """Return the calendar with its events of high impact from a day before the start to a day after the end."""
        chosen = (
            event
            for event in self.events
            if event.impact == "high" and start - _DAY <= event.at and (end is None or event.at <= end + _DAY)
        )
        return NewsCalendar(tuple(chosen), self.until)

    def _neighbours(self, currency: str, at: datetime) -> list[NewsEvent]:
        events = self._high.get(currency, [])
        place = bisect_left(events, at, key=lambda event: event.at)
        return events[max(place - 1, 0) : place + 1]

    def to_json(self) -> dict[str, Any]:
        """Return the calendar as plain JSON values."""
        return {"until": self.until.isoformat(), "events": [event.to_json() for event in self.events]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "NewsCalendar":
        """Return the calendar that `to_json` has written."""
        events = (NewsEvent(**{**event, "at": datetime.fromisoformat(event["at"])}) for event in values["events"])
        return cls(tuple(events), datetime.fromisoformat(values["until"]))

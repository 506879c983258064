"""The sessions of the day by the UTC hour, the same in winter and summer."""

from datetime import datetime

SESSIONS = ((0, "Tokyo"), (8, "London"), (13, "London and New York"), (16, "New York"), (21, "Sydney"), (23, "Tokyo"))
"""UTC hour at which each session starts."""

LONDON = ("London", "London and New York")
NEW_YORK = ("London and New York", "New York")


def session_at(at: datetime) -> str:
    """Return the session of an instant.

    >>> from datetime import UTC
    >>> [session_at(datetime(2024, 3, 11, hour, tzinfo=UTC)) for hour in (7, 8, 13, 23)]
    ['Tokyo', 'London', 'London and New York', 'Tokyo']
    """
    return next(name for start, name in reversed(SESSIONS) if at.hour >= start)

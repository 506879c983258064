"""Store the events of the supervised processes, append-only."""

from dataclasses import dataclass
from datetime import datetime

from mikrobot.store.postgres.database import Pool, execute

_ADD = "INSERT INTO process_event (at, process, event, reason) VALUES (%s, %s, %s, %s)"
_ALL = "SELECT at, process, event, reason FROM process_event ORDER BY seq"


@dataclass(frozen=True, slots=True)
class ProcessEvent:
    """An event of a process of the stack.

    Attributes
    ----------
    at : datetime
        UTC.
    process : str
        Name of the service or live process, or ``supervisor``.
    event : str
        For example ``died``, ``restarted``, ``kept_down``.
    reason : str
        The last line of the log, or what was wrong; may be empty.
    """

    at: datetime
    process: str
    event: str
    reason: str = ""


class ProcessEvents:
    """Records events; every method raises `StoreError` if the database fails.

    Parameters
    ----------
    pool : ConnectionPool
        On the database `mikrobot`.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def add(self, event: ProcessEvent) -> None:
        """Append an event."""
        values = (event.at, event.process, event.event, event.reason)
        execute(self._pool, f"recording {event.event} of {event.process}", lambda c: c.execute(_ADD, values))

    def all(self) -> list[ProcessEvent]:
        """Return every event in the order recorded."""
        rows = execute(self._pool, "reading process events", lambda c: c.execute(_ALL).fetchall())
        return [ProcessEvent(*row) for row in rows]

"""The events of the supervised processes: lines of the supervisor's log, and rows of the database.

The supervisor never waits for the database: a PostgreSQL that is killed meanwhile may keep a statement for half a
minute, and nothing would be restarted.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from time import perf_counter

from mikrobot import telemetry
from mikrobot.domain.errors import StoreError
from mikrobot.live.pid_records import SUPERVISOR
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.store.postgres import database
from mikrobot.store.process_events import ProcessEvent, ProcessEvents

log = telemetry.logger(SUPERVISOR)

STORE_EVERY_S = 5.0
"""Seconds between two attempts to store events."""


@dataclass(slots=True)
class EventLog:
    """Writes each event to the log, and to the database as soon as that answers."""

    settings: Settings
    clock: Clock
    _unstored: list[ProcessEvent] = field(default_factory=list)
    _tried: float = -STORE_EVERY_S
    _storing: Thread | None = None

    def add(self, process: str, event: str, reason: str = "") -> None:
        """Record an event; a full disk does not keep a process from being restarted."""
        self._unstored.append(ProcessEvent(self.clock.now(), process, event, reason))
        with suppress(OSError):
            log.info(event, process=process, reason=reason)

    def store(self) -> None:
        """Begin to store the events that are not in the database yet, on a thread of its own."""
        storing = self._storing is not None and self._storing.is_alive()
        if storing or not self._unstored or perf_counter() - self._tried < STORE_EVERY_S:
            return
        self._begin()

    def end(self) -> None:
        """Store what is left, for some seconds at most."""
        if self._storing is not None:
            self._storing.join(STORE_EVERY_S)
        if self._unstored:
            self._begin().join(STORE_EVERY_S)

    def _begin(self) -> Thread:
        self._tried = perf_counter()
        self._storing = Thread(target=self._store, name="events", daemon=True)
        self._storing.start()
        return self._storing

    def _store(self) -> None:
        try:
            with database.open_pool(self.settings) as pool:
                while self._unstored:
                    ProcessEvents(pool).add(self._unstored[0])
                    del self._unstored[0]
        except StoreError as error:
            with suppress(OSError):
                log.warning("event_not_stored", reason=str(error))

"""The events of supervised processes: read back as they were recorded, and never changed."""

from datetime import UTC, datetime

import psycopg
import pytest

from mikrobot.store.postgres import database as databases
from mikrobot.store.postgres.roles import OWNER
from mikrobot.store.process_events import ProcessEvent, ProcessEvents

DIED = ProcessEvent(datetime(2025, 3, 14, 12, tzinfo=UTC), "worker", "died", "killed")
RESTARTED = ProcessEvent(datetime(2025, 3, 14, 12, 0, 1, tzinfo=UTC), "worker", "restarted")


def test_events_are_read_back_in_the_order_recorded(pool):
    events = ProcessEvents(pool)
    for event in (DIED, RESTARTED):
        events.add(event)
    assert events.all() == [DIED, RESTARTED]


@pytest.mark.parametrize("statement", ["UPDATE process_event SET reason = ''", "DELETE FROM process_event"])
def test_an_event_cannot_be_changed(database, pool, statement):
    ProcessEvents(pool).add(DIED)
    with pool.connection() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)
    owner = psycopg.connect(databases.url(database, OWNER))
    with owner as connection, pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        connection.execute(statement)

"""A PostgreSQL server of a single test, which the test may kill and start again."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from mikrobot.settings import Settings
from mikrobot.store.postgres import bundled, database
from mikrobot.store.runs import Run
from tests.killing import kill_9


@dataclass(frozen=True)
class OwnServer:
    """A server that a test may stop and kill at any time."""

    settings: Settings

    @property
    def home(self) -> Path:
        """Return its state folder."""
        return self.settings.home

    @property
    def port(self) -> int:
        """Return its port."""
        return self.settings.postgres_port

    def start(self) -> str:
        """Start the server."""
        return bundled.start(self.settings.home, self.settings.host, self.port)

    def kill(self, *, children: bool = True) -> None:
        """Kill it as `kill -9` does: all its processes, or the head process only."""
        number = bundled.pid(self.settings.home)
        assert number is not None
        kill_9(psutil.Process(number), children=children)


@pytest.fixture
def own_server(tmp_path, free_port) -> Iterator[OwnServer]:
    """Yield a server that is not started yet; stop it at the end in any case."""
    server = OwnServer(Settings(home=tmp_path / "state folder", postgres_port=free_port()))
    yield server
    bundled.stop(server.home)


@pytest.fixture
def own_database(own_server) -> OwnServer:
    """Return the started server with every database, all empty."""
    own_server.start()
    database.provision(own_server.settings)
    database.migrate(own_server.settings)
    return own_server


@pytest.fixture
def run() -> Run:
    """Return a run of one day on a replay."""
    day = datetime(2024, 3, 4, tzinfo=UTC)
    return Run("r1", "replay", False, ("EURUSD", "BTCUSDT"), day, day.replace(day=5), day, {"hours": 24})

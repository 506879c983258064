"""A PostgreSQL of a test's own, to be killed and started again."""

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
    """A server that a test may stop and kill at will."""

    settings: Settings

    @property
    def home(self) -> Path:
        """Its state folder."""
        return self.settings.home

    @property
    def port(self) -> int:
        """Its port."""
        return self.settings.postgres_port

    def start(self) -> str:
        """Start it."""
        return bundled.start(self.settings.home, self.settings.host, self.port)

    def kill(self, *, children: bool = True) -> None:
        """Kill it as `kill -9` does: with every process of it, or its head alone."""
        number = bundled.pid(self.settings.home)
        assert number is not None
        kill_9(psutil.Process(number), children=children)


@pytest.fixture
def own_server(tmp_path, free_port) -> Iterator[OwnServer]:
    """A server that is not started yet; stopped at the end in any case."""
    server = OwnServer(Settings(home=tmp_path / "state folder", postgres_port=free_port()))
    yield server
    bundled.stop(server.home)


@pytest.fixture
def own_database(own_server) -> OwnServer:
    """The same once it is up, with every database there and empty."""
    own_server.start()
    database.provision(own_server.settings)
    database.migrate(own_server.settings)
    return own_server


@pytest.fixture
def run() -> Run:
    """A run of one day on a replay."""
    day = datetime(2024, 3, 4, tzinfo=UTC)
    return Run("r1", "replay", False, ("EURUSD", "BTCUSDT"), day, day.replace(day=5), day, {"hours": 24})

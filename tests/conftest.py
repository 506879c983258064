"""Fixtures that every room shares: a real PostgreSQL, settings that point at it, made-up bars."""

import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg
import pytest

from mikrobot.domain.market import BAR_COLUMNS
from mikrobot.settings import Settings
from mikrobot.store import database as databases
from mikrobot.store import embedded
from mikrobot.store.database import DATABASES, Pool

HOST = "127.0.0.1"
MONDAY = datetime(2024, 3, 4, tzinfo=UTC)


def pytest_configure() -> None:
    """End on SIGTERM as on Ctrl-C, so that the fixtures stop what they started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def unused_port() -> int:
    """Return a TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A function that returns a TCP port nothing listens on."""
    return unused_port


@dataclass(frozen=True)
class Server:
    """The PostgreSQL of a test session (one per xdist worker).

    `settings` are those of its own state folder; the databases there are the templates that
    the `database` fixture copies.
    """

    settings: Settings
    admin_url: str


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A bundled PostgreSQL on a free port, with a migrated template of each database."""
    settings = Settings(home=tmp_path_factory.mktemp("postgres"), postgres_port=unused_port())
    admin_url = embedded.start(settings.home, settings.host, settings.postgres_port)
    try:
        databases.provision(settings)
        databases.migrate(settings)
        with psycopg.connect(admin_url, autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET fsync = off")  # the machine does not lose power in a test
            admin.execute("SELECT pg_reload_conf()")
            for name in DATABASES:
                admin.execute(f"ALTER DATABASE {name} RENAME TO {name}_template")
        yield Server(settings, admin_url)
    finally:
        embedded.stop(settings.home)


@pytest.fixture
def settings(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a state folder of their own, on the session's PostgreSQL; no database yet."""
    for name in [name for name in os.environ if name.startswith("MIKROBOT_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    shutil.copytree(postgres.settings.home / "secrets", home / "secrets")
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
        for name in DATABASES:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    return Settings(
        home=home,
        postgres_port=postgres.settings.postgres_port,
        prefect_port=unused_port(),
        mlflow_port=unused_port(),
        bento_port=unused_port(),
    )


@pytest.fixture
def database(postgres: Server, settings: Settings) -> Settings:
    """The same settings once every database is there, provisioned, migrated and empty."""
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
        for name in DATABASES:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {name}_template STRATEGY file_copy OWNER {name}")
    return settings


@pytest.fixture
def pool(database: Settings) -> Iterator[Pool]:
    """A pool on the empty, migrated database `mikrobot`."""
    with databases.open_pool(database) as opened:
        yield opened


@pytest.fixture(scope="session")
def bars() -> Callable[..., pd.DataFrame]:
    """A factory of made-up bar frames; see `made_up_bars`."""
    return made_up_bars


def made_up_bars(
    n: int = 500,
    *,
    seed: int = 7,
    start: datetime = MONDAY,
    minutes: int = 1,
    price: float = 1.1,
    step: float = 1e-4,
    gaps: float = 0.0,
) -> pd.DataFrame:
    """Return `n` bars of a random walk in the shared schema, the same for the same arguments.

    Parameters
    ----------
    n, seed
    start : datetime
        Open time of the first bar, UTC.
    minutes : int
        Length of a bar.
    price, step : float
        First price, and standard deviation of a bar's return.
    gaps : float
        Share of bars missing between two, 0 for none.
    """
    rng = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(rng.normal(0, step, n)))
    open_ = np.concatenate(([price], close[:-1]))
    wicks = np.abs(rng.normal(0, step / 2, (2, n))) * price
    skipped = rng.random(n) < gaps
    open_times = pd.Timestamp(start) + pd.to_timedelta((np.arange(n) + np.cumsum(skipped)) * minutes, unit="min")
    frame = pd.DataFrame(
        {
            "open_time": open_times.astype("datetime64[us, UTC]"),
            "open": open_,
            "high": np.maximum(open_, close) + wicks[0],
            "low": np.minimum(open_, close) - wicks[1],
            "close": close,
            "volume": rng.integers(1, 100, n).astype("float64"),
            "spread": np.full(n, step),
        }
    )
    return frame[list(BAR_COLUMNS)]

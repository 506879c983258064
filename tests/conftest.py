"""Fixtures that every room shares: a real PostgreSQL, settings that point at it, the real command, made-up bars."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import psycopg
import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from mikrobot.domain.instruments import registry
from mikrobot.domain.market import BAR_COLUMNS
from mikrobot.market.simulated import SimulatedSource
from mikrobot.runtime import ManualClock
from mikrobot.settings import Settings
from mikrobot.stack import local_stack, processes
from mikrobot.store.postgres import bundled
from mikrobot.store.postgres import database as databases
from mikrobot.store.postgres.database import Pool
from mikrobot.store.postgres.roles import DATABASES
from tests.ports import HOST, reserved_ports
from tests.soak import SOAK

pytest_plugins = ["tests.replay_market"]


@pytest.fixture(autouse=True)
def shipped_instruments() -> Iterator[None]:
    """Leave no instruments of a file, a run or an inference in the process of the tests."""
    yield
    registry.use_file(None)
    registry.adopt({})
    registry._inferred.clear()


MONDAY = datetime(2024, 3, 4, tzinfo=UTC)


def pytest_configure() -> None:
    """End on SIGTERM as on Ctrl-C, so that the fixtures stop what they started.

    Who is started in the background ignores Ctrl-C, and would hand that on to the runs under test.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)


FOLDERS = ("e2e", "security", "integration", "chaos", "property", "unit", "reference", "contract", "contract/market")
"""Folders of tests: those with the longest files first, so that no worker ends with a long one alone, and last those
that wait for sockets most of their time, with which the last worker begins."""


SHARING = (
    ("tests/e2e/test_replay.py", "tests/e2e/test_stack_commands.py", "tests/e2e/test_stop.py"),
    ("tests/security/",),
    ("tests/integration/live/test_live.py", "tests/chaos/test_replay.py"),
)
"""Beginnings of the paths of files that share a stack; the last of them stops it."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose the tests of a soak or leave them out, and order the files by their folder.

    `make test` hands the files to its workers in this order. A soak runs the tests that are marked `soak`, and those
    that draw random cases.
    """
    soaked = {item for item in items if item.get_closest_marker("soak")}
    drawing = {item for item in items if Path(__file__).parent / "property" in item.path.parents}
    chosen = soaked | drawing if SOAK else set(items) - soaked
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    ranks = {Path(__file__).parent / folder: rank for rank, folder in enumerate(FOLDERS)}
    items[:] = [item for item in items if item in chosen]
    items.sort(key=lambda item: next((ranks[path] for path in item.path.parents if path in ranks), len(ranks)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Give each file to one worker, and all files that share a stack to the same one.

    The last worker takes the files from the end of the order, which use little of the processor that the others need.
    """

    class Files(LoadScopeScheduling):
        def _assign_work_unit(self, node: WorkerController) -> None:
            if len(self.nodes) > 2 and node is self.nodes[-1]:
                self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
            super()._assign_work_unit(node)

        def _split_scope(self, nodeid: str) -> str:
            path: str = nodeid.partition("::")[0]
            return next((group[0] for group in SHARING if path.startswith(group)), path)

    return Files(config, log)


@pytest.fixture(scope="session")
def free_port() -> Iterator[Callable[[], int]]:
    """A function that returns a TCP port nothing listens on, lent until the session ends."""
    with contextlib.ExitStack() as lent:
        yield lambda: lent.enter_context(reserved_ports(1))[0]


@dataclass(frozen=True)
class Server:
    """The PostgreSQL of a test session (one per xdist worker).

    `settings` are those of its own state folder; the databases there are the templates that
    the `database` fixture copies.
    """

    settings: Settings
    admin_url: str


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Server]:
    """A bundled PostgreSQL on a free port, with a migrated template of each database."""
    settings = Settings(home=tmp_path_factory.mktemp("postgres"), postgres_port=free_port())
    admin_url = bundled.start(settings.home, settings.host, settings.postgres_port)
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
        bundled.stop(settings.home)


@pytest.fixture
def settings(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings with a state folder of their own, on the session's PostgreSQL; no database yet."""
    for name in [name for name in os.environ if name.startswith("MIKROBOT_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    shutil.copytree(postgres.settings.home / "secrets", home / "secrets")
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
        for name in DATABASES:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    with reserved_ports(3) as (prefect, mlflow, bento):
        yield Settings(
            home=home,
            postgres_port=postgres.settings.postgres_port,
            prefect_port=prefect,
            mlflow_port=mlflow,
            bento_port=bento,
        )


@pytest.fixture
def database(postgres: Server, settings: Settings) -> Settings:
    """The same settings once every database is there, provisioned, migrated and empty."""
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
        for name, owner in DATABASES.items():
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {name}_template STRATEGY file_copy OWNER {owner}")
    return settings


@pytest.fixture
def pool(database: Settings) -> Iterator[Pool]:
    """A pool on the empty, migrated database `mikrobot`."""
    with databases.open_pool(database) as opened:
        yield opened


@dataclass
class Installation:
    """A state folder with ports of its own, on which the real command runs as a process."""

    settings: Settings
    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.settings.home

    @property
    def ports(self) -> dict[str, int]:
        return {name: getattr(self.settings, f"{name}_port") for name in ("postgres", "prefect", "mlflow", "bento")}

    @property
    def variables(self) -> dict[str, str]:
        """The environment of the command, without a setting of the caller's."""
        foreign = ("MIKROBOT_", "PREFECT_", "MLFLOW_", "BENTOML_")
        kept = {
            name: value
            for name, value in os.environ.items()
            if name == "MIKROBOT_CACHE" or not name.startswith(foreign)
        }
        ports = {f"MIKROBOT_{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        return kept | {"MIKROBOT_HOME": str(self.home)} | ports

    def start(self, *arguments: object, **settings: object) -> subprocess.Popen[str]:
        """Start the command as a terminal would: at the head of a process group of its own."""
        changed = {f"MIKROBOT_{name.upper()}": str(value) for name, value in settings.items()}
        process = subprocess.Popen(
            [Path(sys.executable).with_name("mikrobot"), *map(str, arguments)],
            env=self.variables | changed,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: object, timeout_s: float = 900, **settings: object) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        process = self.start(*arguments, **settings)
        out, err = process.communicate(timeout=timeout_s)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def left(self) -> list[str]:
        """Return what runs in the state folder or listens on one of its ports."""
        listening = [f"{name} port {port}" for name, port in self.ports.items() if processes.listening(HOST, port)]
        return listening + [f"{process.pid} {process.info['name']}" for process in self.processes()]

    def stop(self) -> None:
        """Stop the commands that run still, the services they left, and whatever else there is."""
        for process in self.started:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=60)
        local_stack.down(self.settings)
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def processes(self) -> Iterator[psutil.Process]:
        """Yield the processes of this state folder."""
        for process in psutil.process_iter(["name"]):
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and self._is_ours(process):
                    yield process

    def _is_ours(self, process: psutil.Process) -> bool:
        ours = process.environ().get("MIKROBOT_HOME") == str(self.home)
        return ours or Path(process.cwd()).is_relative_to(self.home)


@contextlib.contextmanager
def installed(folder: Path) -> Iterator[Installation]:
    """Lend an installation in a folder; nothing of it runs afterwards."""
    names = ("postgres_port", "prefect_port", "mlflow_port", "bento_port")
    with reserved_ports(len(names)) as ports:
        settings = Settings(home=folder / "state folder", **dict(zip(names, ports, strict=True)))
        installation = Installation(settings, folder)
        try:
            yield installation
        finally:
            installation.stop()


@pytest.fixture(scope="session")
def install() -> Callable[[Path], AbstractContextManager[Installation]]:
    """A function that lends an installation of the command in a folder; see `Installation`."""
    return installed


@pytest.fixture(scope="session")
def bar_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Parquet files in the shared schema, by symbol: six days up to a Friday noon of a made-up market."""
    folder, end = tmp_path_factory.mktemp("bars"), datetime(2025, 3, 14, 12, tzinfo=UTC)
    source = SimulatedSource(("EURUSD", "BTCUSDT"), 7, ManualClock(end))
    paths = {symbol: folder / f"{symbol}_M1.parquet" for symbol in source.symbols()}
    for symbol, path in paths.items():
        bars = source.history(symbol, end - timedelta(days=6), end).rename(
            columns={"open_time": "ts", "taker_volume": "taker_buy_volume"}
        )
        bars.to_parquet(path, index=False)
    return paths


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
            "trades": np.arange(n, dtype="float64"),
            "taker_volume": np.linspace(0, 1, n),
        }
    )
    return frame[list(BAR_COLUMNS)]

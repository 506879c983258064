import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import pytest

from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.models.registry import Registry
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.store import web_access
from mikrobot.store.model_registry import open_registry
from mikrobot.training.dataset import Rows
from tests.made_up_samples import make_dataset

__all__ = ["make_dataset"]


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in which the MLflow server stores artefacts."""
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of the SQLite database of the MLflow server."""
    return tmp_path_factory.mktemp("mlflow") / "mlflow.db"


@pytest.fixture(scope="session")
def mlflow_uri(state: Path, mlflow_store: Path, artifacts: Path, free_port: Callable[[], int]) -> Iterator[str]:
    """A real MLflow server on a free port, which stores the artefacts itself; its address has user and password."""
    home = mlflow_store.parent
    port = free_port()
    command = [
        *(sys.executable, "-m", "mikrobot.stack.mlflow_server", "--host", "127.0.0.1", "--port", str(port)),
        *("--artifacts", str(artifacts)),
    ]
    environment = {
        **os.environ,
        "MIKROBOT_HOME": str(state),
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{mlflow_store}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True)
    login = web_access.login(Settings(home=state), "mlflow")
    try:
        _await(f"http://127.0.0.1:{port}/health", server, home / "server.log")
        yield f"http://{':'.join(login)}@127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@pytest.fixture(scope="session")
def registry(mlflow_uri: str, state: Path) -> Registry:
    settings = Settings(home=state, mlflow_port=int(mlflow_uri.rpartition(":")[2]))
    return open_registry(settings, signing=True)


@pytest.fixture(scope="session")
def market() -> dict[str, pd.DataFrame]:
    """Eight days of two random walks whose volatility changes by the hour; a gap in the second."""
    rng = np.random.default_rng(5)
    return {"EURUSD": _walk(rng, 1.1, 8 * 1440), "BTCUSDT": _walk(rng, 40_000.0, 8 * 1440).drop(range(3000, 3060))}


@pytest.fixture(scope="session")
def rows(market: dict[str, pd.DataFrame]) -> Rows:
    """A reader of feature rows computed from these bars by the real pipeline, joined on the exact close."""
    pipeline = FeaturePipeline(tuple(market))
    computed = pd.concat(pipeline.frame(symbol, frame.reset_index(drop=True)) for symbol, frame in market.items())
    keyed = computed.rename(columns={"close_time": "event_timestamp"})

    def read(events: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
        return events.merge(keyed[["symbol", "event_timestamp", *columns]], "left", ["symbol", "event_timestamp"])

    return read


def _walk(rng: np.random.Generator, price: float, n: int) -> pd.DataFrame:
    sigma = 1e-4 * np.repeat(rng.uniform(0.5, 2.0, n // 60 + 1), 60)[:n]
    steps = rng.normal(0, sigma[:, None] / 4, (n, 16)).cumsum(axis=1)
    close = np.log(price) + steps[:, -1].cumsum()
    path = np.exp(np.column_stack([close - steps[:, -1], (close - steps[:, -1])[:, None] + steps]))
    return pd.DataFrame(
        {
            "open_time": pd.date_range("2024-03-04", periods=n, freq="min", tz="UTC", unit="us"),
            "open": path[:, 0],
            "high": path.max(axis=1),
            "low": path.min(axis=1),
            "close": path[:, -1],
            "volume": rng.uniform(1, 10, n),
            **{name: np.full(n, np.nan) for name in ("spread", "trades", "taker_volume")},
        }
    )


def _await(url: str, server: subprocess.Popen[bytes], log: Path, timeout_s: float = 90.0) -> None:
    begun, clock = perf_counter(), SystemClock()
    while perf_counter() - begun < timeout_s and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            clock.sleep(0.2)
    raise RuntimeError(f"MLflow did not start: {log.read_text()[-2000:]}")

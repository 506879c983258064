"""A real MLflow server and a real prediction service, each a process on a free port."""

import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGKILL, SIGTERM

import httpx
import numpy as np
import pytest
import xgboost as xgb

from mikrobot.models import graph
from mikrobot.models.bos import BosInputs
from mikrobot.models.calibration import Calibration
from mikrobot.models.catalog import kind_of
from mikrobot.models.conformal import Intervals
from mikrobot.models.diffusion import Diffusion
from mikrobot.models.model import Baseline, Model, Start
from mikrobot.models.registry import Registry
from mikrobot.models.spec import ModelSpec
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.serving.client import PredictionClient
from mikrobot.settings import Settings
from mikrobot.store import web_access
from mikrobot.store.model_registry import open_registry

ROOT = Path(__file__).resolve().parents[3]
CLOCK = SystemClock()


@dataclass
class Server:
    """A process group that serves a port; its output goes to a file."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    port: int
    alive: str
    log: Path
    login: tuple[str, str]
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Return the address with the user and the password."""
        return f"http://{':'.join(self.login)}@127.0.0.1:{self.port}"

    @property
    def authorization(self) -> str:
        return f"Basic {b64encode(':'.join(self.login).encode()).decode()}"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.command],
                env={**os.environ, **self.environment},
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._answers, f"{self.command[0]} did not answer, see {self.log}", CLOCK, timeout_s=120)

    def stop(self) -> None:
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, SIGKILL)
            self.process.wait()
        self.process = None

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        try:
            return httpx.get(self.url + self.alive, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return the settings of the state folder of both servers."""
    return Settings(home=tmp_path_factory.mktemp("service"))


@pytest.fixture(scope="session")
def mlflow_server(
    state: Settings, tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    server = Server(
        (
            "mikrobot.stack.mlflow_server", "--host", "127.0.0.1", "--port", str(port),
            "--artifacts", str(home / "artifacts"),
        ),
        {
            "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{home}/mlflow.db",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MIKROBOT_HOME": str(state.home),
        },
        port,
        "/health",
        home / "server.log",
        web_access.login(state, "mlflow"),
    )  # fmt: skip
    try:
        server.start()
        yield server
    finally:
        server.stop()


def make_model(seed: int, kind: str = "bos") -> Model:
    """Train a small booster whose score rises with the distance to the level."""
    return make_boosted(seed, kind)[0]


def make_boosted(seed: int, kind: str) -> tuple[Model, xgb.Booster]:
    """Return such a model, and its boosted trees."""
    rng = np.random.default_rng(seed)
    inputs = kind_of(kind).inputs(5, "close")
    values = rng.normal(size=(2_000, len(inputs.names))).astype(np.float32)
    outcome = values[:, 0] + rng.normal(size=len(values)) > 0
    booster = xgb.train(
        {"objective": "binary:logistic", "max_depth": 4, "seed": seed, "nthread": 1, "base_score": 0.5},
        xgb.DMatrix(values, outcome),
        60,
    )
    whole = graph.joined([graph.of_booster("boosted", booster)], len(inputs.names))
    spec = ModelSpec(
        name=kind,
        version="",
        source="simulated",
        symbols=("EURUSD",),
        feature_hash="0123456789ab",
        columns=inputs.columns,
        swing=5,
        horizon_minutes=kind_of(kind).horizon or 5,
        trained_from=datetime(2024, 1, 1, tzinfo=UTC),
        trained_until=datetime(2024, 5, 1, tzinfo=UTC),
        metrics={"auc": 0.8},
    )
    calibration = Calibration((0.0, 0.5, 1.0), (0.0, 0.4, 1.0))
    sure = Intervals.of(calibration(booster.inplace_predict(values)), outcome.astype(bool))
    reach = Diffusion("close", 1.0, 0.0, 3.0, (1.0, 0.0, -1.0))
    baseline = Baseline(Start(inputs.names[0], reach), calibration, sure)
    return Model(spec, whole, None, calibration, sure, baseline), booster


@dataclass
class Stage:
    """The service, the registry it watches, and its responses before there was a champion."""

    service: Server
    mlflow: Server
    registry: Registry
    client: PredictionClient
    before: dict[str, httpx.Response]
    artifacts: Path
    seed: int = 0

    def promote(self) -> Model:
        """Train, register and promote another model; return it with its version."""
        model = self.registered()
        self.registry.promote("bos", model.spec.version, "for the test")
        return model

    def registered(self, symbols: tuple[str, ...] = ("EURUSD",), kind: str = "bos") -> Model:
        """Train and register another model of some symbols; return it with its version."""
        self.seed += 1
        model = make_model(self.seed, kind)
        model = replace(model, spec=replace(model.spec, symbols=symbols))
        version = self.registry.log(
            model, parameters={}, metrics={}, tags={}, data_name="made up", data_sha256="0" * 64
        )
        return replace(model, spec=replace(model.spec, version=version))

    def explained(self) -> Model:
        """Register and promote a model with its boosted trees, whose prediction can be explained; await it."""
        self.seed += 1
        model, booster = make_boosted(self.seed, "bos")
        version = self.registry.log(
            model, parameters={}, metrics={}, tags={}, data_name="made up", data_sha256="0" * 64, booster=booster
        )
        self.registry.promote("bos", version, "for the test")
        self.await_served(version)
        return replace(model, spec=replace(model.spec, version=version))

    def await_served(self, version: str) -> None:
        wait_until(lambda: self.served() == version, f"version {version} is not served", CLOCK, timeout_s=90)

    def served(self) -> str | None:
        return self.version("bos")

    def version(self, kind: str) -> str | None:
        return self._version(f"/model?symbol=EURUSD&model={kind}")

    def challenger(self) -> str | None:
        return self._version("/challenger?symbol=EURUSD")

    def _version(self, page: str) -> str | None:
        answer = httpx.get(self.service.url + page)
        return str(answer.json()["version"]) if answer.is_success else None


@pytest.fixture(scope="session")
def stage(state: Settings, mlflow_server: Server, free_port: Callable[[], int]) -> Iterator[Stage]:
    """Start the service before there is a champion, record its responses, and promote a champion."""
    home, port = state.home, free_port()
    service = Server(
        ("bentos", "--host", "127.0.0.1", "--port", str(port)),
        {
            "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))),
            "MIKROBOT_HOME": str(home),
            "MIKROBOT_MLFLOW_PORT": str(mlflow_server.port),
            "BENTOML_HOME": str(home / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
        },
        port,
        "/livez",
        home / "service.log",
        web_access.login(state, "bento"),
    )
    try:
        service.start()
        before = {path: httpx.get(service.url + path) for path in ("/readyz", "/model")}
        before["/predict"] = httpx.post(f"{service.url}/predict", json={"symbol": "EURUSD", "features": {}})
        with PredictionClient(service.url, "simulated", CLOCK) as client:
            registry = open_registry(Settings(home=home, mlflow_port=mlflow_server.port), signing=True)
            stage = Stage(service, mlflow_server, registry, client, before, mlflow_server.log.parent / "artifacts")
            stage.await_served(stage.promote().spec.version)
            yield stage
    finally:
        service.stop()


@pytest.fixture(scope="session")
def feature_rows() -> Callable[[int], list[dict[str, float]]]:
    """A factory of rows of the model's columns with levels on both sides, on one side, or on none."""

    def make(count: int) -> list[dict[str, float]]:
        rng = np.random.default_rng(3)
        columns = BosInputs(5).columns
        rows = [dict(zip(columns, rng.uniform(0.5, 2.0, len(columns)).tolist(), strict=True)) for _ in range(count)]
        for number, row in enumerate(rows):
            for side in ("above", "below")[: number % 3]:
                row[f"m1_break_5_{side}"] = row[f"m1_break_5_{side}_distance"] = float("nan")
        return rows

    return make

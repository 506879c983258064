"""Benchmarks of the prediction service, compared with MLflow's own serving and with the bare model."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Event, Thread
from time import perf_counter

import httpx
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks import serving_routes
from benchmarks.champion import BARS, FEWEST, SOURCE, SYMBOL, serve_champion
from benchmarks.features import simulated_bars
from benchmarks.temporary_stack import serving, temporary_settings
from benchmarks.timing import Measurement, Timed, compared, rank, scaled
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.models.model import Model
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.serving.client import PredictionClient
from mikrobot.settings import Settings
from mikrobot.stack import processes, service_table
from mikrobot.store import web_access

BATCH = 1_000

LARGE_BYTES, PART_BYTES = 76_000_000, 1_000_000
"""Size of a body that the service refuses, and of the parts in which it is sent."""

RESTART_S = 10.0
"""Target of a start until the service is ready."""

OTHERS_MS = 100.0
"""Target of the p99 of other requests while such bodies arrive."""


def measure(scale: float = 1.0) -> Iterator[Measurement]:
    """Time one prediction and a batch of them, over HTTP and in process."""
    frame = simulated_bars(SYMBOL, scaled(BARS, scale, least=FEWEST))
    rows = FeaturePipeline([SYMBOL]).frame(SYMBOL, frame)
    with temporary_settings() as settings, serving(settings):
        model = serve_champion(settings, frame, rows)
        values = rows[list(model.spec.columns)].to_numpy()[-BATCH:]
        with PredictionClient(
            settings.bento_url, SOURCE, SystemClock(), login=web_access.login(settings, "bento")
        ) as client:
            yield from _predictions(settings, client, model, values, scale=scale)
        yield from serving_routes.measure(settings, model, values, scale)
        yield _restart(settings, scaled(10, scale))


def _restart(settings: Settings, rounds: int) -> Measurement:
    """Time a start of the service until it is ready with its champion, and until it answers at all."""
    service, clock = service_table.services(settings)["bento"], SystemClock()
    times: list[float] = []
    answers: list[float] = []
    for _ in range(rounds):
        processes.stop("bento", settings.home)
        start = perf_counter()
        processes.start(service, settings.home, settings.host)
        for path, seconds in (("livez", answers), ("readyz", times)):
            wait_until(partial(_is_ok, f"{settings.bento_url}/{path}"), "no start", clock, timeout_s=60, every_s=0.02)
            seconds.append(perf_counter() - start)
    times.sort()
    return Measurement(
        "service, restart until it is ready with its champion", "s", rank(times, 0.5), rank(times, 0.99),
        "the target", RESTART_S, "until it answers", rank(sorted(answers), 0.5),
    )  # fmt: skip


def _is_ok(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.HTTPError:
        return False


def pyfunc(settings: Settings, model: Model, values: NDArray[np.float64]) -> Timed:
    """Let MLflow predict what it has logged: the graph, for both sides of each row, on inputs made before."""
    import mlflow.pyfunc

    mlflow.set_tracking_uri(settings.mlflow_url)
    folder = settings.home / "pyfunc"
    folder.mkdir(exist_ok=True)
    name = f"models:/{model.spec.name}/{model.spec.version}"
    loaded = mlflow.pyfunc.load_model(name, dst_path=str(folder))
    sides = np.tile(np.array([1, -1], np.int8), len(values))
    inputs = pd.DataFrame(model.inputs(np.repeat(values, 2, axis=0), sides), columns=list(model.inputs.names))
    return Timed("MLflow's pyfunc, in process", lambda: loaded.predict(inputs))


def while_large_bodies_arrive(settings: Settings, call: Callable[[], object], rounds: int) -> Iterator[Measurement]:
    """Time one prediction while a client sends large bodies without a pause, of a known and of an unknown length."""
    alone = _times_ms(call, rounds)
    for length in ("known", "unknown"):
        with _sending(settings, chunked=length == "unknown"):
            times = _times_ms(call, rounds)
        yield Measurement(
            f"prediction, one row while 76 MB of {length} length arrive", "ms",
            rank(times, 0.50), rank(times, 0.99), "the target of its p99", OTHERS_MS, "without them", rank(alone, 0.50),
        )  # fmt: skip


def _times_ms(call: Callable[[], object], rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        start = perf_counter()
        call()
        times.append((perf_counter() - start) * 1000.0)
    return sorted(times)


@contextmanager
def _sending(settings: Settings, *, chunked: bool) -> Iterator[None]:
    """Send large bodies, one after the other, while the block runs."""
    stop = Event()

    def send() -> None:
        while not stop.is_set():
            _send_large(settings, chunked=chunked)

    sender = Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        stop.set()
        sender.join()


def _send_large(settings: Settings, *, chunked: bool) -> None:
    """Send one large body to its end, or until the service closes the connection."""
    size = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {LARGE_BYTES}"
    request = httpx.Request("POST", f"{settings.bento_url}/predict_batch")
    signed = next(httpx.BasicAuth(*web_access.login(settings, "bento")).auth_flow(request)).headers
    head = f"POST /predict_batch HTTP/1.1\r\nHost: {signed['Host']}\r\nAuthorization: {signed['Authorization']}\r\n"
    head += f"Content-Type: application/json\r\n{size}\r\n\r\n"
    part = b" " * PART_BYTES
    with (
        suppress(ConnectionError),
        socket.create_connection((settings.host, settings.bento_port), timeout=60) as connection,
    ):
        connection.sendall(head.encode())
        for _ in range(LARGE_BYTES // PART_BYTES):
            connection.sendall(b"%x\r\n%b\r\n" % (PART_BYTES, part) if chunked else part)
        connection.recv(4096)


def _predictions(
    settings: Settings, client: PredictionClient, model: Model, values: NDArray[np.float64], *, scale: float
) -> Iterator[Measurement]:
    columns = model.spec.columns
    one, row = values[-1:], dict(zip(columns, values[-1].tolist(), strict=True))
    rows = values.tolist()
    yield compared(
        "prediction, one row over HTTP", "ms",
        lambda: client.predict(SYMBOL, row),
        pyfunc(settings, model, one),
        limit=Timed("the bare model", lambda: model.predict(one)), rounds=scaled(300, scale),
    )  # fmt: skip
    yield compared(
        f"prediction, {BATCH:,} rows over HTTP", "ms",
        lambda: client.predict_many(SYMBOL, columns, rows),
        pyfunc(settings, model, values), limit=Timed("the bare model", lambda: model.predict(values)),
        rounds=scaled(30, scale),
    )  # fmt: skip
    yield from while_large_bodies_arrive(settings, lambda: client.predict(SYMBOL, row), scaled(2_000, scale, least=20))

"""Benchmarks of the routes that predict, compared with a route that does nothing, and of a promotion.

The callers are plain HTTP connections that stay open, so that no client library is part of the times.
"""

import io
import math
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import cycle
from time import perf_counter

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.champion import SOURCE, SYMBOL
from benchmarks.temporary_stack import free_ports
from benchmarks.timing import Measurement, Timed, compared, rank, scaled
from mikrobot.models.model import Model
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.settings import Settings
from mikrobot.stack import service_table
from mikrobot.stack.prediction_notice import notify
from mikrobot.store import web_access
from mikrobot.store.model_registry import open_registry

ROWS = 10_000
CLIENTS = 16
ARROW = "application/vnd.apache.arrow.stream"


@dataclass(slots=True)
class Caller:
    """One open connection to a service of the state folder."""

    settings: Settings
    port: int
    _connection: HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self._connection = HTTPConnection(self.settings.host, self.port, timeout=60)

    def post(self, path: str, body: bytes, kind: str = "application/json") -> bytes:
        """Return the answer to a request.

        Raises
        ------
        RuntimeError
            If it is refused.
        """
        login = ":".join(web_access.login(self.settings, "bento")).encode()
        headers = {"Authorization": f"Basic {b64encode(login).decode()}", "Content-Type": kind}
        self._connection.request("POST", path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}: {content[:200]!r}")
        return content


def measure(settings: Settings, model: Model, values: NDArray[np.float64], scale: float) -> Iterator[Measurement]:
    """Time one row, many clients, a batch and a promotion, against a running service that serves the model."""
    row = values[-1]
    features = {name: None if math.isnan(v) else v for name, v in zip(model.spec.columns, row.tolist(), strict=True)}
    body = orjson.dumps({"symbol": SYMBOL, "source": SOURCE, "features": features})
    with no_op(settings) as port:
        ours, nothing = Caller(settings, settings.bento_port), Caller(settings, port)
        yield compared(
            "prediction, one row by its route", "ms",
            lambda: ours.post("/predict", body),
            Timed("a no-op route with the same body", lambda: nothing.post("/predict", body)),
            limit=Timed("the bare model", lambda: model.predict(row[None])), rounds=scaled(2_000, scale, least=20),
        )  # fmt: skip
        yield _many_clients(settings, port, body, scaled(200, scale, least=3))
    yield _arrow(settings, model, values, scaled(20, scale, least=2))
    yield _promotion(settings, body, model, scaled(20, scale, least=2))


@contextmanager
def no_op(settings: Settings) -> Iterator[int]:
    """Run the service that does nothing; give its port."""
    (port,) = free_ports(1)
    environment = os.environ | service_table.environment(settings)
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.no_op_service", str(port)], env=environment)
    try:
        wait_until(lambda: _answers(settings, port), "the no-op service did not start", SystemClock(), timeout_s=60)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _answers(settings: Settings, port: int) -> bool:
    try:
        Caller(settings, port).post("/predict", b"{}")
    except OSError:
        return False
    return True


def _many_clients(settings: Settings, port: int, body: bytes, rounds: int) -> Measurement:
    """Time a request of each of 16 clients that all ask without a pause, of ours and of the no-op route in turn."""
    figures: list[list[float]] = []
    with ThreadPoolExecutor(CLIENTS) as pool:
        for asked in (settings.bento_port, port):
            start = perf_counter()
            times = [t for listed in pool.map(_asking(settings, asked, body, rounds), range(CLIENTS)) for t in listed]
            whole = (perf_counter() - start) * 1000.0 / len(times)
            figures.append([whole, rank(sorted(times), 0.99)])
    (ours, p99), (peer, peer_p99) = figures
    return Measurement(
        f"prediction, one row, {CLIENTS} clients at once, per request", "ms", ours, p99,
        "a no-op route with the same body", peer, "its p99", peer_p99,
    )  # fmt: skip


def _asking(settings: Settings, port: int, body: bytes, rounds: int) -> Callable[[int], Sequence[float]]:
    def ask(_: int) -> Sequence[float]:
        caller, times = Caller(settings, port), []
        for _ in range(rounds):
            start = perf_counter()
            caller.post("/predict", body)
            times.append((perf_counter() - start) * 1000.0)
        return times

    return ask


def _arrow(settings: Settings, model: Model, values: NDArray[np.float64], rounds: int) -> Measurement:
    many = np.resize(values, (ROWS, values.shape[1]))
    out = io.BytesIO()
    batch = pa.record_batch(list(many.T), names=list(model.spec.columns))
    with pa.ipc.new_stream(out, batch.schema) as stream:
        stream.write_batch(batch)
    arrow = out.getvalue()
    rows = [[None if math.isnan(value) else value for value in row] for row in many[:1000].tolist()]
    text = orjson.dumps({"symbol": SYMBOL, "source": SOURCE, "columns": list(model.spec.columns), "rows": rows})
    caller, path = Caller(settings, settings.bento_port), f"/predict_arrow?symbol={SYMBOL}&source={SOURCE}"

    def as_json() -> None:
        for _ in range(ROWS // len(rows)):
            caller.post("/predict_batch", text)

    return compared(
        f"prediction, {ROWS:,} rows as an Arrow stream, per row", "us",
        lambda: caller.post(path, arrow, ARROW),
        Timed("as JSON, 1,000 rows at once", as_json),
        limit=Timed("the bare model", lambda: model.answer(many)), rounds=rounds, per=ROWS,
    )  # fmt: skip


def _promotion(settings: Settings, body: bytes, model: Model, rounds: int) -> Measurement:
    """Time from the promotion of another version until it answers, with the notice and by polling alone."""
    registry, caller = open_registry(settings, signing=True), Caller(settings, settings.bento_port)
    other = registry.log(model, parameters={}, metrics={}, tags={}, data_name="the same", data_sha256="0" * 64)
    versions = cycle((other, model.spec.version))
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * rounds):
        version, noticed = next(versions), number % 2 == 0
        registry.promote(model.spec.name, version, "for the benchmark")
        start = perf_counter()
        if noticed:
            notify(settings)
        while orjson.loads(caller.post("/predict", body))["version"] != version:
            pass
        times[noticed].append((perf_counter() - start) * 1000.0)
    with_notice, polled = sorted(times[True]), sorted(times[False])
    return Measurement(
        "promotion until the version answers", "ms", rank(with_notice, 0.5), rank(with_notice, 0.99),
        "by polling alone", rank(polled, 0.5), "the target", 500.0,
    )  # fmt: skip

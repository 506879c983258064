"""A service of two workers, against the real registry: readiness, promotion, rollback, and a worker that is killed."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from mikrobot.models.catalog import MODELS
from mikrobot.models.scope import CHAMPION
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.settings import Settings
from mikrobot.stack.prediction_notice import notify
from mikrobot.store import web_access

CLOCK = SystemClock()
Rows = Callable[[int], list[dict[str, float]]]


@pytest.fixture(scope="module")
def unready() -> list[int]:
    """Statuses of the answers before there was a champion: with two workers, then with one that is cold."""
    return []


@pytest.fixture(scope="module")
def pair(stage: Any, unready: list[int], free_port: Callable[[], int]) -> Iterator[Any]:
    """A second service with two workers on the state folder of another service's registry."""
    home = Path(stage.service.environment["MIKROBOT_HOME"]).with_name("pair")
    home.mkdir()
    (home / "secrets").symlink_to(Path(stage.service.environment["MIKROBOT_HOME"]) / "secrets")
    port = free_port()
    service = replace(
        stage.service,
        command=("bentos", "--host", "127.0.0.1", "--port", str(port), "--workers", "2"),
        environment=stage.service.environment | {"MIKROBOT_HOME": str(home), "BENTOML_HOME": str(home / "bentoml")},
        port=port,
        log=home / "service.log",
    )
    held = [(kind, *one) for kind in MODELS for one in stage.registry.holders(kind, CHAMPION).items()]
    for kind, scope, _ in held:
        stage.registry.withdraw(kind, scope, "for the test")
    service.start()
    try:
        wait_until(lambda: all(states(service)), "two workers did not start", CLOCK, timeout_s=90)
        unready.extend(fresh_answers(service))
        os.kill(states(service)[0]["pid"], signal.SIGKILL)
        unready.extend(fresh_answers(service))
        for kind, scope, version in held:
            stage.registry.promote(kind, version, "after the test", [scope.symbol])
        wait_until(lambda: ready(service), "two workers did not become ready", CLOCK, timeout_s=90)
        yield service
    finally:
        service.stop()


@pytest.fixture(scope="module")
def settings(pair: Any) -> Settings:
    return Settings(home=Path(pair.environment["MIKROBOT_HOME"]), bento_port=pair.port)


def ready(service: Any) -> bool:
    return httpx.get(f"{service.url}/readyz", timeout=30).status_code == 200


def states(service: Any) -> list[Any]:
    listed: list[Any] = httpx.get(f"{service.url}/versions", timeout=30).json()["workers"]
    return listed


def champion_of(state: Any) -> str:
    """Return the version of the champion of EURUSD that a worker serves; other symbols may have champions too."""
    wanted = ("champion", "bos", "EURUSD")
    (version,) = (one["version"] for one in state["served"] if (one["role"], one["model"], one["symbol"]) == wanted)
    return str(version)


def champions(service: Any) -> list[str]:
    return [champion_of(state) for state in states(service)]


def sent(row: dict[str, float]) -> dict[str, Any]:
    features = {name: None if value != value else value for name, value in row.items()}
    return {"symbol": "EURUSD", "source": "simulated", "features": features}


def outcome(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the version of an answer."""
    return answer.status_code, str(answer.json().get("version"))


def answers(service: Any, row: dict[str, float], count: int) -> set[str]:
    """Return the versions that answer on connections of their own, so that both workers are asked."""
    body = sent(row)
    return {
        httpx.post(f"{service.url}/predict", json=body, timeout=30).raise_for_status().json()["version"]
        for _ in range(count)
    }


def fresh_answers(service: Any) -> list[int]:
    """Return the statuses of 30 requests for readiness and 30 for a prediction, each on a connection of its own."""
    body = {"symbol": "EURUSD", "source": "simulated", "features": {}}
    asked = [
        answer
        for _ in range(30)
        for answer in (
            httpx.get(f"{service.url}/readyz", timeout=30),
            httpx.post(f"{service.url}/predict", json=body, timeout=30),
        )
    ]
    return [answer.status_code for answer in asked]


def test_without_a_champion_no_connection_sees_it_ready_also_while_a_worker_is_cold(
    pair: Any, unready: list[int]
) -> None:
    assert len(unready) == 120
    assert set(unready) == {503}


def test_it_is_ready_when_both_workers_serve_the_same_version(stage: Any, pair: Any) -> None:
    assert champions(pair) == [stage.served()] * 2
    assert len({state["pid"] for state in states(pair)}) == 2


def test_after_a_promotion_and_a_rollback_no_former_version_answers(
    stage: Any, pair: Any, settings: Settings, feature_rows: Rows
) -> None:
    row = feature_rows(1)[0]
    before = champions(pair)[0]
    promoted = stage.promote().spec.version
    notify(settings)
    assert answers(pair, row, 30) == {promoted}
    assert champions(pair) == [promoted] * 2
    stage.registry.rollback("bos", "for the test")
    notify(settings)
    assert answers(pair, row, 30) == {before}
    assert all(f"bos {promoted}" in state["warm"] for state in states(pair))


@pytest.mark.parametrize("requests", [300, pytest.param(10_000, marks=pytest.mark.soak)])
def test_no_request_fails_across_a_swap(
    stage: Any, pair: Any, settings: Settings, feature_rows: Rows, requests: int
) -> None:
    """Half of the requests are answered before the swap is acknowledged, and the others after it."""
    body, swapped = sent(feature_rows(1)[0]), threading.Event()
    count = requests // 4

    def ask() -> list[tuple[int, str]]:
        answered: list[tuple[int, str]] = []
        with httpx.Client(base_url=pair.url, timeout=30) as http:
            while len(answered) < count or not swapped.is_set():
                answered.append(outcome(http.post("/predict", json=body)))
            return answered + [outcome(http.post("/predict", json=body)) for _ in range(count)]

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask) for _ in range(2)]
        try:
            promoted = stage.promote().spec.version
            notify(settings)
        finally:
            swapped.set()
        answered = [asked.result() for asked in asking]
    assert sum(map(len, answered)) >= requests
    assert {status for listed in answered for status, _ in listed} == {200}
    assert {version for listed in answered for _, version in listed[-count:]} == {promoted}


def test_a_version_that_cannot_be_loaded_changes_nothing(
    stage: Any, pair: Any, settings: Settings, feature_rows: Rows
) -> None:
    before = champions(pair)[0]
    broken = stage.registered().spec.version
    stage.registry.note("bos", broken, "window", "nonsense")
    stage.registry.promote("bos", broken, "for the test")
    answer = httpx.post(f"{pair.url}/refresh", timeout=60)
    assert answer.status_code == 409
    assert f"model bos version {broken} cannot be used" in answer.json()["error"]
    assert champions(pair) == [before] * 2
    assert answers(pair, feature_rows(1)[0], 10) == {before}
    stage.registry.rollback("bos", "after the test")
    notify(settings)
    assert ready(pair)


def test_a_killed_worker_is_replaced_and_meanwhile_no_connection_sees_the_service_ready(
    stage: Any, pair: Any, feature_rows: Rows
) -> None:
    first, second = states(pair)
    os.kill(first["pid"], signal.SIGKILL)
    wait_until(lambda: not ready(pair), "a worker that is killed does not matter", CLOCK, timeout_s=10, every_s=0.02)
    statuses = [httpx.get(f"{pair.url}/readyz", timeout=30).status_code for _ in range(30)]
    assert set(statuses) == {503}
    row = feature_rows(1)[0]
    wait_until(
        lambda: answers(pair, row, 5) != {champion_of(second)} or ready(pair),
        "the worker did not come back", CLOCK, timeout_s=60, every_s=0.01,
    )  # fmt: skip
    assert ready(pair)
    fresh = states(pair)[0]["pid"]
    assert fresh != first["pid"]
    assert champions(pair) == [champion_of(second)] * 2


def test_it_starts_with_the_last_champion_while_the_registry_is_down(
    stage: Any, pair: Any, settings: Settings, feature_rows: Rows
) -> None:
    before = champions(pair)[0]
    stage.mlflow.stop()
    try:
        pair.stop()
        pair.start()
        wait_until(lambda: ready(pair), "it does not start without the registry", CLOCK, timeout_s=60)
        assert answers(pair, feature_rows(1)[0], 10) == {before}
        problems = [problem for state in states(pair) for problem in state["problems"]]
        assert all("check that it runs" in problem for problem in problems)
    finally:
        stage.mlflow.start()
    newer = stage.promote().spec.version
    notify(settings)
    assert champions(pair) == [newer] * 2


def test_the_workers_end_with_their_parent(pair: Any) -> None:
    parent = psutil.Process(pair.process.pid)
    children = parent.children()
    assert len(children) == 2
    parent.kill()
    pair.process.wait()
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert (len(gone), alive) == (2, [])


def test_a_service_that_does_not_run_needs_no_notice(tmp_path: Path, free_port: Callable[[], int]) -> None:
    settings = Settings(home=tmp_path, bento_port=free_port())
    web_access.login(settings, "bento")
    notify(settings)

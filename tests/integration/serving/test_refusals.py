"""Bodies that nobody should send: each is refused with one object, leaves the log alone, and keeps nobody waiting."""

import json
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import numpy as np
import pytest

PATHS = ("/predict", "/shadow", "/predict_batch")
KINDS = ("application/json", "application/json; charset=latin-1", "text/plain", "multipart/form-data; boundary=x",
         "application/x-www-form-urlencoded", "application/vnd.bentoml+pickle", "", "\xff/json")  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, -0.0, 1e308, 1e-320, 10**400, "", "\0", "é" * 300, [], {}, [[]], {"a": {}}, [None] * 2000, "EURUSD",
)  # fmt: skip
RAW = (
    b"", b"null", b"NaN", b'{"symbol": "\\ud800"}', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 5_000, b'"', b"{}{}",
    b'{"symbol": "EURUSD", "features": {"m1_rsi_14": Infinity}}', b"\0" * 1000, b'{"rows": [' + b"[]," * 50_000,
)  # fmt: skip
Refused = tuple[str, str, bytes]


def valid(rows: list[dict[str, float]], path: str) -> dict[str, Any]:
    sent = [{name: None if np.isnan(value) else value for name, value in row.items()} for row in rows]
    if path == "/predict_batch":
        return {"symbol": "EURUSD", "columns": list(sent[0]), "rows": [list(row.values()) for row in sent]}
    return {"symbol": "EURUSD", "source": "simulated", "features": sent[0]}


def altered(value: Any, rng: random.Random) -> Any:
    """Replace one part of a body, at any depth, by something odd; or drop it, or repeat it under another name."""
    if not value or not isinstance(value, dict | list) or rng.random() < 0.15:
        return rng.choice(ODD)
    if isinstance(value, list):
        at = rng.randrange(len(value))
        return [*value[:at], altered(value[at], rng), *value[at + rng.randrange(2) :]]
    name = rng.choice(list(value))
    changed = {**value, rng.choice([name, name, "x" * 500, "\0"]): altered(value[name], rng)}
    return changed if rng.random() < 0.8 else {key: kept for key, kept in changed.items() if key != name}


def requests(rows: list[dict[str, float]], seed: int, count: int) -> Iterator[Refused]:
    rng = random.Random(seed)
    for _ in range(count):
        path = rng.choice(PATHS)
        body = json.dumps(valid(rows, path)).encode()
        match rng.randrange(4):
            case 0:
                body = json.dumps(altered(json.loads(body), rng)).encode()
            case 1:
                body = bytearray(body)
                for _ in range(rng.randrange(1, 4)):
                    body[rng.randrange(len(body))] = rng.randrange(256)
            case 2:
                body = body[: rng.randrange(len(body))]
            case 3:
                body = rng.choice([*RAW, rng.randbytes(rng.randrange(300))])
        yield path, rng.choice(KINDS) if rng.random() < 0.2 else "application/json", bytes(body)


@pytest.mark.parametrize(
    ("seed", "count"), [(11, 400), pytest.param(12, 10_000, marks=pytest.mark.soak)], ids=["some", "many"]
)
def test_no_body_is_an_error_of_the_service(
    stage: Any, feature_rows: Callable[[int], list[dict[str, float]]], seed: int, count: int
) -> None:
    log_from = stage.service.log.stat().st_size
    statuses: Counter[int] = Counter()
    with httpx.Client(base_url=stage.service.url, timeout=60) as http:
        for path, kind, body in requests(feature_rows(3), seed, count):
            headers = {"Content-Type": kind.encode("latin-1")} if kind else {}
            answer = http.post(path, content=body, headers=headers)
            statuses[answer.status_code] += 1
            assert answer.status_code < 500, (path, kind, body)
            if answer.is_error:
                assert list(answer.json()) == ["error"]
                assert 10 < len(answer.json()["error"]) < 20_000
                assert "\n" not in answer.json()["error"]
    assert statuses.keys() >= {200, 400, 415, 422}
    lines = stage.service.log.read_bytes()[log_from:]
    assert b"Traceback" not in lines
    assert b"ERROR" not in lines
    assert len(lines) < 100_000
    print(f"{count} bodies: {dict(statuses)} by status, {len(lines)} bytes of log")


@pytest.mark.parametrize(
    ("path", "body", "complaint"),
    [
        ("/predict", {"symbol": "E" * 101, "features": {}}, "symbol: expected at most 100 items, found 101"),
        ("/predict", {"features": {f"a{at}": 1.0 for at in range(1001)}}, "features: expected at most 1000 items"),
        ("/predict_batch", {"columns": ["a"] * 1001}, "columns: expected at most 1000 items, found 1001"),
        ("/predict_batch", {"columns": 5, "rows": [[]] * 10_001}, "rows: expected at most 10000 items, found 10001"),
    ],
)
def test_a_field_that_is_too_long_is_named_before_the_others_are_looked_at(
    stage: Any, path: str, body: dict[str, Any], complaint: str
) -> None:
    answer = httpx.post(stage.service.url + path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(complaint)


def sent(stage: Any, head: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", stage.service.port), timeout=60)
    own = f"Host: 127.0.0.1\r\nAuthorization: {stage.service.authorization}\r\n"
    connection.sendall(f"POST /predict_batch HTTP/1.1\r\n{own}Content-Type: application/json\r\n{head}".encode())
    return connection


def answered(connection: socket.socket) -> bytes:
    """Return an answer whose body is a JSON object, which may arrive in parts."""
    answer = b""
    with suppress(ConnectionError):  # the service closes it while more is being sent
        while not answer.endswith(b"}") and (part := connection.recv(4096)):
            answer += part
    return answer


def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(stage: Any) -> None:
    with sent(stage, "Content-Length: 8000001\r\n\r\n") as connection:
        answer = answered(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'{"error":"body: expected at most 8000000 bytes; send fewer rows at once"}' in answer


def test_a_body_of_unknown_length_is_refused_once_it_is_too_large(stage: Any) -> None:
    with sent(stage, "Transfer-Encoding: chunked\r\n\r\n") as connection:
        for _ in range(9):
            connection.sendall(b"f4240\r\n" + b" " * 1_000_000 + b"\r\n")
        assert answered(connection).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("head", ["Content-Length: 76000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"])
def test_others_are_answered_while_a_large_body_is_sent(
    stage: Any, feature_rows: Callable[[int], list[dict[str, float]]], head: str
) -> None:
    row, chunked = feature_rows(1)[0], "chunked" in head
    part = b" " * 1_000_000
    with sent(stage, head) as connection:
        for _ in range(76):
            connection.sendall(b"f4240\r\n" + part + b"\r\n" if chunked else part)
            assert stage.client.predict("EURUSD", row).symbol == "EURUSD"
        assert answered(connection).startswith(b"HTTP/1.1 413 ")


def test_a_body_of_the_largest_size_is_parsed(stage: Any) -> None:
    body = b'{"symbol": "EURUSD"}'.ljust(8_000_000)
    answer = httpx.post(f"{stage.service.url}/predict", content=body, headers={"Content-Type": "application/json"})
    assert answer.json() == {"error": "features: Field required"}

"""The middleware that bounds bodies, in front of an application that records what reaches it."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from bentos.refusals import MAXIMUM_BYTES, BoundedBodies

JSON = ((b"content-type", b"application/json"),)


def passed(*parts: bytes, headers: tuple[tuple[bytes, bytes], ...] = JSON) -> tuple[int, Any, bytes | None, int]:
    """Return the status and the body of the answer, the body that reached the application, and the parts read."""
    sent: list[Any] = []
    reached: list[bytes] = []
    messages: Iterator[dict[str, Any]] = iter(
        {"type": "http.request", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, start=1)
    )
    left = [len(parts)]

    async def receive() -> dict[str, Any]:
        left[0] -= 1
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        reached.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"{}"})

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": list(headers)}
    asyncio.run(BoundedBodies(application)(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"]), reached[0] if reached else None, len(parts) - left[0]


def test_a_body_in_parts_reaches_the_application_as_it_was_sent():
    assert passed(b'{"symbol": ', b'"EURUSD"}') == (200, {}, b'{"symbol": "EURUSD"}', 2)


def test_a_body_that_is_announced_too_large_is_not_read():
    status, answer, reached, read = passed(b"{}", headers=(*JSON, (b"content-length", b"%d" % (MAXIMUM_BYTES + 1))))
    assert (status, reached, read) == (413, None, 0)
    assert answer == {"error": "body: expected at most 8000000 bytes; send fewer rows at once"}


def test_a_body_without_a_length_is_read_up_to_its_maximum():
    status, _, reached, read = passed(*[b" " * 1_000_000] * 76)
    assert (status, reached, read) == (413, None, 9)


def test_a_body_of_the_largest_size_reaches_the_application():
    assert passed(b"{}".ljust(MAXIMUM_BYTES))[0] == 200


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"not json", "body: Invalid JSON"),
        (b'{"symbol": "\\ud800"}', "body: Invalid JSON"),
        (b"[" * 5_000, "body: Invalid JSON"),
        (b'{"rows": [' + b"[]," * 10_000 + b"[]]}", "rows: expected at most 10000 items, found 10001"),
        (b'{"rows": [' + b"{}," * 100_000 + b"[]]}", "rows: expected at most 10000 items; the body has more lists"),
        (json.dumps({"columns": ["a"] * 1001}).encode(), "columns: expected at most 1000 items, found 1001"),
        (json.dumps({"symbol": "E" * 101}).encode(), "symbol: expected at most 100 items, found 101"),
    ],
)
def test_a_body_that_cannot_be_is_refused_by_its_field(body, complaint):
    status, answer, reached, _ = passed(body)
    assert (status, reached, list(answer)) == (400, None, ["error"])
    assert answer["error"].startswith(complaint)


@pytest.mark.parametrize("kind", [b"multipart/form-data; boundary=x", b"application/vnd.bentoml+pickle", b"\xff"])
def test_a_body_that_is_no_json_is_not_read(kind):
    status, answer, reached, read = passed(b"{}", headers=((b"content-type", kind),))
    assert (status, reached, read) == (415, None, 0)
    assert answer["error"].startswith("Content-Type: expected application/json, found ")

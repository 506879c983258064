"""Bodies of requests: how much of them is read, and how a wrong one is refused."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from bentos.refusals import MAXIMUM_BYTES, Refused, body_of, parsed
from bentos.requests import OneRow, many_rows, one_row

JSON = ((b"content-type", b"application/json"),)


def received(*parts: bytes, headers: tuple[tuple[bytes, bytes], ...] = JSON) -> tuple[int, Any, int]:
    """Return the status, the body or the refusal, and the number of parts that were read."""
    messages: Iterator[dict[str, Any]] = iter(
        {"type": "http.request", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, start=1)
    )
    read = [0]

    async def receive() -> dict[str, Any]:
        read[0] += 1
        return next(messages)

    try:
        body = asyncio.run(body_of({"headers": list(headers)}, receive))
    except Refused as refused:
        return refused.answer.status_code, json.loads(refused.answer.body), read[0]
    return 200, body, read[0]


def test_a_body_in_parts_is_joined():
    assert received(b'{"symbol": ', b'"EURUSD"}') == (200, b'{"symbol": "EURUSD"}', 2)


def test_a_body_that_is_announced_too_large_is_not_read():
    status, answer, read = received(b"{}", headers=(*JSON, (b"content-length", b"%d" % (MAXIMUM_BYTES + 1))))
    assert (status, read) == (413, 0)
    assert answer == {"error": "body: expected at most 8000000 bytes; send fewer rows at once"}


def test_a_body_without_a_length_is_read_up_to_its_maximum():
    status, _, read = received(*[b" " * 1_000_000] * 76)
    assert (status, read) == (413, 9)


def test_a_body_of_the_largest_size_is_read():
    assert received(b"{}".ljust(MAXIMUM_BYTES))[0] == 200


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"not json", "body: Invalid JSON"),
        (b'{"symbol": "\xb9", "columns": [], "rows": []}', "body: Invalid JSON"),
        (b'{"symbol": "\\ud800"}', "body: Invalid JSON"),
        (b"[" * 5_000, "body: Invalid JSON"),
        (b'{"rows": [' + b"[]," * 10_000 + b"[]]}", "rows: expected at most 10000 items, found 10001"),
        (b'{"rows": [' + b"{}," * 100_000 + b"[]]}", "rows: expected at most 10000 items; the body has more lists"),
        (json.dumps({"columns": ["a"] * 1001}).encode(), "columns: expected at most 1000 items, found 1001"),
        (json.dumps({"symbol": "E" * 101}).encode(), "symbol: expected at most 100 items, found 101"),
    ],
)
def test_a_body_that_cannot_be_is_refused_by_its_field(body, complaint):
    for parse in (one_row, many_rows):
        with pytest.raises(Refused) as refused:
            parse(body)
        assert refused.value.answer.status_code == 400
        assert str(refused.value).startswith(complaint)


@pytest.mark.parametrize("kind", [b"multipart/form-data; boundary=x", b"application/vnd.bentoml+pickle", b"\xff"])
def test_a_body_that_is_no_json_is_not_read(kind):
    status, answer, read = received(b"{}", headers=((b"content-type", kind),))
    assert (status, read) == (415, 0)
    assert answer["error"].startswith("Content-Type: expected application/json, found ")


@pytest.mark.parametrize(
    ("features", "complaint"),
    [
        ('{"a": "high"}', "features.a: Input should be a valid number"),
        ('{"a": true}', "features.a: Input should be a valid number"),
        ('{"a": Infinity}', "features.a: Input should be a finite number"),
        ('{"a": 1e999}', "features.a: Input should be a finite number"),
        ("[]", "features: Input should be"),
        ('{}, "symbols": []', "symbols: Extra inputs are not permitted"),
        ('{}, "contributions": 1', "contributions: Input should be a valid boolean"),
    ],
)
def test_a_field_of_another_type_or_name_is_refused_by_its_place(features, complaint):
    with pytest.raises(Refused, match=complaint):
        one_row(f'{{"symbol": "EURUSD", "features": {features}}}'.encode())


def test_a_valid_row_is_the_same_by_both_parsers():
    body = b'{"symbol": "EURUSD", "features": {"a": 1, "b": null, "c": -0.5, "c": 2.5}, "source": null}'
    fast, slow = one_row(body), parsed(OneRow, body)
    for name in ("symbol", "features", "source", "contributions"):
        assert getattr(fast, name) == getattr(slow, name)
    assert fast.features == {"a": 1.0, "b": None, "c": 2.5}

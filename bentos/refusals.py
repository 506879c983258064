"""Requests that the prediction service refuses: too large, no JSON, or not of the form of their endpoint.

A refusal is a JSON object with one line under the key ``error``, and leaves no line in the log. Does not compare
the names of a request with those of a model: `mikrobot.serving` does.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"

MAXIMUM_BYTES = 8_000_000
"""Maximum size of a body: parsing more would keep other requests waiting."""

MAXIMUM_ITEMS = {"rows": 10_000, "columns": 1_000, "features": 1_000, "symbol": 100, "source": 100, "inputs": 1_000}
"""Maximum length of each field of a body, checked before the model or any column of it is looked at."""

FURTHER_LISTS = 3 * MAXIMUM_ITEMS["inputs"]
"""Number of lists and objects that a body may have next to its rows; millions of them take seconds to parse."""

MAXIMUM_ERRORS = 5
"""Maximum number of errors that a refusal lists."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
B = TypeVar("B", bound=BaseModel)


class Refused(Exception):
    """A request is refused; `answer` is the response."""

    def __init__(self, error: str, status: int) -> None:
        super().__init__(error)
        self.answer = JSONResponse({"error": error}, status)


async def no_route(request: Request, error: Exception) -> Response:
    """Answer a request that no route takes, by its path or its method; a handler of `HTTPException`."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": f"{request.url.path[:100]}: {error.detail}"}, error.status_code, error.headers)


async def body_of(scope: Message, receive: Receive, expected: str = JSON) -> bytes:
    """Return the body of a request of the expected media type.

    Raises
    ------
    Refused
        If it is of another media type, or larger than `MAXIMUM_BYTES`; of such a body no more than that is read.
    """
    headers = {name: value for name, value in scope["headers"] if name in (b"content-type", b"content-length")}
    given = headers.get(b"content-type", b"")
    kind = JSON if given == b"application/json" else given.decode("latin-1").partition(";")[0].strip().lower()
    if kind != expected:
        raise Refused(f"Content-Type: expected {expected}, found {given.decode('latin-1')[:100]!r}", 415)
    length = headers.get(b"content-length", b"0")
    _check_size(int(length) if length.isdigit() else 0)
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        _check_size(len(body))
        return body
    parts, size = [body], len(body)
    while message.get("more_body", False):
        _check_size(size)
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
    _check_size(size)
    return b"".join(parts)


def parsed(model: type[B], body: bytes) -> B:
    """Return a body as the model of its endpoint.

    Raises
    ------
    Refused
        If it is no JSON, has a field that is too long, or is not of the form of the model; the error names the
        fields.
    """
    most = MAXIMUM_ITEMS["rows"]
    if body.count(b"[") + body.count(b"{") > most + FURTHER_LISTS:
        raise Refused(f"rows: expected at most {most} items; the body has more lists", 400)
    try:
        given = from_json(body or b"{}")
    except ValueError as error:
        raise Refused(f"body: Invalid JSON: {error}", 400) from error
    for name, most in MAXIMUM_ITEMS.items():
        value = given.get(name) if isinstance(given, dict) else None
        if isinstance(value, list | dict | str) and len(value) > most:
            raise Refused(f"{name}: expected at most {most} items, found {len(value)}", 400)
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise Refused(_one_line(error), 400) from error


def _check_size(size: int) -> None:
    if size > MAXIMUM_BYTES:
        raise Refused(f"body: expected at most {MAXIMUM_BYTES} bytes; send fewer rows at once", 413)


def _one_line(refusal: ValidationError) -> str:
    return "; ".join(f"{_place(error['loc'])}: {error['msg']}" for error in refusal.errors()[:MAXIMUM_ERRORS])


def _place(location: tuple[str | int, ...]) -> str:
    return ".".join(str(part)[:100] for part in location) or "body"

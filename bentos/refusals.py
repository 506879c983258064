"""Requests that the prediction service refuses: too large, no JSON, or not of the form of their endpoint.

A refusal is a JSON object with one line under the key ``error``, and leaves no line in the log. Does not compare
the names of a request with those of a model: `mikrobot.serving` does.
"""

import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from bentoml.exceptions import BentoMLException
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from mikrobot.serving.report_links import ROUTE

MAXIMUM_BYTES = 8_000_000
"""Maximum size of a body: parsing more would keep other requests waiting."""

MAXIMUM_ITEMS = {"rows": 10_000, "columns": 1_000, "features": 1_000, "symbol": 100, "source": 100}
"""Maximum length of each field of a body, checked before the model or any column of it is looked at."""

FURTHER_LISTS = 100
"""Number of lists and objects that a body may have next to its rows; millions of them take seconds to parse."""

MAXIMUM_ERRORS = 5
"""Maximum number of errors that a refusal lists."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class BoundedBodies:
    """Middleware that reads the body of a POST up to its maximum, and refuses it before BentoML parses it."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass on every request, a POST only with a body that its endpoint may parse; reports take no body."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"].startswith(f"/{ROUTE}/"):
            await self._app(scope, receive, send)
            return
        headers = Headers(raw=scope["headers"])
        refusal, body = _refusal_of(headers), b""
        if refusal is None:
            body = await _read(receive)
            refusal = _too_large(len(body)) or _malformed(body)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, _replaying(body, receive), send)


def _refusal_of(headers: Headers) -> JSONResponse | None:
    """Return the refusal of a request by its headers."""
    kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        return JSONResponse({"error": f"Content-Type: expected application/json, found {kind[:100]!a}"}, 415)
    length = headers.get("content-length", "0")
    return _too_large(int(length) if length.isdecimal() else 0)


def _too_large(size: int) -> JSONResponse | None:
    if size <= MAXIMUM_BYTES:
        return None
    return JSONResponse({"error": f"body: expected at most {MAXIMUM_BYTES} bytes; send fewer rows at once"}, 413)


async def _read(receive: Receive) -> bytes:
    """Return the body, or as much of it as exceeds the maximum."""
    parts, size, more = [], 0, True
    while more and size <= MAXIMUM_BYTES:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
    return b"".join(parts)


def _malformed(body: bytes) -> JSONResponse | None:
    """Return the refusal of a body that is no JSON, or has a field that is too long."""
    most = MAXIMUM_ITEMS["rows"]
    if body.count(b"[") + body.count(b"{") > most + FURTHER_LISTS:
        return JSONResponse({"error": f"rows: expected at most {most} items; the body has more lists"}, 400)
    try:
        given = from_json(body or b"{}")
    except ValueError as error:
        return JSONResponse({"error": f"body: Invalid JSON: {error}"}, 400)
    for name, most in MAXIMUM_ITEMS.items():
        value = given.get(name) if isinstance(given, dict) else None
        if isinstance(value, list | dict | str) and len(value) > most:
            return JSONResponse({"error": f"{name}: expected at most {most} items, found {len(value)}"}, 400)
    return None


def _replaying(body: bytes, receive: Receive) -> Receive:
    """Return a function that receives the body that was read, and then what follows."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


class OneLineRefusals:
    """Middleware that shortens BentoML's validation errors to one line, like every other error."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass on every response except those that list validation errors."""
        refused = False

        async def passed_on(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] == 400:
                refused = True
            elif refused:
                await JSONResponse({"error": _one_line(json.loads(message["body"]))}, 400)(scope, receive, send)
            else:
                await send(message)

        await self._app(scope, receive, passed_on)


def _one_line(refusal: dict[str, Any]) -> str:
    errors = [f"{_place(error['loc'])}: {error['msg']}" for error in refusal.get("detail", ())[:MAXIMUM_ERRORS]]
    return "; ".join(errors) or str(refusal["error"])


def _place(location: list[str | int]) -> str:
    return ".".join(str(part)[:100] for part in location) or "body"


def keep_out_of_the_log() -> None:
    """Drop BentoML's log records of a client's errors, which have a traceback each; the client has the answer."""
    logging.getLogger("bentoml._internal.server.http_app").addFilter(_is_of_the_service)


def _is_of_the_service(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    refused = isinstance(error, BentoMLException) and error.error_code < 500
    return not (refused or isinstance(error, ValidationError))

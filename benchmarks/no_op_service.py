"""A service of BentoML whose only route reads a body and answers with one of the usual size: what HTTP alone costs.

It has the guard, the metrics and the other layers of the prediction service:
``python -m benchmarks.no_op_service PORT``.
"""

import os
import sys
from typing import Any

import bentoml
import uvicorn
from bentoml._internal.context import server_context
from bentoml._internal.server.http.traffic import TimeoutMiddleware
from bentoml.serving import ensure_prometheus_dir
from starlette.applications import Starlette
from starlette.routing import Route

from mikrobot.stack.guard import Guard, own_login

ANSWER = b'{"answer": "' + b"-" * 650 + b'"}'


class NoOp:
    """Answers every request alike."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Read the body and answer."""
        await receive()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": ANSWER})


routes = Starlette(routes=[Route("/predict", NoOp(), methods=["POST"])])


@bentoml.service(name="no_op", workers=1, logging={"access": {"enabled": False}}, tracing={"excluded_urls": "."})
@bentoml.asgi_app(routes)
class NoOpService:
    """The service with that route."""


def main(port: int) -> None:
    """Serve until SIGTERM."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = ensure_prometheus_dir()
    service: Any = NoOpService
    server_context.worker_index = 1
    server_context.service_type = "entry_service"
    server_context.service_name = server_context.bento_name = service.name
    server_context.service_routes = []
    server_context.bento_version = "not available"
    app = service.to_asgi()
    app.user_middleware = [layer for layer in app.user_middleware if layer.cls is not TimeoutMiddleware]
    guarded = Guard(app, "bento", "127.0.0.1", login=own_login("bento"))
    uvicorn.run(guarded, host="127.0.0.1", port=port, log_config=None, server_header=False, timeout_keep_alive=300)


if __name__ == "__main__":
    main(int(sys.argv[1]))

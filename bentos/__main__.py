"""Serve the predictions: ``python -m bentos --host HOST --port PORT``, with ``--workers 2`` from several processes.

`bentoml serve` keeps a second process, circus, which listens on a TCP port of its own and runs every command that a
local user sends there. This module serves the same application, with its metrics, limits and log, behind the guard
and without circus. One worker is the only process; several have a parent, see `worker_processes`.
"""

import os
import socket
from typing import Any

import click
import uvicorn
from bentoml._internal.context import server_context
from bentoml._internal.log import configure_server_logging
from bentoml._internal.server.http.traffic import TimeoutMiddleware
from bentoml._internal.utils.uri import join_paths
from bentoml.serving import ensure_prometheus_dir
from starlette.exceptions import HTTPException

from bentos.fleet import WORKER, clear
from bentos.refusals import no_route
from bentos.worker_processes import WorkerProcesses, end_with_parent, listen
from mikrobot import settings as configuration
from mikrobot.stack.guard import Guard, own_login

BACKLOG = 2048
"""Connections that wait to be accepted, as with `bentoml serve`."""

KEEP_ALIVE_S = 300
"""Seconds for which an idle connection stays open: callers predict once a minute, or once in five."""


@click.command()
@click.option("--host", required=True)
@click.option("--port", type=int, required=True)
@click.option("--workers", type=click.IntRange(1, 16), default=1)
@click.option("--worker", type=int, default=0, hidden=True, help="Number of this worker.")
@click.option("--descriptor", type=int, hidden=True, help="File descriptor of the socket that the parent opened.")
def main(host: str, port: int, workers: int, *, worker: int, descriptor: int | None) -> None:
    """Serve the predictions until SIGTERM."""
    login = own_login("bento")
    if descriptor is None:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = ensure_prometheus_dir()  # before the service imports its metrics
        fleet = clear(configuration.load())
        if workers > 1:
            arguments = ["--host", host, "--port", str(port), "--workers", str(workers)]
            with listen(host, port, BACKLOG) as listening:
                WorkerProcesses(listening, workers, fleet).keep(arguments)
            return
    else:
        end_with_parent()
    os.environ[WORKER] = f"{worker} {workers}"
    configure_server_logging()  # type: ignore[no-untyped-call]  # BentoML has no types for it
    from bentos.service import Predictions

    service: Any = Predictions  # the decorator makes it a service
    _describe(service, worker)
    app = Guard(_direct(service.to_asgi()), "bento", host, login=login)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        log_config=None,
        server_header=False,
    )
    shared = None if descriptor is None else [socket.socket(fileno=descriptor)]
    uvicorn.Server(config).run(shared)


def _direct(app: Any) -> Any:
    """Return BentoML's application with JSON for a path without a route, and without its time-out.

    The time-out makes a task for each request, an eighth of its time; the routes that run in threads have their own.
    """
    app.add_exception_handler(HTTPException, no_route)
    app.user_middleware = [layer for layer in app.user_middleware if layer.cls is not TimeoutMiddleware]
    return app


def _describe(service: Any, worker: int) -> None:
    """Set the names and routes that BentoML writes into its log and its metrics."""
    server_context.worker_index = worker + 1
    server_context.service_type = "entry_service"
    server_context.service_name = server_context.bento_name = service.name
    server_context.service_routes = [join_paths(service.path_prefix, api.route) for api in service.apis.values()]
    server_context.bento_version = "not available"


if __name__ == "__main__":
    main()

"""Serve the predictions from one process: ``python -m bentos --host HOST --port PORT``.

`bentoml serve` keeps a second process, circus, which listens on a TCP port of its own and runs every command that a
local user sends there. This module serves the same application, with its metrics, limits and log, behind the guard
and without circus. It serves with one worker: a process more on the same port needs a socket that both share.
"""

import os
from typing import Any

import click
import uvicorn
from bentoml._internal.context import server_context
from bentoml._internal.log import configure_server_logging
from bentoml._internal.utils.uri import join_paths
from bentoml.serving import ensure_prometheus_dir

from mikrobot.stack.guard import Guard, own_login

BACKLOG = 2048
"""Connections that wait to be accepted, as with `bentoml serve`."""


@click.command()
@click.option("--host", required=True)
@click.option("--port", type=int, required=True)
def main(host: str, port: int) -> None:
    """Serve the predictions until SIGTERM."""
    login = own_login("bento")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = ensure_prometheus_dir()  # before the service imports its metrics
    configure_server_logging()  # type: ignore[no-untyped-call]  # BentoML has no types for it
    from bentos.service import Predictions

    service: Any = Predictions  # the decorator makes it a service
    _describe(service)
    app = Guard(service.to_asgi(), "bento", host, login=login)
    uvicorn.run(app, host=host, port=port, backlog=BACKLOG, log_config=None, server_header=False)


def _describe(service: Any) -> None:
    """Set the names and routes that BentoML writes into its log and its metrics."""
    server_context.worker_index = 1
    server_context.service_type = "entry_service"
    server_context.service_name = server_context.bento_name = service.name
    server_context.service_routes = [join_paths(service.path_prefix, api.route) for api in service.apis.values()]
    server_context.bento_version = "not available"


if __name__ == "__main__":
    main()

"""The Prefect server behind the guard: ``python -m mikrobot.stack.prefect_server --host HOST --port PORT``.

`prefect server start` answers every web page and every Host. Serves the same application with the same options. The
browser asks for the password, so Prefect's own page for it is not shown. Reads the settings of Prefect from its
variables, and the password from the state folder.
"""

from typing import Any

import click
import uvicorn

from mikrobot.stack.guard import Guard, own_login


@click.command()
@click.option("--host", required=True)
@click.option("--port", type=int, required=True)
def main(host: str, port: int) -> None:
    """Serve the API, the user interface and the background services until SIGTERM."""
    login = own_login("prefect")
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    server = get_current_settings().server
    app = create_app(final=True)
    _ask_once(app)
    uvicorn.run(
        Guard(app, "prefect", host, login=login, checks_sockets=True),
        host=host,
        port=port,
        timeout_keep_alive=server.api.keepalive_timeout,
        ws_ping_interval=server.api.websocket_ping_interval,
        ws_ping_timeout=server.api.websocket_ping_timeout,
        log_level=server.logging_level.lower(),
    )


def _ask_once(app: Any) -> None:
    """Let the user interface use the browser's password: it shows a page to type it into if these settings name one."""
    (interface,) = (route.app for route in app.routes if route.name == "ui")
    (described,) = (route for route in interface.routes if route.path.endswith("/ui-settings"))

    def ui_settings() -> Any:
        return described.endpoint().model_copy(update={"auth": None})

    app.add_api_route(described.path, ui_settings)
    app.router.routes.insert(0, app.router.routes.pop())


if __name__ == "__main__":
    main()

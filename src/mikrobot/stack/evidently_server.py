"""Evidently's pages behind the guard: ``python -m mikrobot.stack.evidently_server --host HOST --port PORT``.

`evidently ui` answers everybody, and its secret protects writing only. Serves the same application on the workspace of
the state folder. Reads the password from the state folder.
"""

import click
import uvicorn

from mikrobot import settings as configuration
from mikrobot.stack.guard import Guard, own_login


@click.command()
@click.option("--host", required=True)
@click.option("--port", type=int, required=True)
def main(host: str, port: int) -> None:
    """Serve the projects and snapshots of the workspace until SIGTERM."""
    login = own_login("evidently")
    from evidently.ui.service.app import create_app, get_config

    workspace = configuration.load().home / "evidently"
    workspace.mkdir(exist_ok=True)
    app = create_app(get_config(host, port, str(workspace)))
    uvicorn.run(Guard(app, "evidently", host, login=login), host=host, port=port, log_level="warning")


if __name__ == "__main__":
    main()

"""The MLflow server as one process: ``python -m mikrobot.stack.mlflow_server --host HOST --port PORT``.

`mlflow server` keeps a second process with all of MLflow's imports, 200 MB, only to wait for the server. Reads the
URI of the database from MLFLOW_BACKEND_STORE_URI, and the password from the state folder. Uses the MLflow server
without its jobs, and with the guard in place of its authentication, which has users and permissions.
"""

import os
from pathlib import Path

import click
import uvicorn

from mikrobot.stack.guard import Guard, own_login


@click.command()
@click.option("--host", required=True)
@click.option("--port", type=int, required=True)
@click.option("--artifacts", type=click.Path(path_type=Path), required=True, help="Folder of the artifacts.")
def main(host: str, port: int, artifacts: Path) -> None:
    """Create or migrate the tables of MLflow, and serve it until SIGTERM."""
    login = own_login("mlflow")
    _configure(os.environ["MLFLOW_BACKEND_STORE_URI"], artifacts)
    from mlflow.server.handlers import initialize_backend_stores

    initialize_backend_stores()
    from mlflow.server.fastapi_app import app

    uvicorn.run(Guard(app, "mlflow", host, login=login), host=host, port=port, log_level="warning")


def _configure(database: str, artifacts: Path) -> None:
    """Set the variables from which MLflow's application reads its configuration."""
    from mlflow.server import constants
    from mlflow.utils.server_cli_utils import resolve_default_artifact_root

    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: database,
        constants.REGISTRY_STORE_URI_ENV_VAR: database,
        constants.ARTIFACT_ROOT_ENV_VAR: resolve_default_artifact_root(True, "", database),
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: str(artifacts),
    }


if __name__ == "__main__":
    main()

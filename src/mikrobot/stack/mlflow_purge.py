"""Purge what was deleted in MLflow: its rows and files, by MLflow's own command in a process of its own.

`mlflow gc` needs the library, which takes seconds and 200 MB, and the database, which the tracking server alone uses
otherwise.
"""

import os
import subprocess
import sys

from mikrobot.domain.errors import ServiceError
from mikrobot.settings import Settings
from mikrobot.stack.service_table import environment
from mikrobot.store import web_access

GRACE = "1d"
"""Time for which a deleted run can be restored in MLflow."""

TIMEOUT_S = 900.0


def purge(settings: Settings, store: str, grace: str = GRACE) -> None:
    """Purge the runs and logged models that were deleted before the grace time, with their files.

    Parameters
    ----------
    settings : Settings
    store : str
        URL of MLflow's database; it contains the password.
    grace : str
        In the form of `mlflow gc --older-than`.

    Raises
    ------
    ServiceError
        If MLflow's command fails; the next purge repeats it.
    """
    user, password = web_access.login(settings, "mlflow")
    variables = {
        **os.environ,
        **environment(settings),
        "MLFLOW_TRACKING_URI": store,  # without --backend-store-uri, which other users of the machine could read
        "MLFLOW_TRACKING_USERNAME": user,
        "MLFLOW_TRACKING_PASSWORD": password,
    }
    command = [sys.executable, "-m", "mlflow", "gc", "--older-than", grace, "--tracking-uri", settings.mlflow_url]
    try:
        ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"MLflow did not purge its deleted runs within {TIMEOUT_S:.0f} s") from error
    if ended.returncode:
        reason = (ended.stderr.strip() or ended.stdout.strip()).rpartition("\n")[2][:300]
        raise ServiceError(f"MLflow could not purge its deleted runs: {reason}")

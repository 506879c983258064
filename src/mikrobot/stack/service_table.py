"""The processes of the local stack as they are started: their commands, their environments and their health checks.

Starts nothing: `local_stack` does.
"""

import os
import sys
from pathlib import Path

from mikrobot.settings import Settings
from mikrobot.stack.processes import Service
from mikrobot.store import web_access
from mikrobot.store.postgres import database

ROOT = Path(__file__).resolve().parents[3]
"""Folder of the entry layers `flows`, `bentos`, `feature_repo` and `expectations`."""

_MEMORY = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": "1048576",
    "MALLOC_TRIM_THRESHOLD_": "16777216",
}
"""Return freed frames to the system: saves half a GB in a loop, and costs a twentieth of its time."""

_ADMINISTRATORS = ("PGPASSWORD", "POSTGRES_PASSWORD")
"""Variables in which a user may have the password of the database administrator."""

EVENT_DAYS = 7
"""Days for which Prefect keeps events at most; they are many, and only explain what its automations did."""

SERVICES = ("postgres", "prefect", "mlflow", "bento", "flows")
"""The permanent services, in the order they are started."""

EVIDENTLY = "evidently"
"""Evidently's pages, which a setting adds to the permanent services."""

VENUE = "venue"
"""The local venue, which only a run on it starts."""


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of every child process: the settings, and variables that keep the frameworks quiet.

    Contains no password, and hides that of the administrator from the child.
    """
    return settings.environment() | {
        **dict.fromkeys(_ADMINISTRATORS, ""),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        **_MEMORY,
        "PREFECT_HOME": str(settings.home / "prefect"),
        "PREFECT_API_URL": f"{settings.prefect_url}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_V2_ENABLED": "false",  # V2 of the UI asks Amplitude for its settings before it reads ours
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL": "INFO",
        "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "INFO",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_CLI_PROMPT": "false",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(settings.home / "bentoml"),
        "GX_ANALYTICS_ENABLED": "false",
        "FEAST_USAGE": "False",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2"),
    }


def flow_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a process that runs flows: it knows the password of Prefect; never print it."""
    return environment(settings) | {"PREFECT_API_AUTH_STRING": ":".join(web_access.login(settings, "prefect"))}


def _prefect_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of the Prefect server: it knows passwords; never print it."""
    return environment(settings) | {
        "PREFECT_API_DATABASE_CONNECTION_URL": database.url(settings, "prefect", "postgresql+asyncpg"),
        "PREFECT_SERVER_API_AUTH_STRING": ":".join(web_access.login(settings, "prefect")),
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": settings.prefect_url,
        "PREFECT_SERVER_UI_API_URL": "/api",  # under whichever name the browser called it
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(settings.retention_days * 86_400),
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": f"P{min(settings.retention_days, EVENT_DAYS)}D",
    }


def permanent(settings: Settings) -> tuple[str, ...]:
    """Return the names of the permanent services, in the order they are started."""
    return (*SERVICES, EVIDENTLY) if settings.evidently else SERVICES


def services(settings: Settings) -> dict[str, Service]:
    """Return the permanent services by name, in the order they are started."""
    common = environment(settings)
    python = (sys.executable, "-m")
    host = settings.host
    listed = (
        Service(
            "prefect",
            (*python, "mikrobot.stack.prefect_server", "--host", host, "--port", str(settings.prefect_port)),
            _prefect_environment(settings),
            settings.prefect_port,
            "MIKROBOT_PREFECT_PORT",
            f"{settings.prefect_url}/api/health",
        ),
        Service(
            "mlflow",
            (*python, "mikrobot.stack.mlflow_server", "--host", host, "--port", str(settings.mlflow_port),
             "--artifacts", str(settings.home / "mlflow" / "artifacts")),
            common | {"MLFLOW_BACKEND_STORE_URI": database.url(settings, "mlflow", "postgresql+psycopg")},
            settings.mlflow_port,
            "MIKROBOT_MLFLOW_PORT",
            f"{settings.mlflow_url}/health",
        ),
        Service(
            "bento",
            (*python, "bentos", "--host", host, "--port", str(settings.bento_port),
             "--workers", str(settings.bento_workers)),
            common,
            settings.bento_port,
            "MIKROBOT_BENTO_PORT",
            f"{settings.bento_url}/livez",
            folder="bentoml/work",  # empty, so that a model that refers to a file by its name finds none
        ),
        Service(
            "flows",
            (*python, "flows"),
            flow_environment(settings),
            health=f"{settings.prefect_url}/api/deployments/name/retrain/retrain",
            login=web_access.login(settings, "prefect"),
        ),
    )  # fmt: skip
    chosen = (*listed, _evidently(settings)) if settings.evidently else listed
    return {service.name: service for service in chosen}


def _evidently(settings: Settings) -> Service:
    return Service(
        EVIDENTLY,
        (sys.executable, "-m", "mikrobot.stack.evidently_server", "--host", settings.host,
         "--port", str(settings.evidently_port)),
        environment(settings) | {"ITERATIVE_DO_NOT_TRACK": "1"},
        settings.evidently_port,
        "MIKROBOT_EVIDENTLY_PORT",
        f"{settings.evidently_url}/api/version",
    )  # fmt: skip


def venue(settings: Settings) -> Service:
    """Return the local venue of a run."""
    return Service(
        VENUE,
        (sys.executable, "-m", "mikrobot.stack.venue_server"),
        environment(settings),
        settings.venue_port,
        "MIKROBOT_VENUE_PORT",
        f"http://127.0.0.1:{settings.venue_port}/api/v3/ping",
    )


def live_processes(settings: Settings, run_id: str, segment: int) -> tuple[Service, Service]:
    """Return the two processes that trade a segment of a run."""
    common = environment(settings)
    arguments = ("--run", run_id, "--segment", str(segment))
    return (
        Service("worker", (sys.executable, "-m", "mikrobot.live.worker", *arguments), common, reports_ready=True),
        Service("streamer", (sys.executable, "-m", "mikrobot.live.streamer", *arguments), common, reports_ready=True),
    )

"""A stack for the benchmarks: services in a temporary folder on free ports, stopped at the end."""

import os
import random
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from mikrobot import settings as configuration
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.stack import local_stack, processes, service_table
from mikrobot.store.postgres import bundled, database


@contextmanager
def temporary_settings() -> Iterator[Settings]:
    """Give settings with an empty state folder and free ports; whatever was set before does not count."""
    with tempfile.TemporaryDirectory(prefix="mikrobot-bench-", ignore_cleanup_errors=True) as folder, _nothing_set():
        os.chmod(folder, 0o711)  # noqa: S103, another account may have to run PostgreSQL there
        postgres, prefect, mlflow, bento = free_ports(4)
        settings = configuration.load(
            home=Path(folder),
            postgres_port=postgres,
            prefect_port=prefect,
            mlflow_port=mlflow,
            bento_port=bento,
            source="simulated",
        )
        yield settings.model_copy(update={"database_url": None})  # never the database of somebody


@contextmanager
def temporary_database() -> Iterator[Settings]:
    """Give settings of a running PostgreSQL with our tables and Feast's definitions."""
    with temporary_settings() as settings:
        bundled.start(settings.home, settings.host, settings.postgres_port)
        try:
            database.provision(settings)
            database.migrate(settings)
            local_stack.run_module("feature_repo", settings)
            yield settings
        finally:
            bundled.stop(settings.home)


@contextmanager
def serving(settings: Settings) -> Iterator[None]:
    """Run MLflow, on SQLite, and the prediction service."""
    services = service_table.services(settings)
    backend = {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{settings.home / 'mlflow.db'}"}
    mlflow = replace(services["mlflow"], environment={**services["mlflow"].environment, **backend})
    try:
        for service in (mlflow, services["bento"]):
            processes.start(service, settings.home, settings.host)
        for service in (mlflow, services["bento"]):
            processes.await_ready(service, settings.home, SystemClock())
        yield
    finally:
        for name in ("bento", "mlflow"):
            processes.stop(name, settings.home)


@contextmanager
def _nothing_set() -> Iterator[None]:
    """Hide the settings of the caller's environment from this process and its children."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("MIKROBOT_")}
    if "MIKROBOT_CACHE" in hidden:
        os.environ["MIKROBOT_CACHE"] = hidden["MIKROBOT_CACHE"]
    try:
        yield
    finally:
        os.environ.update(hidden)


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on, below those that systems give to clients."""
    ports: set[int] = set()
    while len(ports) < count:
        port = random.SystemRandom().randrange(15_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.add(port)
    return list(ports)

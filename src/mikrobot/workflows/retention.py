"""Delete what is older than the retention time: model versions that nothing needs, their runs, and reports.

Prefect deletes its own flow runs, logs, artifacts and events; see `stack.service_table`.
"""

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from mikrobot.models.catalog import MODELS, TRADED
from mikrobot.runtime import Clock
from mikrobot.serving import report_links
from mikrobot.settings import Settings
from mikrobot.stack import mlflow_purge
from mikrobot.store import predicted
from mikrobot.store.model_registry import open_registry
from mikrobot.store.postgres import database
from mikrobot.store.runs import Runs


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted.

    Attributes
    ----------
    versions : tuple of str
        Model and version of each, as ``bos 3``.
    training_runs : int
        Runs in MLflow, also those that registered no version.
    reports : int
        Files, also snapshots of Evidently's.
    days : int
        The retention time.
    """

    versions: tuple[str, ...]
    training_runs: int
    reports: int
    days: int

    def __str__(self) -> str:
        named = f" ({', '.join(self.versions)})" if self.versions else ""
        return (
            f"deleted what is older than {self.days} days: {len(self.versions)} model versions{named}, "
            f"{self.training_runs} training runs, {self.reports} files of reports"
        )


def retain(settings: Settings, clock: Clock) -> Deleted:
    """Delete what is older than the retention time.

    Raises
    ------
    ServiceError
        If MLflow does not answer.
    StoreError
        If the database fails.
    OSError
        If a report cannot be deleted.
    """
    before = clock.now() - timedelta(days=settings.retention_days)
    registry, versions, runs = open_registry(settings), [], 0
    with database.open_pool(settings) as pool:
        traded = partial(predicted.versions_since, pool, before)
        for name in MODELS:
            retired = registry.retire(name, before, traded if name == TRADED else frozenset)
            versions += [f"{name} {version}" for version in retired.versions]
            runs += retired.runs
        latest = Runs(pool).latest()
        kept = [] if latest is None else [latest, *Runs(pool).followers(latest.id)]
    if any(registry.deleted_runs(name, before) for name in MODELS):
        mlflow_purge.purge(settings, database.url(settings, "mlflow", "postgresql+psycopg"))
    reports = delete_reports(report_links.folder(settings), before, {run.id for run in kept})
    reports += delete_snapshots(settings.home / "evidently", before)
    return Deleted(tuple(versions), runs, reports, settings.retention_days)


def delete_reports(folder: Path, before: datetime, kept: Container[str]) -> int:
    """Delete the files of reports last written before an instant, and the folders that are empty then.

    Parameters
    ----------
    folder : Path
        Folder of all reports.
    before : datetime
        UTC.
    kept : container of str
        Runs whose reports stay.

    Returns
    -------
    int
        Number of deleted files.
    """
    old = [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.relative_to(folder).parts[0] not in kept
        and path.lstat().st_mtime < before.timestamp()
    ]
    for path in old:
        path.unlink()
    for parent in sorted({parent for path in old for parent in path.parents if folder in parent.parents}, reverse=True):
        if not any(parent.iterdir()):
            parent.rmdir()
    return len(old)


def delete_snapshots(workspace: Path, before: datetime) -> int:
    """Delete the snapshots of all projects of a workspace of Evidently's written before an instant.

    Returns
    -------
    int
        Number of deleted files.
    """
    old = [path for path in workspace.glob("*/snapshots/*.json") if path.stat().st_mtime < before.timestamp()]
    for path in old:
        path.unlink()
    return len(old)

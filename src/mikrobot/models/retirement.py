"""Delete versions that nothing needs from the tracking server, with their runs and logged models.

MLflow keeps deleted runs and logged models until they are purged, which `stack.mlflow_purge` does.
"""

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from datetime import datetime

from mikrobot.models.tracking_server import TrackingServer
from mikrobot.models.version import Version


@dataclass(frozen=True, slots=True)
class Retired:
    """What was deleted of one model.

    Attributes
    ----------
    versions : tuple of str
    runs : int
        Training runs, also those that registered no version.
    """

    versions: tuple[str, ...]
    runs: int


def retire(server: TrackingServer, name: str, before: datetime, predicted: Callable[[], Set[str]]) -> Retired:
    """Delete what `Registry.retire` describes."""
    versions = server.versions(name)
    unneeded = expired(versions, before)
    if unneeded:
        kept = predicted()
        unneeded = [version for version in unneeded if version.version not in kept]
    for version in unneeded:
        server.delete_version(name, version.version)
    gone = {version.version for version in unneeded}
    needed_runs = {version.run_id for version in versions if version.version not in gone}
    for model, run in server.logged_models(name, before).items():
        if run not in needed_runs:
            server.delete_logged_model(model)
    runs = [run for run in server.runs(name, before) if run not in needed_runs]
    for run in runs:
        server.delete_run(run)
    return Retired(tuple(version.version for version in unneeded), len(runs))


def expired(versions: Iterable[Version], before: datetime) -> list[Version]:
    """Return the versions created before an instant that have no alias and that no rollback restores."""
    versions = list(versions)
    restorable = {former for version in versions if version.aliases for former in version.replaced}
    return [
        version
        for version in versions
        if version.created_at < before and not version.aliases and version.version not in restorable
    ]

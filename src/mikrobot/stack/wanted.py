"""The processes that the supervisor of a state folder keeps running, in the file ``home/run/wanted``.

Commands and the loop write it, atomically and one at a time; the supervisor reads it. It holds the settings by which
each process was started, without the URL of the database, which may contain a password.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mikrobot import settings as configuration
from mikrobot.domain.errors import ServiceError
from mikrobot.settings import Settings

LIVE = ("worker", "streamer")
"""The two live processes of a run; they are wanted together."""


@dataclass(frozen=True, slots=True)
class LiveRun:
    """The segment of a run that is traded, with the settings of its processes as plain JSON values."""

    run: str
    segment: int
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The wanted processes.

    Attributes
    ----------
    services : dict
        Settings of each wanted service by its name, as plain JSON values.
    live : LiveRun or None
        The run whose live processes are wanted.
    """

    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    live: LiveRun | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all wanted processes in the order they are started."""
        return (*self.services, *(LIVE if self.live else ()))

    def settings_of(self, name: str) -> Settings:
        """Return the settings by which a wanted process is started."""
        recorded = self.live.settings if self.live and name in LIVE else self.services[name]
        return configuration.load(**recorded)


def read(home: Path) -> Wanted:
    """Return the wanted processes; none without a file.

    Raises
    ------
    ServiceError
        If the file is damaged or cannot be read.
    """
    path = _path(home)
    try:
        value = json.loads(path.read_text())
        return Wanted(value["services"], LiveRun(**value["live"]) if value["live"] else None)
    except (FileNotFoundError, NotADirectoryError):
        return Wanted()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ServiceError(
            f"{path} cannot be used ({error}): `mikrobot down`, then `mikrobot up` writes it again"
        ) from error


def want(settings: Settings, names: Iterable[str]) -> None:
    """Add services, without a database server of the user's own; one that is wanted already keeps its settings."""
    ours = [name for name in names if name != "postgres" or settings.database_url is None]
    with locked(settings.home):
        former = read(settings.home)
        added = {name: _plain(settings) for name in ours if name not in former.services}
        _write(replace(former, services={**former.services, **added}), settings.home)


def want_live(settings: Settings, run_id: str, segment: int) -> None:
    """Want the live processes of a segment of a run instead of those of another one."""
    with locked(settings.home):
        _write(replace(read(settings.home), live=LiveRun(run_id, segment, _plain(settings))), settings.home)


def drop(home: Path, names: Iterable[str]) -> None:
    """Remove processes; those of the live run go together."""
    if not _path(home).exists():
        return
    dropped = set(names)
    with locked(home):
        former = read(home)
        kept = {name: recorded for name, recorded in former.services.items() if name not in dropped}
        _write(Wanted(kept, None if dropped.intersection(LIVE) else former.live), home)


def clear(home: Path) -> None:
    """Want nothing any more, unless the disk cannot be written."""
    with suppress(OSError):
        _path(home).unlink()


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Keep the file as it is within the block."""
    from filelock import FileLock  # here, because it takes a tenth of a second

    path = _path(home).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield


def _plain(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(mode="json", exclude={"database_url"})


def _write(wanted: Wanted, home: Path) -> None:
    fresh = _path(home).with_suffix(".new")
    fresh.write_text(json.dumps(asdict(wanted)))
    fresh.replace(_path(home))


def _path(home: Path) -> Path:
    return home / "run" / "wanted"

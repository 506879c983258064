"""The run that `mikrobot run --resume` continues: the latest one, if it is a replay that did not end.

An earlier run is never continued: a later one has opened with the paper account and replaced the online rows.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mikrobot import settings as configuration
from mikrobot.domain.errors import UsageError
from mikrobot.domain.serialisation import plain
from mikrobot.domain.sources import is_live
from mikrobot.market.bar_files import digests
from mikrobot.settings import PORTS, Settings
from mikrobot.store.postgres import database
from mikrobot.store.resets import Resets
from mikrobot.store.runs import Run, Runs

DIGESTS = "bar_digests"
"""Key of a run's settings: the digest of each of its bar files, by path."""

OF_THE_MACHINE = frozenset({"home", "host", *PORTS, "database_url", "log_level", "instruments"})
"""Settings that do not change what a run does, whose instruments are recorded; the current ones are used."""

UNORDERED = ("data", "symbols")


def require_home(settings: Settings) -> None:
    """Check that a run can have been recorded, before anything is started.

    Raises
    ------
    UsageError
        If the state folder has no database.
    """
    if settings.database_url is None and not (settings.home / "postgres").is_dir():
        raise UsageError(f"there is no run to resume in {settings.home}: `mikrobot run` starts one")


def interrupted(settings: Settings, given: Mapping[str, Any]) -> Run:
    """Return the run to continue.

    Parameters
    ----------
    settings : Settings
    given : mapping of str to object
        Settings that the user has named; None: not named.

    Raises
    ------
    UsageError
        If there is none, or it has other settings or bars than those given, or its account was reset.
    """
    with database.open_pool(settings) as pool:
        run = Runs(pool).latest()
        ended = run is not None and Runs(pool).summary(run.id) is not None
        reset = Resets(pool).latest(run.source) if run is not None else None
    if run is None:
        raise UsageError(f"there is no run to resume in {settings.home}: `mikrobot run` starts one")
    if ended:
        raise UsageError(f"the latest run, {run.id}, has ended, so there is nothing to resume: leave --resume out")
    if is_live(run.source):
        raise UsageError(f"run {run.id} trades source {run.source} in the present: `mikrobot up` continues its trading")
    if reset is not None and reset.at >= run.started_at:
        raise UsageError(f"the paper account of source {run.source} was reset after run {run.id}: leave --resume out")
    require_same_settings(run, given)
    require_same_bars(run)
    return run


def require_same_settings(run: Run, given: Mapping[str, Any]) -> None:
    """Check that settings are those of a run, as far as they are given.

    Raises
    ------
    UsageError
        If one differs.
    """
    for name, value in given.items():
        asked, recorded = plain(value), run.settings.get(name)
        if value is not None and _comparable(name, asked) != _comparable(name, recorded):
            raise UsageError(
                f"run {run.id} has {name} {_shown(recorded)}, not {_shown(asked)}: it is resumed by its own settings, "
                f"so leave {name} out, or leave --resume out for another run"
            )


def require_same_bars(run: Run) -> None:
    """Check that the bar files of a run have not changed since it began.

    Raises
    ------
    UsageError
        If one has changed, or is missing in its folder.
    BarError
        If a file or folder cannot be read.
    """
    recorded = run.settings.get(DIGESTS)
    if recorded is None:
        return
    current = digests(Path(path) for path in run.settings["data"])
    for path in sorted(recorded.keys() | current.keys()):
        if recorded.get(path) != current.get(path):
            raise UsageError(
                f"{path} is not as it was when run {run.id} began: put it back, or leave --resume out for another run"
            )


def settings_of(settings: Settings, run: Run) -> Settings:
    """Return the settings of a run, with those of this machine as they are now.

    Raises
    ------
    SettingsError
        If this version no longer accepts one.
    """
    names = Settings.model_fields.keys() & run.settings.keys() - OF_THE_MACHINE
    chosen = configuration.load(**{name: run.settings[name] for name in names})
    recorded = {name: None if run.settings[name] is None else getattr(chosen, name) for name in names}
    return settings.model_copy(update=recorded)


def _comparable(name: str, value: Any) -> Any:
    return sorted(value) if name in UNORDERED and value is not None else value


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

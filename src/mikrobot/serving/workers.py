"""The workers of the prediction service: what each of them serves, and notices to all of them.

Each worker publishes its state as a file of one folder, so that any of them can answer for all: the service is ready
only when every worker is warm on the same versions. A notice asks all workers to look at the registry now.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mikrobot.models.catalog import TRADED
from mikrobot.serving.predictor import Predictor

_NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """One model that a worker serves.

    Attributes
    ----------
    role, model, source, symbol, version : str
    baseline : bool
        True if only the baseline of the version is served.
    window : bool
        True if its intervals are those of a rolling window.
    """

    role: str
    model: str
    source: str
    symbol: str
    version: str
    baseline: bool
    window: bool


@dataclass(frozen=True, slots=True)
class WorkerState:
    """The state of one worker.

    Attributes
    ----------
    number : int
        From 0 on.
    pid : int
    noticed : int
        The latest notice after which it looked at the registry; 0 before the first one.
    served : tuple of ServedVersion
    warm : tuple of str
        Model and version of each that is loaded, as ``bos 3``: also former ones, for a rollback.
    problems : tuple of str
        Reasons for which it did not take what the registry names.
    windows : str
        Identity of the rolling windows that it uses.
    """

    number: int
    pid: int
    noticed: int
    served: tuple[ServedVersion, ...]
    warm: tuple[str, ...]
    problems: tuple[str, ...]
    windows: str

    def to_json(self) -> dict[str, Any]:
        """Return the state as plain JSON values, without the identity of the windows."""
        values = asdict(self)
        del values["windows"]
        return values

    @property
    def identity(self) -> tuple[tuple[ServedVersion, ...], str]:
        """The part in which all workers of a ready service agree."""
        return self.served, self.windows


class Workers:
    """The view of one worker on all of them.

    Parameters
    ----------
    folder : Path
        Folder of the states; it is made if it does not exist.
    number, count : int
        Number of this worker from 0 on, and how many there are.
    """

    def __init__(self, folder: Path, number: int = 0, count: int = 1) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._number, self._count = number, count
        self._published: WorkerState | None = None

    @property
    def count(self) -> int:
        """Number of workers."""
        return self._count

    def publish(self, predictors: Iterable[Predictor], noticed: int, problems: Sequence[str]) -> None:
        """Write the state of this worker, in place of its former one, if it has changed."""
        predictors = tuple(predictors)
        listed = [(p.role, p.name, served) for p in predictors for served in p.serving_all()]
        warm = sorted({f"{predictor.name} {version}" for predictor in predictors for version in predictor.warm()})
        served = tuple(
            ServedVersion(
                role,
                name,
                one.scope.source,
                one.scope.symbol,
                one.model.spec.version,
                baseline=one.baseline,
                window=bool(one.window),
            )
            for role, name, one in listed
        )
        windows = hashlib.sha256("".join(one.window for _, _, one in listed).encode()).hexdigest()
        state = WorkerState(
            self._number, os.getpid(), noticed, served, tuple(warm), tuple(filter(None, problems)), windows
        )
        path = self._path(self._number)
        if state != self._published or not path.exists():
            _write(path, json.dumps(asdict(state)))
            self._published = state

    def states(self) -> list[WorkerState | None]:
        """Return the state of every worker in order; None for one that has not started, or has ended."""
        return [self._state(number) for number in range(self._count)]

    def obstacle(self) -> str:
        """Return the reason why the service is not ready; empty if every worker is warm on the same versions."""
        states = self.states()
        for number, state in enumerate(states):
            if state is None:
                return f"worker {number} is starting"
            if not any(one.role == "champion" and one.model == TRADED for one in state.served):
                return f"worker {number} has no model"
        if len({state.identity for state in states if state is not None}) > 1:
            return "the workers serve different versions"
        return ""

    def late(self, notice: int) -> bool:
        """Return True while a worker has not yet looked at the registry after a notice."""
        return not all(state is not None and state.noticed >= notice for state in self.states())

    def notify(self) -> int:
        """Ask every worker to look at the registry now; return the number of the notice."""
        number = time.monotonic_ns()
        _write(self._folder / _NOTICE, str(number))
        return number

    def notice(self) -> int:
        """Return the number of the latest notice; 0 if there is none."""
        try:
            return int((self._folder / _NOTICE).read_text())
        except (OSError, ValueError):
            return 0

    def forget(self, number: int) -> None:
        """Remove the state of a worker that has ended."""
        self._path(number).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"worker-{number}.json"

    def _state(self, number: int) -> WorkerState | None:
        try:
            state = _parsed(json.loads(self._path(number).read_text()))
            os.kill(state.pid, 0)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return state


def _parsed(values: Mapping[str, Any]) -> WorkerState:
    served = tuple(ServedVersion(**one) for one in values["served"])
    lists = {name: tuple(values[name]) for name in ("warm", "problems")}
    return WorkerState(**{**values, **lists, "served": served})


def _write(path: Path, text: str) -> None:
    fresh = path.with_suffix(f".{os.getpid()}")
    with suppress(FileNotFoundError):  # the state folder was removed
        fresh.write_text(text)
        fresh.replace(path)

"""The watch of the registry: one poll for the aliases of each model, from which every predictor takes its versions.

Loads no model itself: `Predictor.refresh` does.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

from mikrobot import telemetry
from mikrobot.domain.errors import MikrobotError, ServiceError
from mikrobot.models.catalog import TRADED
from mikrobot.serving.predictor import Predictor
from mikrobot.serving.workers import Workers

if TYPE_CHECKING:
    from mikrobot.models.registry import Registry

log = telemetry.logger("serving")

OTHERS_EVERY = 5
"""Polls between two for the models that are not traded, which nobody waits for."""

NOTICE_S = 0.02
"""Interval at which a notice is looked for: a file is read, which takes 20 us."""


def _nothing() -> None:
    return None


@dataclass(slots=True)
class Watch:
    """Refreshes predictors periodically, and at once after a notice; what they serve stays if that fails.

    Attributes
    ----------
    registry : Registry
    predictors : sequence of Predictor
    workers : Workers
        Where the state of this worker is published.
    every_s : float
        Interval between two polls.
    kept : Registry, optional
        Registry of what was loaded before, for a start while the registry does not answer.
    settle : callable
        Called between a change of the models and its publication: waits for running predictions.
    looked : Event
        Set when the first poll has ended, with or without a model.
    """

    registry: "Registry"
    predictors: Sequence[Predictor]
    workers: Workers
    every_s: float
    kept: "Registry | None" = None
    settle: Callable[[], None] = _nothing
    looked: Event = field(default_factory=Event)
    _problems: dict[Predictor, str] = field(default_factory=dict)

    def run(self, stop: Event) -> None:
        """Poll until stopped. A failure is logged once.

        Imports what loading a model needs as soon as the registry answers, since the first model is waited for.
        """
        rounds, noticed = 0, -1
        while not stop.is_set():
            notice = self.workers.notice()
            whole = notice != noticed or rounds % OTHERS_EVERY == 0
            noticed = notice
            self._poll([one for one in self.predictors if whole or one.name == TRADED])
            self.settle()
            self.workers.publish(self.predictors, notice, list(self._problems.values()))
            self.looked.set()
            rounds += 1
            self._pause(stop, noticed)

    def _poll(self, predictors: Sequence[Predictor]) -> None:
        problems = poll(self.registry, predictors, self.kept)
        for predictor, problem in zip(predictors, problems, strict=True):
            if problem not in ("", self._problems.get(predictor)):
                log.warning(
                    f"{predictor.role}_not_refreshed", model=predictor.name, reason=problem, ready=predictor.ready
                )
            self._problems[predictor] = problem

    def _pause(self, stop: Event, noticed: int) -> None:
        until = monotonic() + self.every_s
        while monotonic() < until and self.workers.notice() == noticed and not stop.wait(NOTICE_S):
            pass


def poll(registry: "Registry", predictors: Sequence[Predictor], kept: "Registry | None" = None) -> list[str]:
    """Refresh predictors with the aliases that the registry has now; return the problem of each, empty if none.

    A predictor that serves nothing takes its versions from `kept` while the registry does not answer.
    """
    aliases: dict[str, dict[str, str]] = {}
    problems: list[str] = []
    away = ""
    for predictor in predictors:
        problem = away
        if not away:
            try:
                _refresh(registry, predictor, aliases)
            except MikrobotError as error:
                problem = str(error)
                away = problem if isinstance(error, ServiceError) else ""
        problems.append(problem)
        if away and kept is not None and not predictor.ready:
            with suppress(MikrobotError):  # the registry's own problem is reported
                _refresh(kept, predictor, {})
        if predictor.name in aliases:
            import_module("mikrobot.models.artefacts")
    return problems


def _refresh(registry: "Registry", predictor: Predictor, aliases: dict[str, dict[str, str]]) -> None:
    """Refresh a predictor; the aliases of its model are requested once."""
    if predictor.name not in aliases:
        aliases[predictor.name] = registry.aliases(predictor.name)
    predictor.refresh(aliases[predictor.name], registry)

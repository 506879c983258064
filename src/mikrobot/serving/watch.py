"""The watch of the registry: one poll for the aliases of a model, from which every predictor takes its versions.

Loads no model itself: `Predictor.refresh` does.
"""

from collections.abc import Sequence
from importlib import import_module
from threading import Event
from typing import TYPE_CHECKING

from mikrobot import telemetry
from mikrobot.domain.errors import MikrobotError
from mikrobot.models.catalog import TRADED
from mikrobot.serving.predictor import Predictor

if TYPE_CHECKING:
    from mikrobot.models.registry import Registry

log = telemetry.logger("serving")


def watch(registry: "Registry", predictors: Sequence[Predictor], every_s: float, stop: Event) -> None:
    """Refresh predictors of one model periodically until stopped; their served models stay if that fails.

    A failure is logged once. Imports what loading a model needs as soon as the registry answers, since the first
    model is waited for.
    """
    complaints = [""] * len(predictors)
    while not stop.is_set():
        problems = poll(registry, predictors)
        for predictor, problem, complaint in zip(predictors, problems, complaints, strict=True):
            if problem not in ("", complaint):
                log.warning(f"{predictor.role}_not_refreshed", reason=problem, ready=predictor.ready)
        complaints = problems
        stop.wait(every_s)


def poll(registry: "Registry", predictors: Sequence[Predictor]) -> list[str]:
    """Refresh predictors with the aliases that the registry has now; return the problem of each, empty if none."""
    try:
        aliases = registry.aliases(TRADED)
    except MikrobotError as error:
        return [str(error)] * len(predictors)
    problems = [_problem(predictor, aliases) for predictor in predictors]
    import_module("mikrobot.models.artefacts")
    return problems


def _problem(predictor: Predictor, aliases: dict[str, str]) -> str:
    try:
        predictor.refresh(aliases)
    except MikrobotError as error:
        return str(error)
    return ""

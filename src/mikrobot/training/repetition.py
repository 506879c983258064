"""Recognise a training that would repeat an earlier one: the same samples, recipe, settings and program."""

import hashlib
import json

from mikrobot.domain.errors import UnchangedData
from mikrobot.domain.serialisation import plain
from mikrobot.models.registry import Registry
from mikrobot.models.scope import BASELINE, CHALLENGER, CHAMPION, Scope
from mikrobot.settings import Settings
from mikrobot.training.recipes import Recipe

CONFIGURATION = "configuration"
"""Tag of a version: identity of everything but the data on which its training depends."""

DATA = "data_sha256"
"""Tag of a version: hash of the samples that it was trained, calibrated and tested on."""

_USED = ("seed", "trials", "tuning_seconds")
"""Settings that a training uses, besides those of its task."""


def configuration(recipe: Recipe, settings: Settings, feature_hash: str, code_version: str) -> str:
    """Return the identity of everything but the data on which a training depends, 16 hexadecimal digits."""
    described = {
        "task": plain(recipe.task),
        "members": {name: dict(parameters) for name, (_, parameters) in recipe.members.items()},
        "compared": {name: dict(parameters) for name, (_, parameters) in recipe.compared.items()},
        "starts_from": recipe.starts_from,
        "settings": {name: getattr(settings, name) for name in _USED},
        "features": feature_hash,
        "program": code_version,
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()[:16]


def refuse(registry: Registry, name: str, scopes: tuple[Scope, ...], tags: dict[str, str]) -> None:
    """Refuse a training whose data and configuration are those of a version that has a role in each scope.

    Parameters
    ----------
    name : str
        Of the model.
    scopes : tuple of Scope
        Those that the version would serve.
    tags : dict of str to str
        `DATA` and `CONFIGURATION` of the training.

    Raises
    ------
    UnchangedData
        If the champion, the challenger or the baseline of each scope was trained so; the message names the version.
    ServiceError
        If the registry does not answer.
    """
    aliases = registry.aliases(name)
    roles = (CHAMPION, CHALLENGER, BASELINE)
    holders = [{aliases[alias] for role in roles if (alias := scope.alias(role)) in aliases} for scope in scopes]
    for version in sorted(set.intersection(*holders), key=int, reverse=True):
        trained = registry.version(name, version).tags
        if all(trained.get(tag) == value for tag, value in tags.items()):
            raise UnchangedData(
                f"nothing to train: version {version} of model {name} was trained on the same data of "
                f"{', '.join(map(str, scopes))} with the same settings"
            )

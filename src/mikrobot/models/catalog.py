"""The list of all kinds of models. The module of a kind is imported when the kind is first used."""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from mikrobot.domain.errors import ModelError

if TYPE_CHECKING:
    from mikrobot.models.kind import ModelKind

MODELS: dict[str, str] = {
    "bos": "mikrobot.models.bos",
    "nowcast": "mikrobot.models.nowcast",
    "retest": "mikrobot.models.retest",
    "false_break": "mikrobot.models.false_break",
}
"""Module of each kind of model, which defines it as ``KIND``."""

TRADED = "bos"
"""The kind of model whose predictions are traded."""


@cache
def kind_of(name: str) -> "ModelKind":
    """Return the kind of model of that name.

    Raises
    ------
    ModelError
        If there is no kind of that name.
    """
    if name not in MODELS:
        raise ModelError(f"expected a model named {' or '.join(MODELS)}, found {name!r}")
    kind: ModelKind = import_module(MODELS[name]).KIND
    return kind

"""One registered version of a model, as the registry describes it by its aliases and tags.

Reads no registry and loads no model.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mikrobot.models.scope import Scope, scopes_of

PROMOTION = "promotion"
"""Tag of a version, followed by a symbol: every decision about it there, in order."""


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version of a model.

    Attributes
    ----------
    name, version : str
    aliases : tuple of str
    run_id : str
        The MLflow run that made it.
    tags : mapping of str to str
    """

    name: str
    version: str
    aliases: tuple[str, ...]
    run_id: str
    tags: Mapping[str, str]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols it learned from; none for a version of an earlier program."""
        return tuple(filter(None, self.tags.get("symbols", "").split(",")))

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The scopes it may answer for."""
        return scopes_of(self.tags.get("source", ""), self.symbols)

    def promotion(self, symbol: str) -> str:
        """Return what was decided about it for a symbol, the newest last; empty if nothing was."""
        return self.tags.get(f"{PROMOTION}.{symbol}", "")

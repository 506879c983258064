"""One registered version of a model, described by its aliases and tags.

This module does not access the registry and loads no model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mikrobot.models.scope import Scope, scopes_of

PROMOTION = "promotion"
"""Prefix of a tag, followed by a symbol: all decisions about the version for that symbol, in order."""

REPLACES = "replaces"
"""Prefix of a tag, followed by a symbol: the champion that the version replaced, which a rollback restores."""


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version of a model.

    Attributes
    ----------
    name, version : str
    aliases : tuple of str
    run_id : str
        MLflow run that trained it.
    created_at : datetime
        UTC.
    tags : mapping of str to str
    """

    name: str
    version: str
    aliases: tuple[str, ...]
    run_id: str
    created_at: datetime
    tags: Mapping[str, str]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols it was trained on; none for a version registered by an earlier release."""
        return tuple(filter(None, self.tags.get("symbols", "").split(",")))

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The scopes that it may serve."""
        return scopes_of(self.tags.get("source", ""), self.symbols)

    def promotion(self, symbol: str) -> str:
        """Return the decisions about it for a symbol, the newest last; empty if there are none."""
        return self.tags.get(f"{PROMOTION}.{symbol}", "")

    @property
    def replaced(self) -> frozenset[str]:
        """The versions that it replaced as champion, of any symbol."""
        return frozenset(version for tag, version in self.tags.items() if tag.startswith(f"{REPLACES}."))

"""Load the registered version that a command names by ``name``, ``name@version`` or ``name@alias``.

Its probabilities are those of its training: a rolling window may contain the outcomes of the bars to evaluate.
Starts no service: the caller passes the registry.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mikrobot.domain.errors import ModelError, ScopeError
from mikrobot.domain.sources import real_first
from mikrobot.domain.trading import BASELINE as BASELINE_MODEL
from mikrobot.features.catalog import CATALOG
from mikrobot.models.model import Model
from mikrobot.models.scope import BASELINE, CHAMPION, Scope

if TYPE_CHECKING:
    from mikrobot.models.registry import Registry


@dataclass(frozen=True, slots=True)
class Answering:
    """A model that answers for one symbol.

    Attributes
    ----------
    model : Model
    name : str
        Name of the model, or of the baseline.
    """

    model: Model
    name: str

    @property
    def version(self) -> str | None:
        """The registered version; None for the baseline."""
        return None if self.name == BASELINE_MODEL else self.model.spec.version

    @property
    def levels(self) -> tuple[str, str]:
        """Feature columns of the levels above and below whose break it predicts."""
        above, below = self.model.spec.task.columns
        return above, below


def one(registry: "Registry", named: str, symbols: Sequence[str]) -> Model:
    """Load the one version that the name refers to, given the symbols.

    A name alone means the champion of the symbols; without one, the newest version that learned from one of them.

    Raises
    ------
    ModelError
        If there is none, or the symbols have different champions.
    ServiceError
        If the registry does not answer.
    """
    name, _, alias = named.partition("@")
    if alias and alias != CHAMPION:
        return registry.load(name, _numbered(registry, name, alias), rolled=False)
    champions = sorted(set(_by_symbol(registry, name, CHAMPION, symbols).values()), key=int)
    if len(champions) > 1:
        raise ModelError(
            f"the champions of {', '.join(symbols)} are versions {' and '.join(champions)}; name one, "
            f"as {name}@{champions[0]}"
        )
    return registry.load(name, champions[0] if champions else _newest(registry, name, symbols), rolled=False)


def by_symbol(registry: "Registry", named: str, symbols: Sequence[str]) -> dict[str, Answering]:
    """Load the model that predicts for each symbol, as the prediction service does.

    A name alone means the champion of each symbol, or the baseline where it has none.

    Raises
    ------
    ScopeError
        If nothing learned from one of the symbols.
    FeatureMismatch
        If a version was trained on other features.
    ModelError, ServiceError
        As `one`.
    """
    name, _, alias = named.partition("@")
    if alias and alias != CHAMPION:
        model = _loaded(registry, name, _numbered(registry, name, alias))
        _learned_from(model, symbols)
        return dict.fromkeys(symbols, Answering(model, name))
    champions, baselines = (_by_symbol(registry, name, role, symbols) for role in (CHAMPION, BASELINE))
    if absent := [symbol for symbol in symbols if symbol not in champions and symbol not in baselines]:
        raise ScopeError(f"no model {name} learned from {', '.join(absent)}; train one: `mikrobot train --data FILE`")
    loaded = {v: _loaded(registry, name, v) for v in {*champions.values(), *baselines.values()}}
    return {
        symbol: Answering(loaded[champions[symbol]], name)
        if symbol in champions
        else Answering(loaded[baselines[symbol]].diffusion(), BASELINE_MODEL)
        for symbol in symbols
    }


def _loaded(registry: "Registry", name: str, version: str) -> Model:
    """Load a version, which must be trained on the current features."""
    model = registry.load(name, version, rolled=False)
    model.spec.accept(CATALOG.version)
    return model


def _by_symbol(registry: "Registry", name: str, role: str, symbols: Iterable[str]) -> dict[str, str]:
    """Return the version with a role for each symbol, from the first source that has one; real sources first."""
    holders = registry.holders(name, role)
    versions, sources = {}, real_first({scope.source for scope in holders})
    for symbol in symbols:
        version = next((v for source in sources if (v := holders.get(Scope(source, symbol)))), None)
        if version is not None:
            versions[symbol] = version
    return versions


def _numbered(registry: "Registry", name: str, alias: str) -> str:
    """Return the number of a version given by number or alias."""
    if alias.isdigit():
        return alias
    aliases = registry.aliases(name)
    if alias not in aliases:
        there = ", ".join(sorted(aliases)) or "none"
        raise ModelError(f"model {name} has no version with the alias {alias!r}; its aliases are {there}")
    return aliases[alias]


def _newest(registry: "Registry", name: str, symbols: Sequence[str]) -> str:
    versions = registry.versions(name)
    if not versions:
        raise ModelError(f"there is no model {name} yet; train one: `mikrobot train --model {name}`")
    own = [version for version in versions if set(version.symbols) & set(symbols)]
    if not own:
        raise ScopeError(
            f"no version of model {name} learned from {', '.join(symbols)}; name one to judge it on symbols that it "
            f"has never seen, as {name}@{versions[0].version}"
        )
    return own[0].version


def _learned_from(model: Model, symbols: Sequence[str]) -> None:
    spec = model.spec
    if foreign := [symbol for symbol in symbols if symbol not in spec.symbols]:
        raise ScopeError(
            f"model {spec.name} version {spec.version} learned from {', '.join(spec.symbols)}, "
            f"not from {', '.join(foreign)}; train one on its bars"
        )

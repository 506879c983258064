"""Scopes: the market source and symbol that a model version serves.

A version serves a scope only if it was trained on bars of that source and symbol.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mikrobot.domain.sources import JOINT

CHAMPION = "champion"
"""Role of the version that serves a scope."""

CHALLENGER = "challenger"
"""Role of the version that makes shadow predictions until the promotion gate passes it."""

BASELINE = "baseline"
"""Role of the version whose diffusion baseline serves a scope that has no champion."""

_JOINT = "_"
"""Joins the members of a combined source in an alias, which the registry allows letters, digits, - and _ only."""


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """One symbol of one market source.

    Attributes
    ----------
    source : str
        For example ``simulated``, ``replay``, ``binance``, ``binance-local`` or ``binance+mt5``.
    symbol : str

    >>> str(Scope("replay", "EURUSD"))
    'replay EURUSD'
    """

    source: str
    symbol: str

    def __str__(self) -> str:
        return f"{self.source} {self.symbol}"

    def alias(self, role: str) -> str:
        """Return the registry alias of the version that has a role in this scope.

        >>> Scope("replay", "EURUSD").alias("champion")
        'champion-replay-EURUSD'
        >>> Scope("binance+mt5", "EURUSD").alias("champion")
        'champion-binance_mt5-EURUSD'
        """
        return f"{role}-{self.source.replace(JOINT, _JOINT)}-{self.symbol}"


def scopes_of(source: str, symbols: Iterable[str]) -> tuple[Scope, ...]:
    """Return the scope of each symbol of a source."""
    return tuple(Scope(source, symbol) for symbol in symbols)


def scope_of(alias: str, role: str) -> Scope | None:
    """Return the scope that an alias names; None if the alias belongs to another role.

    >>> scope_of("champion-replay-EURUSD", "champion")
    Scope(source='replay', symbol='EURUSD')
    >>> scope_of("champion-binance-local-BTCUSDT", "champion")
    Scope(source='binance-local', symbol='BTCUSDT')
    >>> scope_of("champion-binance_mt5-EURUSD", "champion")
    Scope(source='binance+mt5', symbol='EURUSD')
    >>> scope_of("baseline-replay-EURUSD", "champion") is None
    True
    """
    prefix, _, rest = alias.partition("-")
    source, dash, symbol = rest.rpartition("-")
    return Scope(source.replace(_JOINT, JOINT), symbol) if prefix == role and dash else None


def holders_of(aliases: Mapping[str, str], role: str) -> dict[Scope, str]:
    """Return the version that has a role in each scope, from the version of each alias.

    >>> holders_of({"champion-replay-EURUSD": "3", "baseline-replay-EURUSD": "1"}, "champion")
    {Scope(source='replay', symbol='EURUSD'): '3'}
    """
    named = {scope_of(alias, role): version for alias, version in aliases.items()}
    return {scope: version for scope, version in sorted(named.items(), key=str) if scope is not None}

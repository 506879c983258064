"""The contract of a strategy. Ours and those of users have the same one.

A strategy sees one symbol at one bar close and proposes a trade, or names the check that stopped it. It knows no
account: size, costs and limits are the ProductOwner's. It reads no clock, file or network, so that a recorded run can
be decided again.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from mikrobot.decision.outlook import Outlook
from mikrobot.decision.signals import NoSignal, Signal
from mikrobot.domain.errors import StrategyError
from mikrobot.domain.market_sessions import SESSIONS
from mikrobot.domain.risk_profiles import RiskProfile

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

Memory = dict[str, Any]
"""What a strategy remembers of a symbol, as plain JSON values; stored with every minute."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that a strategy can be given.

    Attributes
    ----------
    default, low, high : float
        Within [low, high].
    description : str
    """

    default: float
    low: float
    high: float
    description: str


@dataclass(frozen=True, slots=True)
class Mandate:
    """What a strategy may do at most, whatever the profile allows; None: only the profile limits it.

    Attributes
    ----------
    risk_pct, daily_loss_pct : Decimal or None
        As those of `RiskProfile`, in percent.
    max_open_trades : int or None
    sessions : tuple of str
        Sessions of `market_sessions` in which it opens positions; empty: all.
    """

    risk_pct: Decimal | None = None
    daily_loss_pct: Decimal | None = None
    max_open_trades: int | None = None
    sessions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if unknown := set(self.sessions) - {name for _, name in SESSIONS}:
            names = ", ".join(dict.fromkeys(name for _, name in SESSIONS))
            raise StrategyError(f"no session {min(unknown)!r} in the mandate; the sessions are {names}")
        for name in ("risk_pct", "daily_loss_pct", "max_open_trades"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise StrategyError(f"{name} of the mandate is {limit}, expected a positive number")

    def within(self, profile: RiskProfile) -> RiskProfile:
        """Return the profile with the smaller of both limits.

        >>> from mikrobot.domain.risk_profiles import RISK_PROFILES
        >>> both = Mandate(risk_pct=Decimal("0.7"), max_open_trades=5).within(RISK_PROFILES["ftmo"])
        >>> both.risk_pct, both.max_open_trades
        (Decimal('0.5'), 2)
        """
        return _within(self, profile)


@cache
def _within(mandate: Mandate, profile: RiskProfile) -> RiskProfile:
    def smaller(name: str) -> Any:
        limit, own = getattr(profile, name), getattr(mandate, name)
        return limit if own is None else min(limit, own)

    limits = {name: smaller(name) for name in ("risk_pct", "daily_loss_pct", "max_open_trades")}
    return replace(profile, **limits, sessions=mandate.sessions)


class Strategy(ABC):
    """Base class of every strategy; each parameter is an attribute of the instance.

    Parameters
    ----------
    **values : float
        Parameters that differ from their defaults.

    Raises
    ------
    StrategyError
        If there is no such parameter, or its value is out of its range.
    """

    name: ClassVar[str] = ""
    """Name in decisions and on the command line; empty: the name of the class."""

    columns: ClassVar[tuple[str, ...]] = ()
    """Feature columns that it reads from `Outlook.features`; see docs/features.md."""

    parameters: ClassVar[Mapping[str, Parameter]] = {}

    mandate: ClassVar[Mandate] = Mandate()

    def __init__(self, **values: float) -> None:
        for name, value in values.items():
            if name not in self.parameters:
                raise StrategyError(f"{self.title()} has no parameter {name}; {listed(self.parameters)}")
            chosen = self.parameters[name]
            if not chosen.low <= value <= chosen.high:
                raise StrategyError(f"{self.title()}: {name} is {value:g}, expected {chosen.low:g} to {chosen.high:g}")
        for name, parameter in self.parameters.items():
            setattr(self, name, values.get(name, parameter.default))

    def __getattr__(self, name: str) -> float:
        """Return a parameter; every one is set when the strategy is made."""
        raise AttributeError(f"{type(self).__name__} has no attribute or parameter {name!r}")

    @classmethod
    def title(cls) -> str:
        """Return the name in decisions."""
        return cls.name or cls.__name__

    @abstractmethod
    def signal(self, outlook: Outlook, memory: Memory) -> Signal | NoSignal:
        """Propose a trade at a close, or return why there is none.

        Parameters
        ----------
        outlook : Outlook
            The symbol at this close.
        memory : dict
            What earlier calls for this symbol have put there, to be changed in place; empty at first. Text, numbers,
            lists and dicts only.
        """

    def candidates(self, closes: "pd.DataFrame") -> "NDArray[np.bool_] | None":
        """Return the closes at which `signal` may propose a trade or change its memory; None: every close.

        A backtest calls `signal` at these closes, and where `waits`. At every other close, `signal` must return no
        signal and leave the memory unchanged.

        Parameters
        ----------
        closes : DataFrame
            A row for each close of one symbol, in order of time: ``atr``, the levels ``above`` and ``below``, their
            probabilities ``up`` and ``down``, and `columns`, each as in `Outlook`.

        Returns
        -------
        ndarray of bool, shape (n,), or None
            The value at a close must not depend on later rows.
        """
        return None

    def waits(self, memory: Memory) -> bool:
        """Return whether `signal` must be called at the next close whatever it is; `memory` is not empty."""
        return True


def listed(parameters: Mapping[str, Parameter]) -> str:
    """Return the names of parameters for an error message."""
    return f"it has {', '.join(sorted(parameters))}" if parameters else "it has none"

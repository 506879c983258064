"""The strategies that come with Mikrobot, and those of users, by the references that name them.

A reference is the name of one of ours, or a user's file and class, as ``my_rules.py:Reversal``. A strategy of ours is
one file and one entry here; `tests/contract/strategies` tests it by itself.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from importlib import import_module
from pathlib import Path

from mikrobot.decision.strategies.strategy import Parameter, Strategy, listed
from mikrobot.domain.errors import StrategyError

STRATEGIES: dict[str, str] = {
    "m5_bos": "mikrobot.decision.strategies.m5_bos:M5Bos",
    "m1_retest": "mikrobot.decision.strategies.m1_retest:M1Retest",
    "simple_break": "mikrobot.decision.strategies.simple_break:SimpleBreak",
}
"""Module and class of each strategy of ours."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The parts of a user's reference.

    Attributes
    ----------
    module : str
        Path of a Python file, or the name of an importable module.
    name : str
        Of the class.
    """

    module: str
    name: str

    @property
    def is_file(self) -> bool:
        """True if the module is a path."""
        return self.module.endswith(".py")


def parsed(reference: str) -> Reference | None:
    """Return the parts of a user's reference; None for a strategy of ours.

    Raises
    ------
    StrategyError
        If it is neither.

    >>> parsed("my_rules.py:Reversal")
    Reference(module='my_rules.py', name='Reversal')
    >>> parsed("simple_break") is None
    True
    """
    if reference in STRATEGIES:
        return None
    module, _, name = reference.rpartition(":")
    if not module or not name.isidentifier():
        raise StrategyError(
            f"no strategy {reference!r}: give {', '.join(STRATEGIES)}, or a file and its class, as my_rules.py:Reversal"
        )
    return Reference(module, name)


def ours(name: str) -> type[Strategy]:
    """Return the class of a strategy of ours."""
    module, _, class_name = STRATEGIES[name].partition(":")
    strategy: type[Strategy] = getattr(import_module(module), class_name)
    return strategy


def identity(strategy: type[Strategy]) -> str:
    """Return the name of a strategy with a hash of the files that define it, as ``simple_break@8c1f3a52``.

    A strategy of which it is a subclass counts as well.
    """
    classes = [base for base in strategy.__mro__ if issubclass(base, Strategy) and base is not Strategy]
    source = b"".join(Path(path).read_bytes() for path in dict.fromkeys(map(inspect.getfile, classes)))
    return f"{strategy.title()}@{blake2b(source, digest_size=4).hexdigest()}"


def values_of(
    title: str, parameters: Mapping[str, Parameter], given: Mapping[str, float], defaults: Mapping[str, float]
) -> dict[str, float]:
    """Return the parameters of a strategy from the settings.

    Parameters
    ----------
    title : str
        Name of the strategy.
    parameters : mapping of str to Parameter
        Those that it has.
    given : mapping of str to float
        The setting `strategy_parameters`: values by ``<strategy>.<parameter>``.
    defaults : mapping of str to float
        Values of other settings, for a parameter of the same name that is not given.

    Raises
    ------
    StrategyError
        If the strategy has no such parameter.
    """
    chosen = {key.removeprefix(f"{title}."): value for key, value in given.items() if key.startswith(f"{title}.")}
    if unknown := chosen.keys() - parameters.keys():
        raise StrategyError(f"{title} has no parameter {min(unknown)}; {listed(parameters)}")
    return {name: value for name, value in defaults.items() if name in parameters} | chosen

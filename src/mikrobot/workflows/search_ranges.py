"""The ranges in which the parameters of a strategy are searched: those that it declares, narrowed on request."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from optuna.trial import Trial

from mikrobot.decision.strategies.strategy import Parameter, listed
from mikrobot.domain.errors import StrategyError, UsageError
from mikrobot.live.strategies import Described, parameter_values
from mikrobot.settings import Settings

DECADES = 100.0
"""A range whose upper bound is more than this multiple of a positive lower bound is searched on a log scale."""

WIDE, SEARCHED = 100.0, 10.0
"""A range from 0 or below that ends beyond `WIDE` times the default is searched up to `SEARCHED` times the default."""

_DIGITS = 4


class Narrowed(NamedTuple):
    """A range that was asked for: ``<strategy>.<parameter>`` and its bounds."""

    reference: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SearchRange:
    """The range of one parameter.

    Attributes
    ----------
    name : str
    low, high : float
        Both included; equal if the parameter is not searched.
    start : float
        Value of the first trial: the default, or the nearest value in the range.
    integer : bool
        Whole numbers only.
    """

    name: str
    low: float
    high: float
    start: float
    integer: bool

    @property
    def fixed(self) -> bool:
        """True if there is one value only."""
        return self.low == self.high

    @property
    def log(self) -> bool:
        """True if it is searched on a log scale."""
        return self.low > 0 and self.high / self.low > DECADES

    def suggest(self, trial: Trial) -> float:
        """Return the value of a trial, rounded to four significant digits within the range."""
        if self.fixed:
            return self.low
        if self.integer:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log)
        return self.nearest(float(f"{trial.suggest_float(self.name, self.low, self.high, log=self.log):.{_DIGITS}g}"))

    def nearest(self, value: float) -> float:
        """Return the value of the range that is nearest to a value.

        >>> SearchRange("minutes", 10, 60, 30, integer=True).nearest(240.4)
        60
        """
        return min(max(round(value) if self.integer else value, self.low), self.high)

    def to_json(self) -> dict[str, Any]:
        """Return the range as plain JSON values."""
        return {"low": self.low, "high": self.high, "integer": self.integer, "log": self.log}


def ranges(strategy: Described, settings: Settings, narrowed: Sequence[Narrowed] = ()) -> tuple[SearchRange, ...]:
    """Return the range of every parameter of a strategy, in the order in which it declares them.

    Parameters
    ----------
    strategy : Described
    settings : Settings
        Its `strategy_parameters`, `entry_probability` and profile are the defaults.
    narrowed : sequence of Narrowed
        Ranges within the bounds of the parameter; of two with the same name the last one holds. Equal bounds fix it.

    Raises
    ------
    StrategyError
        If the strategy has no such parameter.
    UsageError
        If a range is outside the bounds of its parameter, has no whole number or is empty, or no parameter is left to
        search.
    """
    asked = dict(_asked(strategy, one) for one in narrowed)
    defaults = parameter_values(strategy, settings)
    space = tuple(
        _range(name, parameter, defaults[name], asked.get(name)) for name, parameter in strategy.parameters.items()
    )
    if all(one.fixed for one in space):
        raise UsageError(f"{strategy.title} has no parameter left to search; {listed(strategy.parameters)}")
    return space


def _asked(strategy: Described, narrowed: Narrowed) -> tuple[str, Narrowed]:
    reference, low, high = narrowed
    title, _, name = reference.rpartition(".")
    if title != strategy.title or name not in strategy.parameters:
        names = {f"{strategy.title}.{one}": parameter for one, parameter in strategy.parameters.items()}
        raise StrategyError(f"{strategy.title} has no parameter {reference}; {listed(names)}")
    parameter = strategy.parameters[name]
    if low > high:
        raise UsageError(f"the range of {reference} ends at {high:g}, below its beginning {low:g}")
    if low < parameter.low or high > parameter.high:
        raise UsageError(
            f"the range of {reference} is {low:g} to {high:g}, "
            f"expected one within {parameter.low:g} to {parameter.high:g}"
        )
    if isinstance(parameter.default, int) and not (float(low).is_integer() and float(high).is_integer()):
        raise UsageError(f"{reference} takes whole numbers, found {low:g} to {high:g}")
    return name, narrowed


def _range(name: str, parameter: Parameter, default: float, asked: Narrowed | None) -> SearchRange:
    integer, low, high = isinstance(parameter.default, int), parameter.low, parameter.high
    if asked is not None:
        _, low, high = asked
    elif low <= 0 < default and high > WIDE * default:
        high = SEARCHED * default
    least, most = (math.ceil(low), math.floor(high)) if integer else (float(low), float(high))
    unplaced = SearchRange(name, least, most, start=least, integer=integer)
    return replace(unplaced, start=unplaced.nearest(default))

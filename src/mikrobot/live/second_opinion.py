"""The numbers with which one close can be decided again, while a run is traded again up to it.

Every number but one is the recorded one, the account and the memory of the strategy included. Places no order.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any

from mikrobot.decision.nearest_change import Change, Kind, Knob, nearest
from mikrobot.decision.outlook import Outlook
from mikrobot.decision.signals import NoSignal, Signal
from mikrobot.decision.strategies.strategy import Memory, Strategy
from mikrobot.domain.trading import Decision
from mikrobot.live.strategies import RunningStrategy, Strategies
from mikrobot.live.trader import Trader

LIMITS = {"risk_pct": (0.01, 10.0), "reward_risk": (0.1, 20.0), "max_open_trades": (1, 50), "daily_loss_pct": (0.1, 50)}
"""The limits of a profile that are changed, with the range that is searched."""

_FARTHEST = 20.0
"""Largest multiple of an input that is tried."""


class Reached(Exception):
    """The close has been decided; the rest of the run need not be traded."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """A decision as it is decided again, and the changes that would have approved it, the relatively smallest first."""

    decision: Decision
    changes: tuple[Change, ...]


@dataclass(slots=True)
class SecondOpinion:
    """Watches the strategies of a run that is traded again, and examines them at one close.

    Attributes
    ----------
    symbol : str
    close_time : datetime
    opinions : dict of str to Opinion
        By the name of the strategy, once the close has been reached.
    """

    symbol: str
    close_time: datetime
    opinions: dict[str, Opinion] = field(default_factory=dict)
    _trader: Trader | None = None

    def begin(self, trader: Trader) -> None:
        """Take the trader, before its first minute."""
        self._trader = trader

    def watched(self, strategies: Strategies) -> Strategies:
        """Return strategies without memories that answer as the given ones do, and are examined at the close.

        They raise `Reached` after it.
        """
        return Strategies(
            [RunningStrategy(strategy.described, self._call(strategy)) for strategy in strategies.running]
        )

    def _call(self, strategy: RunningStrategy) -> Callable[[Outlook, Memory], Signal | NoSignal]:
        def call(outlook: Outlook, memory: Memory) -> Signal | NoSignal:
            if outlook.close_time > self.close_time:
                raise Reached
            if outlook.close_time == self.close_time and outlook.symbol == self.symbol:
                self.opinions[strategy.described.title] = self._examined(strategy, outlook, memory)
            return strategy.call(outlook, memory)

        return call

    def _examined(self, strategy: RunningStrategy, outlook: Outlook, memory: Memory) -> Opinion:
        assert self._trader is not None
        again = _Again(self._trader, strategy, outlook, memory)
        decision = again.decided()
        return Opinion(decision, () if decision.approved else tuple(nearest(again.knobs())))


@dataclass(frozen=True, slots=True)
class _Again:
    """One close of one strategy, to be decided any number of times."""

    trader: Trader
    strategy: RunningStrategy
    outlook: Outlook
    memory: Memory

    def decided(self, *, outlook: Outlook | None = None, **changed: Any) -> Decision:
        """Decide with another outlook, with another `profile`, or by another `call`."""
        call, shown = changed.get("call", self.strategy.call), outlook or self.outlook
        answer = call(shown, deepcopy(self.memory))
        described = self.strategy.described
        profile = described.mandate.within(changed.get("profile", self.trader.profile))
        return self.trader.decide(shown, answer, described.identity, profile)[0]

    def knobs(self) -> Iterator[Knob]:
        """Yield the numbers that can be changed."""
        yield from self._parameters()
        yield from self._limits()
        yield from self._inputs()

    def _parameters(self) -> Iterator[Knob]:
        """Yield the parameters of a strategy of ours; a user's has its own process, and is not made again."""
        instance = getattr(self.strategy.call, "__self__", None)
        if not isinstance(instance, Strategy):
            return
        present = {name: float(getattr(instance, name)) for name in instance.parameters}
        for name, parameter in instance.parameters.items():

            def approves(number: float, name: str = name) -> bool:
                return self.decided(call=type(instance)(**{**present, name: number}).signal).approved

            title = name if name == "entry_probability" else f"{instance.title()}.{name}"
            kind: Kind = "setting" if name == "entry_probability" else "parameter"
            whole = isinstance(parameter.default, int)
            yield Knob(kind, title, present[name], parameter.low, parameter.high, approves, whole)

    def _limits(self) -> Iterator[Knob]:
        for name, (low, high) in LIMITS.items():
            present = getattr(self.trader.profile, name)
            whole = isinstance(present, int)

            def approves(number: float, name: str = name) -> bool:
                limit: Any = int(number) if name == "max_open_trades" else Decimal(repr(number))
                return self.decided(profile=replace(self.trader.profile, **{name: limit})).approved

            value = float(present)
            yield Knob("setting", f"profile.{name}", value, min(low, value), max(high, value), approves, whole)

    def _inputs(self) -> Iterator[Knob]:
        for name in ("probability_up", "probability_down", "spread", "atr"):
            present = getattr(self.outlook, name)
            if not isfinite(present):
                continue

            def approves(number: float, name: str = name) -> bool:
                changed: dict[str, Any] = {name: number}
                return self.decided(outlook=replace(self.outlook, **changed)).approved

            high = 1.0 if name.startswith("probability") else present * _FARTHEST
            yield Knob("input", name, present, 0.0, high, approves)

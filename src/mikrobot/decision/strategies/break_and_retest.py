"""A break of structure, the return to the broken level, and a stop order beyond the extreme of the break.

One setup at a time waits for each symbol. Its phases are recorded as the checks of each decision.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from mikrobot.decision.checks import Check, Comparison, compared
from mikrobot.decision.outlook import Outlook, shown
from mikrobot.decision.signals import NoSignal, Signal
from mikrobot.decision.strategies.strategy import Memory, Parameter, Strategy
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.trading import Side

FORMATION_BARS = 3
"""Fewest M1 bars from the break to the bounce, both included."""

UNITS: Mapping[str, Decimal] = {
    "BTC": Decimal(10),
    "ETH": Decimal(1),
    **dict.fromkeys(("BNB", "LTC"), Decimal("0.1")),
    **dict.fromkeys(("SOL", "AVAX", "DOT", "LINK"), Decimal("0.01")),
    **dict.fromkeys(("XRP", "ADA"), Decimal("0.001")),
}
"""Price unit of the distances of a setup by base currency; the pip for every other instrument."""


def unit_of(symbol: str) -> float:
    """Return the price unit of the distances of a setup.

    Raises
    ------
    UnknownSymbol
        If the symbol is not a known instrument.

    >>> [unit_of(symbol) for symbol in ("USDJPY", "BTCUSDT", "US500")]
    [0.01, 10.0, 1.0]
    """
    traded = instrument(symbol)
    return float(UNITS.get(traded.base, traded.pip))


class Origin(NamedTuple):
    """A break of structure: its direction, +1 or -1, and the level that was broken."""

    sign: int
    level: float


@dataclass(slots=True)
class Setup:
    """The state of one setup; the fields are plain JSON values.

    Attributes
    ----------
    sign : int
        +1 after a break upwards.
    level : float
        The broken level.
    began : str
        Close time of the bar at which the break of structure was known.
    age : int
        M1 bars since then.
    bars : int
        M1 bars from the M1 break to the newest one, both included; 0 before it.
    extreme : float
        Farthest price beyond the level, from the M1 break to the retest.
    edge : float
        Edge of the setup box against the direction: the nearest price to the level, or behind it, since the M1 break.
    retested : bool
    """

    sign: int
    level: float
    began: str
    age: int = 0
    bars: int = 0
    extreme: float = 0.0
    edge: float = 0.0
    retested: bool = False

    def breaks(self, far: float, near: float) -> None:
        """Take a bar as the M1 break."""
        self.bars, self.extreme, self.edge = 1, far, near


_FIELDS = tuple(field.name for field in fields(Setup))


class BreakAndRetest(Strategy):
    """Base of the strategies that enter after a retest of a broken level."""

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "trigger_units": Parameter(0.6, 0.0, 100.0, "distance of the entry beyond the extreme of the break, in units"),
        "retest_units": Parameter(0.8, 0.0, 100.0, "largest distance of the retest from the level, in units"),
        "least_atr": Parameter(4.0, 0.0, 1e6, "smallest ATR(14) of M1, in units"),
        "most_atr": Parameter(15.0, 0.0, 1e6, "largest ATR(14) of M1, in units"),
        "setup_minutes": Parameter(240, 1, 1440, "M1 bars after the break of structure at which its setup ends"),
        "minutes": Parameter(240, 1, 1440, "minutes after which the entry is cancelled or the position closed"),
    }

    @abstractmethod
    def origin(self, outlook: Outlook) -> Origin | None:
        """Return the newest break of structure, None if the newest bar of its timeframe made none."""

    @abstractmethod
    def begin(self, origin: Origin, outlook: Outlook) -> Setup:
        """Return the setup that a break of structure begins, at the close at which it is known."""

    def target(self, entry: float, stop: float) -> float | None:
        """Return the target of a trade; None for that of the profile."""
        return None

    def signal(self, outlook: Outlook, memory: Memory) -> Signal | NoSignal:
        """Follow the setup of the symbol by one bar; propose the entry when the level has held."""
        origin = self.origin(outlook)
        if origin is not None and list(origin) != memory.get("origin"):
            memory["origin"] = list(origin)
            memory["setup"] = _plain(self.begin(origin, outlook))
            began = Setup(**memory["setup"])
            return NoSignal(f"{_broken(began)}, waits for the bars after it", "retest", _phases(began))
        if memory.get("setup") is None:
            return NoSignal("no setup waits: no level of the structure was broken since the last one ended", "bos")
        setup = Setup(**memory["setup"])
        answer, ended = self._follow(setup, outlook)
        memory["setup"] = None if ended else _plain(setup)
        return answer

    def waits(self, memory: Memory) -> bool:
        """Return whether a setup waits."""
        return memory.get("setup") is not None

    def _follow(self, setup: Setup, outlook: Outlook) -> tuple[Signal | NoSignal, bool]:
        """Advance a setup by one bar; return the answer, and whether the setup has ended with it."""
        sign, passed = setup.sign, _phases(setup)
        far, near = (outlook.high, outlook.low) if sign > 0 else (outlook.low, outlook.high)
        setup.age += 1
        if setup.age > self.setup_minutes:
            numbers = compared(setup.age, "<=", self.setup_minutes, "bars")
            return NoSignal(f"{_broken(setup)}, {setup.age} bars ago", "setup_age", passed, numbers), True
        if not setup.bars:
            if sign * (outlook.close - setup.level) <= 0:
                text = f"the close {outlook.close:g} is not beyond {setup.level:g}"
                return NoSignal(text, "m1_break", passed, _beyond(sign, outlook.close, setup.level)), False
            setup.breaks(far, near)
            return NoSignal("the M1 break is this bar, a retest follows it", "retest", _phases(setup)), False
        setup.bars += 1
        setup.edge = min(setup.edge, near, key=lambda price: sign * price)
        if (refused := self._retest(setup, outlook.symbol, far, near)) is not None:
            text, numbers, ended = refused
            return NoSignal(text, "retest", _phases(setup), numbers), ended
        passed = _phases(setup)
        if sign * (outlook.close - outlook.open) <= 0 or sign * (outlook.close - setup.level) <= 0:
            side = "above" if sign > 0 else "below"
            text = f"from {outlook.open:g} to {outlook.close:g}: not away from {setup.level:g}, {side} it"
            nearest = max(outlook.open, setup.level, key=lambda price: sign * price)
            return NoSignal(text, "bounce", passed, _beyond(sign, outlook.close, nearest)), False
        if setup.bars < FORMATION_BARS:
            numbers = compared(setup.bars, ">=", FORMATION_BARS, "bars")
            return NoSignal(f"bar {setup.bars} of at least {FORMATION_BARS}", "formation", passed, numbers), False
        passed += (Check("bounce", True, f"closed at {outlook.close:g}, bar {setup.bars} of the setup"),)
        return self._entry(setup, outlook, passed), True

    def _retest(self, setup: Setup, symbol: str, far: float, near: float) -> tuple[str, Comparison, bool] | None:
        """Return why the level is not retested, its numbers, and whether that ends the setup; None if it is."""
        unit = unit_of(symbol)
        distance = round(setup.sign * (near - setup.level) / unit, 6)
        text = f"{near:g} is {abs(distance):g} units {'beyond' if distance > 0 else 'behind'} {setup.level:g}"
        if distance < -self.retest_units:
            numbers = compared(-distance, "<=", self.retest_units, "units")
            return f"{text}, at most {self.retest_units:g}: the level has not held", numbers, True
        if not setup.retested:
            setup.extreme = max(setup.extreme, far, key=lambda price: setup.sign * price)
            if distance > self.retest_units:
                numbers = compared(distance, "<=", self.retest_units, "units")
                return f"{text}, a retest comes within {self.retest_units:g}", numbers, False
            setup.retested = True
        return None

    def _entry(self, setup: Setup, outlook: Outlook, passed: tuple[Check, ...]) -> Signal | NoSignal:
        unit = unit_of(outlook.symbol)
        volatility = outlook.atr / unit
        text = f"{shown(round(volatility, 4))} units, {self.least_atr:g} to {self.most_atr:g} are traded"
        numbers = compared(volatility, ">=", self.least_atr, "units")
        if numbers.holds:
            numbers = compared(volatility, "<=", self.most_atr, "units")
        if not numbers.holds:
            return NoSignal(text, "atr", passed, numbers)
        passed += (Check("atr", True, text, numbers),)
        entry = round(setup.extreme + setup.sign * self.trigger_units * unit, 10)
        text = f"{entry:g}, {self.trigger_units:g} units beyond the extreme {setup.extreme:g} of the break"
        numbers = _beyond(setup.sign, entry, outlook.close)
        if not numbers.holds:
            return NoSignal(f"{text}, has been passed by the close {outlook.close:g}", "entry", passed, numbers)
        passed += (Check("entry", True, text, numbers),)
        side = Side.BUY if setup.sign > 0 else Side.SELL
        target = self.target(entry, setup.edge)
        return Signal(side, setup.edge, target, int(self.minutes), passed, entry)


def _plain(setup: Setup) -> dict[str, Any]:
    """Return the fields of a setup; `asdict` would also copy each value, which takes longer."""
    return {name: getattr(setup, name) for name in _FIELDS}


def _broken(setup: Setup) -> str:
    return f"{setup.level:g} was broken {'upwards' if setup.sign > 0 else 'downwards'} by {setup.began}"


def _beyond(sign: int, price: float, level: float) -> Comparison:
    return compared(price, ">" if sign > 0 else "<", level, "price")


def _phases(setup: Setup) -> tuple[Check, ...]:
    """Return the phases that a setup has passed, as checks."""
    checks = [Check("bos", True, _broken(setup))]
    if setup.bars:
        checks.append(Check("m1_break", True, f"bar 1 of {setup.bars}, up to {setup.extreme:g}"))
    if setup.retested:
        checks.append(Check("retest", True, f"the box ends at {setup.edge:g}"))
    return tuple(checks)

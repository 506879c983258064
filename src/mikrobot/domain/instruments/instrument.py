"""An instrument: a tradable symbol, the grid of its prices and sizes, and its trading conditions."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Literal

from mikrobot.domain.instruments.sessions import SessionName

AssetClass = Literal["fx", "metal", "index", "energy", "crypto"]
Market = Literal["fx", "crypto"]
Rounding = Literal["nearest", "up", "down"]

_ROUNDINGS = {"nearest": ROUND_HALF_EVEN, "up": ROUND_CEILING, "down": ROUND_FLOOR}


@dataclass(frozen=True, slots=True)
class Swap:
    """Overnight financing in points (tenths of a pip); a positive value is received.

    Attributes
    ----------
    long, short : Decimal
        Points per night for each side.
    triple_day : int
        Weekday (Monday 0) whose rollover charges three nights, to cover the weekend.
    """

    long: Decimal
    short: Decimal
    triple_day: int = 2


@dataclass(frozen=True, slots=True)
class Instrument:
    """A tradable symbol, the grid of its prices and sizes, and its trading conditions.

    Attributes
    ----------
    symbol : str
        Name of the project, as ``EURUSD``.
    asset : "fx", "metal", "index", "energy" or "crypto"
    base, quote : str
        One unit of base costs `price` units of the currency quote. The base of an index is its own symbol.
    tick, pip : Decimal
        Smallest price step, and the unit in which traders count price moves, in quote currency.
    lot : Decimal
        Base units in one lot: the contract size.
    size_step, min_size : Decimal
        Smallest size step, and the smallest size of an order, in lots.
    min_notional : Decimal
        Smallest value of an order that opens a position, in quote currency; 0 for none.
    spread : Decimal
        Typical ask - bid in price units, for sources that do not quote one.
    session : "fx", "cme" or "always"
        Trading hours; see `sessions.SESSIONS`.
    leverage : Decimal
        Value of a position divided by its margin.
    commission : Decimal or None
        Dollars per lot and side; None: that of the account.
    maker_fee, taker_fee : Decimal
        Fees as a share of the value of a fill.
    swap : Swap or None
        None: not charged.
    lead : str or None
        Symbol whose moves this one tends to follow; None for a lead itself.
    """

    symbol: str
    asset: AssetClass
    base: str
    quote: str
    tick: Decimal
    pip: Decimal
    lot: Decimal
    size_step: Decimal
    min_size: Decimal
    min_notional: Decimal
    spread: Decimal
    session: SessionName
    leverage: Decimal
    commission: Decimal | None = None
    maker_fee: Decimal = Decimal(0)
    taker_fee: Decimal = Decimal(0)
    swap: Swap | None = None
    lead: str | None = None

    @property
    def market(self) -> Market:
        """The market that lists it, which is the name of the account that trades it: ``fx`` also lists CFDs."""
        return "crypto" if self.asset == "crypto" else "fx"

    @property
    def closes(self) -> bool:
        """Whether its market closes at the weekend."""
        return self.session != "always"

    def quantize(self, price: float | Decimal, rounding: Rounding = "nearest") -> Decimal:
        """Round a price to the tick grid.

        A float within a millionth of a tick of the grid counts as on it: ``1.1 + 0.2`` is 1.3, and
        rounding it up gives 1.3, not the next tick.

        Parameters
        ----------
        price : float or Decimal
            Positive and finite.
        rounding : "nearest" (half even), "up" or "down"

        Raises
        ------
        ValueError
            If `price` is not positive and finite, or is below one tick and rounds to 0.

        >>> from mikrobot.domain.instruments.registry import instrument
        >>> instrument("EURUSD").quantize(1.234567)
        Decimal('1.23457')
        >>> instrument("EURUSD").quantize(1.234561, "up")
        Decimal('1.23457')
        """
        ticks = _steps(price, self.tick).to_integral_value(_ROUNDINGS[rounding])
        if not ticks.is_finite() or ticks <= 0:
            raise ValueError(f"{self.symbol}: a price is finite and at least one tick of {self.tick}, not {price}")
        return (ticks * self.tick).quantize(self.tick)

    def quantize_size(self, lots: float | Decimal) -> Decimal:
        """Round a size in lots towards zero, to the size grid.

        A float within a millionth of a step of the grid counts as on it.

        Raises
        ------
        ValueError
            If `lots` is negative or not finite.

        >>> from mikrobot.domain.instruments.registry import instrument
        >>> instrument("EURUSD").quantize_size(0.0789)
        Decimal('0.07')
        """
        steps = _steps(lots, self.size_step).to_integral_value(ROUND_DOWN)
        if not steps.is_finite() or steps < 0:
            raise ValueError(f"{self.symbol}: a size is finite and not negative, not {lots}")
        return (steps * self.size_step).quantize(self.size_step)


_FLOAT_NOISE = Decimal("0.000001")


def _steps(value: float | Decimal, step: Decimal) -> Decimal:
    """Return a value in steps; removes the rounding noise of a float, a Decimal is exact."""
    if isinstance(value, Decimal):
        return value / step
    steps = Decimal(repr(float(value))) / step
    whole = steps.to_integral_value(ROUND_HALF_EVEN)
    return whole if steps.is_finite() and abs(steps - whole) <= _FLOAT_NOISE else steps

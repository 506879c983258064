"""Contract specifications: price and size grids, fees, margin, financing and trading hours.

This module alone converts prices to whole ticks and quantities to whole size steps. Does not know
accounts or orders.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import NoReturn

from mikrobot.domain.errors import OrderError
from mikrobot.domain.instruments.instrument import Instrument, Swap
from mikrobot.domain.instruments.sessions import NEW_YORK, SESSIONS, SessionName, between_holidays, on_holiday
from mikrobot.paper.money import Exact, Ratio, counted, half_even, ratio, scale, whole

ROLLOVER = time(17)
"""Local time in New York at which the FX day and week end and swap is charged."""

_MINUTE_MS, _DAY_MS = 60_000, 86_400_000
_WEEK_MS = 7 * _DAY_MS
_MONDAY_MS = 4 * _DAY_MS  # the first Monday of 1970, 5 January
_CLOSE_MS = 21 * 3_600_000  # 17:00 in New York is 21:00 or 22:00 UTC
_SURELY_OPEN_MS = 4 * _DAY_MS + _CLOSE_MS

SPOT_FEE = Decimal("0.001")
"""Regular fee of Binance spot, https://www.binance.com/en/fee/schedule."""


class Kind(Enum):
    """Kind of contract, which determines how it settles; CFDs on metals, indices and energy settle like FX."""

    FX = "fx"
    SPOT = "spot"
    PERP = "perp"


@dataclass(frozen=True, slots=True)
class Tier:
    """Maintenance margin rate for notionals up to `limit` (quote currency; None: no limit)."""

    limit: Decimal | None
    rate: Decimal


@dataclass(frozen=True, slots=True)
class Contract:
    """One tradable contract.

    Attributes
    ----------
    symbol, kind, base, quote
    tick : Decimal
        Smallest price step, in quote currency.
    step : Decimal
        Smallest quantity step, in units of base.
    pip, lot : Decimal
        Pip size in quote currency (a point is a tenth of it), and units of base per lot.
    maker_fee, taker_fee : Decimal
        Fees as a share of the notional.
    margin_rate : Decimal
        Multiplier of the margin that follows from the leverage.
    maintenance : tuple of Tier
        Maintenance margin tiers of a perpetual, by increasing notional.
    swap : Swap or None
    spread : int
        Ticks between bid and ask, for bars without a spread.
    sigma_d, adv : float
        Daily volatility, and average daily volume in units of base (0 if unknown), for market impact.
    min_notional : Decimal
        Minimum price times quantity of an order that opens a position, in quote currency.
    session : str
        Trading hours, as a name of `domain.instruments.sessions.SESSIONS`.
    commission_per_lot : Decimal or None
        Commission per lot and side in account currency; None: that of the account's profile.
    converts : bool
        True for a perpetual whose price also counts as a rate between its currencies.
    value : (int, int)
        Value of one tick on one step in quote currency, as a ratio; derived.
    """

    symbol: str
    kind: Kind
    base: str
    quote: str
    tick: Decimal
    step: Decimal
    pip: Decimal = Decimal("0.0001")
    lot: Decimal = Decimal(1)
    maker_fee: Decimal = Decimal(0)
    taker_fee: Decimal = Decimal(0)
    margin_rate: Decimal = Decimal(1)
    maintenance: tuple[Tier, ...] = (Tier(None, Decimal("0.004")),)
    swap: Swap | None = None
    spread: int = 0
    sigma_d: float = 0.006
    adv: float = 0.0
    session: SessionName = "always"
    min_notional: Decimal = Decimal(0)
    commission_per_lot: Decimal | None = None
    converts: bool = False
    value: Ratio = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", ratio(self.tick * self.step))

    def ticks(self, price: Decimal, what: str = "a price") -> int:
        """Return a positive price in ticks.

        Raises
        ------
        OrderError
            If it is not positive, not finite, or not a multiple of the tick.
        """
        return counted(price, self.tick) or self._refuse(price, self.tick, what)

    def steps(self, quantity: Decimal, what: str = "a quantity") -> int:
        """Return a positive quantity in size steps.

        Raises
        ------
        OrderError
            If it is not positive, not finite, or not a multiple of the size step.
        """
        return counted(quantity, self.step) or self._refuse(quantity, self.step, what)

    def price(self, ticks: int) -> Decimal:
        """Return ticks as a price."""
        return ticks * self.tick

    def quantity(self, steps: int) -> Decimal:
        """Return size steps as a quantity of base."""
        return steps * self.step

    def amount(self, tick_steps: Exact, currency: str, rate: Ratio = (1, 1)) -> int:
        """Convert ``ticks * steps`` to minor units of a currency, rounded once.

        Parameters
        ----------
        tick_steps : int or Fraction
        currency : str
        rate : (int, int)
            Value of one unit of the quote currency in it.
        """
        num, den = self.value
        return half_even(tick_steps * num * rate[0] * scale(currency), den * rate[1])

    def is_open(self, ts: int) -> bool:
        """Return whether the contract trades at an instant (ms since 1970, UTC)."""
        session, since = SESSIONS[self.session], (ts - _MONDAY_MS) % _WEEK_MS
        if session is None or on_holiday(self.session, ts // _MINUTE_MS):
            return session is None
        if since < _SURELY_OPEN_MS and (self.session == "fx" or since % _DAY_MS < _CLOSE_MS):
            return True
        local = datetime.fromtimestamp(ts / 1000, UTC).astimezone(NEW_YORK)
        return not session.closed(local.weekday(), local.hour * 60 + local.minute)

    def open_span(self, ts: int) -> tuple[int, int]:
        """Return a span, from its first instant to the one after its last, in which the contract always trades.

        It contains the given instant, at which the contract must trade (ms since 1970, UTC).
        """
        if self.session == "always":
            return 0, 1 << 62
        monday, midnight = ts - (ts - _MONDAY_MS) % _WEEK_MS, ts - ts % _DAY_MS
        first, end = (monday, monday + _SURELY_OPEN_MS) if self.session == "fx" else (midnight, midnight + _CLOSE_MS)
        if ts >= min(end, monday + _SURELY_OPEN_MS):
            return ts, ts + 1
        reopened, closes = between_holidays(self.session, ts // _MINUTE_MS)
        return max(first, reopened * _MINUTE_MS), min(end, closes * _MINUTE_MS)

    def commission(self, of_account: Decimal) -> Decimal:
        """Return the commission per lot and side, that of the account where the contract has none of its own."""
        return of_account if self.commission_per_lot is None else self.commission_per_lot

    def _refuse(self, value: Decimal, step: Decimal, what: str) -> NoReturn:
        """Raise the error for a value that is not a positive number of steps."""
        whole(value, step, f"{self.symbol}: {what}")
        raise OrderError(f"{self.symbol}: {what} must be positive, not {value}")


def listed(instrument: Instrument, leverage: Decimal | None = None) -> Contract:
    """Return the contract of an instrument as listed by a raw-spread FX and CFD broker or a spot exchange.

    Parameters
    ----------
    instrument : Instrument
    leverage : Decimal or None
        Leverage of the account that trades it, from which that of the instrument may differ; None: the same.
    """
    of_broker = instrument.market == "fx"
    return Contract(
        symbol=instrument.symbol,
        kind=Kind.FX if of_broker else Kind.SPOT,
        base=instrument.base,
        quote=instrument.quote,
        tick=instrument.tick,
        step=instrument.size_step * instrument.lot,
        pip=instrument.pip,
        lot=instrument.lot,
        maker_fee=instrument.maker_fee if of_broker else SPOT_FEE,
        taker_fee=instrument.taker_fee if of_broker else SPOT_FEE,
        margin_rate=Decimal(1) if leverage is None else leverage / instrument.leverage,
        swap=instrument.swap,
        spread=int(instrument.spread / instrument.tick),
        session=instrument.session,
        min_notional=instrument.min_notional,
        commission_per_lot=instrument.commission,
    )


def next_rollover(ts: int) -> tuple[int, int]:
    """Return the first rollover after an instant, and its weekday in New York (Monday 0).

    Rollovers are at 17:00 New York, Monday to Friday.

    Parameters
    ----------
    ts : int
        Milliseconds since 1970, UTC.

    >>> next_rollover(1_710_190_800_000)  # Monday 2024-03-11 21:00 UTC, the rollover of that day
    (1710277200000, 1)
    """
    local = datetime.fromtimestamp(ts / 1000, UTC).astimezone(NEW_YORK)
    day = local.date()
    while True:
        at = int(datetime.combine(day, ROLLOVER, NEW_YORK).timestamp()) * 1000
        if at > ts and day.weekday() < 5:
            return at, day.weekday()
        day += timedelta(days=1)

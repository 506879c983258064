"""Volume features: VWAP, on-balance volume, accumulation/distribution, money flow and rate of change.

A bar without trades, of volume 0, is an observation like any other. If the source has no volume (NaN),
a step does not run and its values are missing. Values since the opening of the trading day (FX 17:00
New York, else 00:00 UTC) are missing on a day in which the stream started. The volume profile is in
`profile`, relative volume in `habit`.
"""

from math import nan, sqrt

from mikrobot.features.kernel.calendar import HOUR, MINUTES_A_DAY, session_day, session_minute
from mikrobot.features.kernel.feature import ATRS, Output, Quantity, Tail, feature
from mikrobot.features.kernel.parts import (
    F8,
    I8,
    ROUNDING,
    SUM,
    Layout,
    State,
    add,
    compiled,
    read,
    record,
    ring,
    swap,
)
from mikrobot.features.kernel.scale import NO_ATR, per_unit

VOLUME = Quantity("volume")
BALANCE = Quantity("ratio", -1, 1)

UNKNOWN = "the source has no volume"
_JOINED = "the stream started in the middle of the trading day"
_NONE_TODAY = "nothing has been traded since it opened"
_NONE_HELD = "nothing was traded in these bars"

TRADING_DAY = record(hour=I8, day=I8, whole=I8)
"""The hour and the trading day of the last bar, and 1 if the stream saw the opening of that day."""

THIS_DAY = Tail(MINUTES_A_DAY, "a trading day in which the stream started is not used")


@compiled
def enter(trading: State, time: int, fx: int) -> bool:
    """Update the trading day; return True on the first bar of a day and of the stream."""
    hour = time // HOUR
    if hour == trading.hour:  # every trading day begins on the hour
        return False
    trading.hour = hour
    day = session_day(time, fx)
    if day == trading.day:
        return False
    trading.whole = 1 if trading.day > 0 or session_minute(time, fx) == 0 else 0
    trading.day = day
    return True


@feature(
    "vwap",
    {
        "": Output(
            Quantity("price", low=0),
            "Mean of (high + low + close)/3 since the trading day opened, weighted by volume",
            f"{UNKNOWN}, {_JOINED}, or {_NONE_TODAY}",
        ),
        "upper": Output(
            Quantity("price"),
            "VWAP plus `width` volume-weighted standard deviations",
            f"{UNKNOWN}, {_JOINED}, or {_NONE_TODAY}",
        ),
        "lower": Output(
            Quantity("price"),
            "VWAP minus `width` volume-weighted standard deviations",
            f"{UNKNOWN}, {_JOINED}, or {_NONE_TODAY}",
        ),
        "distance": Output(
            ATRS, "From the VWAP to the close, positive above", f"{UNKNOWN}, {_JOINED}, {_NONE_TODAY}, or {NO_ATR}"
        ),
        "score": Output(
            Quantity("standard deviations"),
            "From the VWAP to the close in volume-weighted standard deviations, positive above",
            f"{UNKNOWN}, {_JOINED}, {_NONE_TODAY}, or all volume was traded at one price",
        ),
    },
    state=lambda width: {"trading": TRADING_DAY, "volume": F8, "price": F8, "squares": F8},
    warmup=lambda width: 0,
    tail=lambda width: THIS_DAY,
    inputs={"atr": "atr_14"},
    optional=("atr",),
)
def vwap(
    state: State, time: int, fx: int, high: float, low: float, close: float, volume: float, atr: float, width: float
) -> tuple[float, float, float, float, float]:
    """Volume-weighted average price of the trading day, with bands.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.
    fx : int
        1 for the FX trading day, 0 for the UTC day.
    high, low, close : price
    volume : base units or ticks
    atr : price difference
    width : float, standard deviations

    Returns
    -------
    vwap, upper, lower : price
    distance : ATR
    score : standard deviations
        Known from the first traded bar of the day; ``score`` from the second price.

    References
    ----------
    D. H. D. West, "Updating mean and variance estimates", Communications of the ACM 22 (1979),
    532-535: the weighted mean and squares without cancellation.
    """
    if enter(state.trading, time, fx):
        state.volume, state.price, state.squares = 0.0, 0.0, 0.0
    state.volume += volume
    per_volume = 1.0 / state.volume if state.volume > 0.0 else nan
    if volume > 0.0:
        typical = (high + low + close) * (1.0 / 3.0)
        away = typical - state.price
        state.price += away * (volume / state.volume)
        state.squares += volume * away * (typical - state.price)
    if state.trading.whole == 0 or state.volume == 0.0:
        return nan, nan, nan, nan, nan
    price = state.price
    deviation = sqrt(max(state.squares * per_volume, 0.0))
    return (
        price,
        price + width * deviation,
        price - width * deviation,
        (close - price) * per_unit(atr, close),
        (close - price) / deviation if deviation > ROUNDING * price else nan,
    )


@feature(
    "obv",
    {"": Output(VOLUME, "On-balance volume since the trading day opened", f"{UNKNOWN}, or {_JOINED}")},
    state=lambda: {"trading": TRADING_DAY, "previous": F8, "total": F8},
    warmup=lambda: 0,
    tail=lambda: THIS_DAY,
    moves_with="the volume since the trading day opened",
)
def obv(state: State, time: int, fx: int, close: float, volume: float) -> float:
    """On-balance volume since the trading day opened.

    The sum starts at the opening of the day, because a level that depends on the start of the stream
    would differ between training and trading. Within a day it moves like TA-Lib's.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.
    fx : int
        1 for the FX trading day, 0 for the UTC day.
    close : price
    volume : base units or ticks

    Returns
    -------
    volume
        Volume is added if the close is above the previous one, and subtracted if it is below.

    References
    ----------
    J. Granville, New Key to Stock Market Profits (1963).
    """
    if enter(state.trading, time, fx):
        state.total = 0.0
    state.total += direction(close, state.previous) * volume
    state.previous = close
    return float(state.total) if state.trading.whole == 1 else nan


@feature(
    "accumulation",
    {"": Output(VOLUME, "Accumulation/distribution since the trading day opened", f"{UNKNOWN}, or {_JOINED}")},
    state=lambda: {"trading": TRADING_DAY, "total": F8},
    warmup=lambda: 0,
    tail=lambda: THIS_DAY,
    moves_with="the volume since the trading day opened",
)
def accumulation(state: State, time: int, fx: int, high: float, low: float, close: float, volume: float) -> float:
    """Accumulation/distribution line (Chaikin) since the trading day opened.

    The sum starts at the opening like `obv`, and moves like TA-Lib's within a day.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.
    fx : int
        1 for the FX trading day, 0 for the UTC day.
    high, low, close : price
    volume : base units or ticks

    Returns
    -------
    volume
        Each bar is weighted by the position of its close in its range, -1 at the low to 1 at the high.
    """
    if enter(state.trading, time, fx):
        state.total = 0.0
    state.total += closing_place(high, low, close) * volume
    return float(state.total) if state.trading.whole == 1 else nan


@feature(
    "obv_balance_{length}",
    {
        "": Output(
            BALANCE,
            "Volume of rising minus volume of falling closes, divided by the volume of `length` bars",
            f"{UNKNOWN}, or {_NONE_HELD}",
        )
    },
    state=lambda length: {"previous": F8, "flow": flow(length)},
    warmup=lambda length: length,
)
def obv_balance(state: State, close: float, volume: float, length: int) -> float:
    """Change of the on-balance volume over `length` bars as a share of the traded volume.

    Parameters
    ----------
    close : price
    volume : base units or ticks
    length : int, bars

    Returns
    -------
    ratio, -1 to 1
        Known from bar ``length``, because the first bar has no direction.
    """
    previous = state.previous
    state.previous = close
    return balance(state.flow, direction(close, previous) * volume, volume) if previous > 0.0 else nan


@feature(
    "money_flow_{length}",
    {
        "": Output(
            BALANCE,
            "Chaikin money flow: accumulation/distribution divided by the volume of `length` bars",
            f"{UNKNOWN}, or {_NONE_HELD}",
        )
    },
    state=lambda length: {"flow": flow(length)},
    warmup=lambda length: length - 1,
)
def money_flow(state: State, high: float, low: float, close: float, volume: float, length: int) -> float:
    """Chaikin money flow: change of accumulation/distribution as a share of the traded volume.

    Parameters
    ----------
    high, low, close : price
    volume : base units or ticks
    length : int, bars

    Returns
    -------
    ratio, -1 to 1
        Known from bar ``length - 1``.

    References
    ----------
    M. Chaikin's money flow, https://chartschool.stockcharts.com (Chaikin Money Flow).
    """
    return balance(state.flow, closing_place(high, low, close) * volume, volume)


@feature(
    "volume_roc_{length}",
    {"": Output(Quantity("percent", low=-100), "Change of the volume over `length` bars", UNKNOWN)},
    state=lambda length: {"volumes": ring(length)},
    warmup=lambda length: length,
)
def volume_roc(state: State, volume: float, length: int) -> float:
    """Rate of change of the volume over `length` bars.

    Parameters
    ----------
    volume : base units or ticks
    length : int, bars

    Returns
    -------
    percent, from -100
        Known from bar ``length``; 0, as in TA-Lib, if nothing was traded `length` bars ago.
    """
    before = swap(state.volumes, volume)
    if state.volumes.count <= length:
        return nan
    return 100.0 * (volume / before - 1.0) if before > 0.0 else 0.0


@compiled
def direction(close: float, previous: float) -> float:
    """Return the sign of the move from the previous close, 0 without a previous close."""
    if previous == 0.0 or close == previous:
        return 0.0
    return 1.0 if close > previous else -1.0


@compiled
def closing_place(high: float, low: float, close: float) -> float:
    """Return the position of the close in the bar's range, -1 at the low to 1 at the high; 0 without a range."""
    return ((close - low) - (high - close)) / (high - low) if high > low else 0.0


def flow(length: int) -> Layout:
    """Return the layout of the last `length` signed and plain volumes, their sums, and how many are not zero."""
    return record(signed=ring(length), volumes=ring(length), balance=SUM, total=SUM, traded=I8)


@compiled
def balance(flow: State, signed: float, volume: float) -> float:
    """Add a volume and return the signed share of the total, NaN while the window fills or has no volume."""
    before = swap(flow.volumes, volume)
    add(flow.total, volume)
    add(flow.total, -before)
    add(flow.balance, signed)
    add(flow.balance, -swap(flow.signed, signed))
    flow.traded += int(volume > 0.0) - int(before > 0.0)
    if flow.traded == 0:  # remove the rounding errors of the sums
        flow.total.value, flow.total.lost, flow.balance.value, flow.balance.lost = 0.0, 0.0, 0.0, 0.0
        return nan
    filled = flow.volumes.count >= len(flow.volumes.values)
    return min(max(read(flow.balance) / read(flow.total), -1.0), 1.0) if filled else nan

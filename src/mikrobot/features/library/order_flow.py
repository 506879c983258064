"""Order flow: number and size of trades, and the share of volume that takers bought.

A taker trades against a resting order; taker buying means that buyers are aggressive. The values
exist only if the source provides the number of trades and the taker buy volume; otherwise they are
missing. Uses no order book.
"""

from math import nan

from mikrobot.features.kernel.feature import Output, Quantity, fading, feature
from mikrobot.features.kernel.parts import AVERAGE, State, exponential, roll, rolling
from mikrobot.features.library.habit import DAYS, HABIT, HABITUAL, QUARTERS, relative
from mikrobot.features.library.volume import BALANCE, balance, flow

SHARE = Quantity("ratio", 0, 1)

_NO_TRADES = "the source has no number of trades"
_NO_TAKER = "the source has no taker volume"
_NONE_NOW = "nothing was traded on this bar"
_NONE_HELD = "nothing was traded in these bars"


@feature(
    "relative_trades",
    {
        "": Output(
            Quantity("ratio", low=0),
            "Number of trades relative to the usual number at this time of day (New York), scaled to the last day",
            f"{_NO_TRADES}, there are fewer than five earlier days with this time of day, or nothing was traded then",
        )
    },
    state=lambda: {"habit": HABIT},
    warmup=lambda: QUARTERS * (DAYS + 1),
    tail=lambda: HABITUAL,
)
def relative_trades(state: State, time: int, trades: float) -> float:
    """Number of trades relative to the usual number at this time of day, like `habit.relative_volume`.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.
    trades : number of trades

    Returns
    -------
    ratio, from 0
    """
    return relative(state.habit, time, trades)


@feature(
    "trade_size_{length}",
    {
        "": Output(
            Quantity("ratio", low=0),
            "Mean trade size on this bar relative to that of `length` bars",
            f"{_NO_TRADES}, or there was none on this bar",
        )
    },
    state=lambda length: {"volumes": rolling(length), "trades": rolling(length)},
    warmup=lambda length: length - 1,
)
def trade_size(state: State, volume: float, trades: float, length: int) -> float:
    """Mean trade size on the bar relative to that of the last `length` bars, including it.

    Parameters
    ----------
    volume : base units or ticks
    trades : number of trades
    length : int, bars

    Returns
    -------
    ratio, from 0
        Known from bar ``length - 1``.
    """
    volumes, counts = roll(state.volumes, volume), roll(state.trades, trades)
    if trades == 0.0 or not volumes > 0.0:
        return nan
    return (volume * counts) / (trades * volumes)


@feature(
    "taker_share",
    {"": Output(SHARE, "Share of the volume that takers bought", f"{_NO_TAKER}, or {_NONE_NOW}")},
    warmup=lambda: 0,
)
def taker_share(volume: float, taker_volume: float) -> float:
    """Share of the volume that takers bought; 0.5 if takers buy and sell equally.

    Parameters
    ----------
    volume, taker_volume : base units

    Returns
    -------
    ratio, 0 to 1
    """
    return min(taker_volume / volume, 1.0) if volume > 0.0 else nan


@feature(
    "taker_share_ema_{length}",
    {
        "": Output(
            SHARE, "Exponential average of the takers' share over `length` traded bars", f"{_NO_TAKER}, or {_NONE_NOW}"
        )
    },
    state=lambda length: {"average": AVERAGE},
    warmup=lambda length: length - 1,
    tail=lambda length: fading(2 / (length + 1)),
    inputs={"share": "taker_share"},
)
def taker_share_ema(state: State, share: float, length: int) -> float:
    """Exponential average of the takers' share over `length` traded bars.

    Parameters
    ----------
    share : ratio
    length : int, bars

    Returns
    -------
    ratio, 0 to 1
        Known from traded bar ``length - 1``; missing on a bar without trades.
    """
    return exponential(state.average, share, length)


@feature(
    "taker_balance_{length}",
    {
        "": Output(
            BALANCE,
            "Volume bought minus volume sold by takers, divided by the volume of `length` bars",
            f"{_NO_TAKER}, or {_NONE_HELD}",
        )
    },
    state=lambda length: {"flow": flow(length)},
    warmup=lambda length: length - 1,
)
def taker_balance(state: State, volume: float, taker_volume: float, length: int) -> float:
    """Taker imbalance: volume bought minus volume sold by takers, as a share of the volume.

    Parameters
    ----------
    volume, taker_volume : base units
    length : int, bars

    Returns
    -------
    ratio, -1 to 1
        Known from bar ``length - 1``.
    """
    return balance(state.flow, 2.0 * taker_volume - volume, volume)

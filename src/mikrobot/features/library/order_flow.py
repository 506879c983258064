"""Order flow: how many trades made the volume, how large they were, and who took the initiative.

A taker is who accepts a standing offer; where takers buy, buyers are in a hurry. Known only
where the source counts trades and the volume that takers bought; elsewhere the values are
missing. Nothing here sees an order book.
"""

from math import nan

from mikrobot.features.kernel.feature import Output, Quantity, fading, feature
from mikrobot.features.kernel.parts import AVERAGE, State, exponential, roll, rolling
from mikrobot.features.library.habit import DAYS, HABIT, HABITUAL, QUARTERS, relative
from mikrobot.features.library.volume import BALANCE, balance, flow

SHARE = Quantity("ratio", 0, 1)

_NO_TRADES = "the source counts no trades"
_NO_TAKER = "the source knows no volume of the takers"
_NONE_NOW = "nothing was traded on this bar"
_NONE_HELD = "nothing was traded in these bars"


@feature(
    "relative_trades",
    {
        "": Output(
            Quantity("ratio", low=0),
            "Number of trades over what is usual at this time of day (New York) at the level of the last day",
            f"{_NO_TRADES}, fewer than five days have been seen at this time of day, or nothing was traded then",
        )
    },
    state=lambda: {"habit": HABIT},
    warmup=lambda: QUARTERS * (DAYS + 1),
    tail=lambda: HABITUAL,
)
def relative_trades(state: State, time: int, trades: float) -> float:
    """Number of trades relative to its habit at this time of day, as `habit.relative_volume`.

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
            "Mean size of a trade on this bar over that of `length` bars",
            f"{_NO_TRADES}, or none was made on this bar",
        )
    },
    state=lambda length: {"volumes": rolling(length), "trades": rolling(length)},
    warmup=lambda length: length - 1,
)
def trade_size(state: State, volume: float, trades: float, length: int) -> float:
    """Mean size of a trade on the bar, relative to that of the last `length` bars with it.

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
    """Share of the volume that takers bought, 0.5 where neither side is in a hurry.

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
            "Volume bought less volume sold by takers over all volume, `length` bars",
            f"{_NO_TAKER}, or {_NONE_HELD}",
        )
    },
    state=lambda length: {"flow": flow(length)},
    warmup=lambda length: length - 1,
)
def taker_balance(state: State, volume: float, taker_volume: float, length: int) -> float:
    """Imbalance of signed volume: what takers bought less what they sold, as a share of all.

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

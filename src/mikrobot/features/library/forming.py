"""The longer bar that is forming, at the close of each minute in it.

Its last minute completes it, so a minute before that close nothing here is final. Everything is
known at the M1 close, from minutes that have closed.
"""

from mikrobot.features.kernel.bars import MINUTE
from mikrobot.features.kernel.feature import ATRS, Output, Quantity, feature
from mikrobot.features.kernel.scale import NO_ATR, per_unit

_REACH = Quantity("ATR", low=0)
_SHARE = Quantity("ratio", 0, 1)
_LEFT = Quantity("minutes", 0, 59)
_JOINED = "the stream joined in the middle of this bar"
_NO_UNIT = f"{_JOINED}, or {NO_ATR}"
_NO_LEVEL = f"no unbroken level stands on this side, {_NO_UNIT}"


@feature(
    "forming",
    {
        "return": Output(ATRS, "From the open of the forming bar to its newest close", _NO_UNIT),
        "high": Output(_REACH, "From the newest close up to the high so far of the forming bar", _NO_UNIT),
        "low": Output(_REACH, "From the newest close down to the low so far of the forming bar", _NO_UNIT),
        "range": Output(_REACH, "High less low so far of the forming bar", _NO_UNIT),
        "position": Output(_SHARE, "Newest close from the low so far (0) to the high (1); 0.5 in a flat bar", _JOINED),
        "minutes_left": Output(_LEFT, "Minutes until the forming bar closes; 0 when this minute closes it", _JOINED),
    },
    warmup=lambda minutes: 0,
    inputs={"atr": "atr_14"},
    optional=("atr",),
    forming=True,
)
def forming(
    open: float, high: float, low: float, close: float, elapsed: int, atr: float, minutes: int
) -> tuple[float, float, float, float, float, float]:
    """Where the newest close lies in the bar that is forming.

    Parameters
    ----------
    open, high, low, close : price
        So far.
    elapsed : int, seconds
        From the open of the bar.
    atr : price difference
        Of the last closed bar of the timeframe.
    minutes : int
        Length of a whole bar.

    Returns
    -------
    return, high, low, range : ATR
    position : ratio, 0 to 1
    minutes_left : minutes
    """
    per = per_unit(atr, close)
    reach = high - low
    position = (close - low) / reach if reach > 0.0 else 0.5
    left = float(minutes - elapsed // MINUTE)
    return (close - open) * per, (high - close) * per, (close - low) * per, reach * per, position, left


@feature(
    "forming_{side}",
    {
        "above": Output(ATRS, "Newest close to the standing swing `side` high above, in its own ATR", _NO_LEVEL),
        "below": Output(ATRS, "Newest close to the standing swing `side` low below, in its own ATR", _NO_LEVEL),
        "above_m1": Output(ATRS, "Newest close to the standing swing `side` high above, in the ATR of M1", _NO_LEVEL),
        "below_m1": Output(ATRS, "Newest close to the standing swing `side` low below, in the ATR of M1", _NO_LEVEL),
    },
    warmup=lambda side: 0,
    inputs={"above": "break_{side}_above", "below": "break_{side}_below", "atr": "atr_14", "atr_m1": "m1_atr_14"},
    optional=("above", "below", "atr", "atr_m1"),
    forming=True,
)
def forming_levels(
    close: float, above: float, below: float, atr: float, atr_m1: float, side: int
) -> tuple[float, float, float, float]:
    """Distance of the newest close to the levels that stand on the forming bar's timeframe.

    Parameters
    ----------
    close : price
    above, below : price
        Standing since the last closed bar: a level is broken by the close of a whole bar only.
    atr, atr_m1 : price difference
        Of the timeframe, and of one minute.
    side : int, bars

    Returns
    -------
    above, below, above_m1, below_m1 : ATR
        Below zero where the close lies beyond a level that still stands.
    """
    per, per_m1 = per_unit(atr, close), per_unit(atr_m1, close)
    up, down = above - close, close - below
    return up * per, down * per, up * per_m1, down * per_m1

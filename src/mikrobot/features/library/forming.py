"""Features of the forming higher-timeframe bar, at the close of each of its minutes.

Values are final only at the bar's last minute. Every value is known at the M1 close and uses closed
minutes only.
"""

from mikrobot.features.kernel.bars import MINUTE
from mikrobot.features.kernel.feature import ATRS, Output, Quantity, feature
from mikrobot.features.kernel.scale import NO_ATR, per_unit

_REACH = Quantity("ATR", low=0)
_SHARE = Quantity("ratio", 0, 1)
_LEFT = Quantity("minutes", 0, 59)
_JOINED = "the stream started in the middle of this bar"
_NO_UNIT = f"{_JOINED}, or {NO_ATR}"
_NO_LEVEL = f"there is no unbroken level on this side, {_NO_UNIT}"


@feature(
    "forming",
    {
        "return": Output(ATRS, "From the open of the forming bar to its newest close", _NO_UNIT),
        "high": Output(_REACH, "From the newest close up to the high of the forming bar so far", _NO_UNIT),
        "low": Output(_REACH, "From the newest close down to the low of the forming bar so far", _NO_UNIT),
        "range": Output(_REACH, "High minus low of the forming bar so far", _NO_UNIT),
        "position": Output(
            _SHARE, "Position of the newest close from the low so far (0) to the high (1); 0.5 in a flat bar", _JOINED
        ),
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
    """Position of the newest close in the forming bar.

    Parameters
    ----------
    open, high, low, close : price
        Of the forming bar so far.
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
        "above": Output(
            ATRS, "From the newest close up to the unbroken swing `side` high, in ATR of its timeframe", _NO_LEVEL
        ),
        "below": Output(
            ATRS, "From the newest close down to the unbroken swing `side` low, in ATR of its timeframe", _NO_LEVEL
        ),
        "above_m1": Output(ATRS, "From the newest close up to the unbroken swing `side` high, in ATR of M1", _NO_LEVEL),
        "below_m1": Output(
            ATRS, "From the newest close down to the unbroken swing `side` low, in ATR of M1", _NO_LEVEL
        ),
    },
    warmup=lambda side: 0,
    inputs={"above": "break_{side}_above", "below": "break_{side}_below", "atr": "atr_14", "atr_m1": "m1_atr_14"},
    optional=("above", "below", "atr", "atr_m1"),
    forming=True,
)
def forming_levels(
    close: float, above: float, below: float, atr: float, atr_m1: float, side: int
) -> tuple[float, float, float, float]:
    """Distance from the newest close to the unbroken levels of the forming bar's timeframe.

    Parameters
    ----------
    close : price
    above, below : price
        Unbroken at the last closed bar; only the close of a complete bar breaks a level.
    atr, atr_m1 : price difference
        ATR of the timeframe, and of M1.
    side : int, bars

    Returns
    -------
    above, below, above_m1, below_m1 : ATR
        Negative if the close is beyond a level that is still unbroken.
    """
    per, per_m1 = per_unit(atr, close), per_unit(atr_m1, close)
    up, down = above - close, close - below
    return up * per, down * per, up * per_m1, down * per_m1

"""Time of day as a feature. Time only, no prices."""

from math import cos, pi, sin

from mikrobot.features.bars import MINUTE
from mikrobot.features.feature import Output, Quantity, feature

CIRCLE = Quantity("ratio", -1, 1)
MINUTES_A_DAY = 1440


@feature(
    "minute",
    {
        "sin": Output(CIRCLE, "Sine of the time of day (UTC) at the close, midnight at angle 0"),
        "cos": Output(CIRCLE, "Cosine of the time of day (UTC) at the close, midnight at angle 0"),
    },
    warmup=lambda: 0,
)
def minute(time: int) -> tuple[float, float]:
    """Time of day at the close of an M1 bar, as a point on the circle.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.

    Returns
    -------
    sin, cos : ratio
    """
    angle = 2.0 * pi * ((time // MINUTE + 1) % MINUTES_A_DAY) / MINUTES_A_DAY
    return sin(angle), cos(angle)

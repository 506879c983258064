"""Higher-timeframe bars, folded from M1 bars inside the kernel.

Features see closed ones, but for those declared to be of the forming bar.

A bar is closed by its last minute, or by the first later minute when a gap hid the last one:
the feature row of the minute that closes it is the first to know it. A bar whose first minute
the stream did not see, because it joined midway, is never shown.
"""

from mikrobot.features.kernel.bars import BAR, MINUTE
from mikrobot.features.kernel.parts import I8, State, compiled, record

FORMING = record(bar=BAR, elapsed=I8, open=I8, whole=I8, joined=I8)
"""A forming bar, seconds from its open to the close of its newest minute, is one open, was its start
seen, has any minute been seen at all. Closed, it is left as it was until the next one opens."""


@compiled
def overdue(forming: State, time: int, seconds: int) -> bool:
    """Close the forming bar if `time` lies past it; True when that completes a whole one."""
    late = forming.open == 1 and time // seconds != forming.bar.time // seconds
    if late:
        forming.open = 0
    return bool(late and forming.whole == 1)


@compiled
def merge(forming: State, bar: State, seconds: int) -> bool:
    """Fold an M1 bar into the forming bar; True when this minute completes a whole one."""
    if forming.open == 0:
        forming.whole = 1 if forming.joined == 1 or bar.time % seconds == 0 else 0
        forming.bar = bar
        forming.bar.time = bar.time - bar.time % seconds
    else:
        forming.bar.high = max(forming.bar.high, bar.high)
        forming.bar.low = min(forming.bar.low, bar.low)
        forming.bar.close = bar.close
        forming.bar.volume += bar.volume
        forming.bar.spread = bar.spread
        forming.bar.trades += bar.trades
        forming.bar.taker_volume += bar.taker_volume
    forming.elapsed = bar.time + MINUTE - forming.bar.time
    forming.joined = 1
    complete = (bar.time + MINUTE) % seconds == 0
    forming.open = 0 if complete else 1
    return bool(complete and forming.whole == 1)

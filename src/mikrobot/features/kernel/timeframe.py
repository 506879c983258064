"""Higher-timeframe bars, aggregated from M1 bars inside the kernel.

Features see closed bars only, except features declared as forming.

A bar closes with its last minute, or with the first later minute if the last one is missing. The
feature row of the closing minute is the first to use it. A bar whose first minute the stream did
not see, because it started midway, is never used.
"""

from mikrobot.features.kernel.bars import BAR, MINUTE
from mikrobot.features.kernel.parts import I8, State, compiled, record

FORMING = record(bar=BAR, elapsed=I8, open=I8, whole=I8, joined=I8)
"""A forming bar: the bar, the seconds from its open to the close of its newest minute, and three flags: the
bar is open, its start was seen, any minute was seen. A closed bar is kept until the next one opens."""


@compiled
def overdue(forming: State, time: int, seconds: int) -> bool:
    """Close the forming bar if `time` is past its end; return True if that completes a whole bar."""
    late = forming.open == 1 and time // seconds != forming.bar.time // seconds
    if late:
        forming.open = 0
    return bool(late and forming.whole == 1)


@compiled
def merge(forming: State, bar: State, seconds: int) -> bool:
    """Add an M1 bar to the forming bar; return True if this minute completes a whole bar."""
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

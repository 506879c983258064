"""The compiled step of the quality score: what one more bar shows about the bars of a symbol.

Streaming and batch run this step, so both give the same numbers. Uses the bars up to this one only. Knows neither
calendars nor instruments: the caller counts the minutes that are missing.

The parts, in the order of `PARTS`, are 1 for good and 0 for bad, and NaN where they do not apply. The state is one
record of constant size, all zero before the first bar.
"""

from math import log, nan

import numpy as np
from numba import njit

from mikrobot.features.kernel.parts import F8, I8, Layout, State, record

PARTS = ("completeness_m1", "completeness_m5", "completeness_h1", "gap", "spike", "stuck", "volume", "quotes")

M1_KEPT, M5_KEPT, H1_KEPT = 60, 24, 24
"""Open minutes, M5 bars and H1 bars over which completeness is measured: an hour, two hours, a day."""

FAST, SLOW = 1 / 60, 1 / 1440
"""Weights of a bar in the averages of ranges and volumes: of an hour, and of a day."""

CALM = 6.0
"""Usual ranges to which a range is cut in the averages, so that a wrong price does not hide the next one."""

SPIKE, JUMP = 8.0, 5.0
"""Usual ranges from which a move or a wick without trades is a spike, and from which a move is one if the next open is
back. Real minutes reach 60 usual ranges, with trades (docs/data-quality.md)."""

ALONE = 4.0
"""Usual ranges up to which the bar before is ordinary: in a wild market nothing is examined."""

QUIET_VOLUME, BUSY_VOLUME = 1.5, 4.0
"""Usual volumes below which a large move has no trades behind it, and above which a wick has."""

BACK, AFTERMATH = 0.6, 3.0
"""Share of a move by which the next open jumps back, and usual ranges of the next bar, after a wrong price."""

RARE = 1e-6
"""Probability below which a run of bars without a move is no chance."""

_RARE_ZERO = 1e-4
_REPEATS = 5
_ACTIVE = 100
_PRIOR = 60.0
_MEMORY = 1 / 600
_ZERO_PRIOR, _ZERO_MEMORY = 1000.0, 1 / 20_000
_CROSSED_PRIOR, _CROSSED_MEMORY, _CHRONIC = 200.0, 1 / 5000, 0.005
_TOLERATED = 0.97
_HOURS: Layout = np.dtype((np.float64, (24,)))

STATE: Layout = record(
    bars=I8, last=I8,
    minutes=I8, minutes_kept=I8,
    slot5=I8, in5=I8, mask5=I8, kept5=I8,
    slot60=I8, in60=I8, mask60=I8, kept60=I8,
    open=F8, high=F8, low=F8, close=F8, volume=F8,
    range_fast=F8, range_slow=F8, usual_volume=F8, traded=I8,
    last_range=F8, jump=F8, jumped_from=F8, wick=F8, calm_range=F8,
    still=I8, repeated=I8, stills=_HOURS, stills_again=_HOURS,
    zeros=F8, zero_bars=F8, zero_run=I8,
    crossed=F8, quoted=F8,
)  # fmt: skip
"""Everything that is remembered of a symbol."""

TRAITS: Layout = record(
    tick=F8, least=F8, absurd=F8, still_again=F8, repeats=I8, m5_needed=I8, h1_needed=I8,
    usual=np.dtype((np.float64, (2,))), allowed=np.dtype((np.int64, (2,))),
)  # fmt: skip
"""Constants of a symbol: the price step; the log return that is never a spike, and the one that no minute has; the
share of bars without a move that follow another one, before any is measured; the equal bars in a row, with their
volumes, that are no chance; the minutes with which an M5 and an H1 bar are complete; and, in ordinary and in thin
hours, the share of minutes that usually have a bar, and the missing minutes in a row that are normal."""


@njit(cache=True, error_model="numpy")
def fold(states: State, traits: State, minutes: State, holes: State, values: State, parts: State) -> None:
    """Take in bars one after the other, and write the parts at their closes.

    Parameters
    ----------
    states : ndarray of STATE, shape (1,)
        Changed in place.
    traits : ndarray of TRAITS, shape (1,)
    minutes : ndarray of int64, shape (n,)
        Opens of the bars, minutes since 1970 UTC, increasing.
    holes : ndarray of int64, shape (n, 4)
        Since the bar before: missing minutes of the open market, M5 bars and H1 bars that are missing as a whole; then
        1 in thin hours, else 0.
    values : ndarray of float64, shape (n, 6)
        open, high, low, close, volume, spread; the last two NaN where unknown.
    parts : ndarray of float64, shape (n, len(PARTS))
    """
    for row in range(len(minutes)):
        gone = holes[row]
        bar = values[row]
        _step(
            states[0], traits[0], minutes[row], gone[0], gone[1], gone[2], gone[3],
            bar[0], bar[1], bar[2], bar[3], bar[4], bar[5], parts[row],
        )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _step(
    s: State, traits: State, minute: int, missing: int, missing5: int, missing60: int, thin: int,
    open: float, high: float, low: float, close: float, volume: float, spread: float, out: State,
) -> None:  # fmt: skip
    """Take in one bar, and write the parts at its close into `out`; the arguments are those of `fold`."""
    first = s.bars == 0
    _complete(s, traits, minute, missing, missing5, missing60)
    out[0] = min(_share(s.minutes, s.minutes_kept, M1_KEPT) / traits.usual[thin], 1.0)
    out[1] = _share(s.mask5, s.kept5, M5_KEPT)
    out[2] = _share(s.mask60, s.kept60, H1_KEPT)
    out[3] = nan if first else (1.0 if missing <= traits.allowed[thin] else 0.0)
    scale = max(s.range_fast, 0.3 * s.range_slow, traits.tick / close)
    out[4] = _spike(s, traits, scale, minute, open, high, low, close, volume)
    out[5] = _stuck(s, traits, minute, open, high, low, close, volume)
    out[6] = _activity(s, high, low, volume)
    out[7] = _quotes(s, spread, scale * close)
    _average(s, traits, high, low, close, volume)
    s.open = open
    s.high = high
    s.low = low
    s.close = close
    s.volume = volume
    s.last = minute
    s.bars += 1


@njit(cache=True, error_model="numpy")
def _complete(s: State, traits: State, minute: int, missing: int, missing5: int, missing60: int) -> None:
    """Enter the minute, and the M5 and H1 bars that have ended, into the rings of bits."""
    s.minutes, s.minutes_kept = _pushed(s.minutes, s.minutes_kept, missing, 1, M1_KEPT)
    slot = minute // 5
    if slot == s.slot5 and s.bars > 0:
        s.in5 += 1
    else:
        if s.bars > 0:
            if s.kept5 > 0 or s.in5 >= traits.m5_needed:  # the first one may have begun before the first bar
                s.mask5, s.kept5 = _pushed(s.mask5, s.kept5, 0, 1 if s.in5 >= traits.m5_needed else 0, M5_KEPT)
            s.mask5, s.kept5 = _skipped(s.mask5, s.kept5, missing5, M5_KEPT)
        s.slot5 = slot
        s.in5 = 1
    slot = minute // 60
    if slot == s.slot60 and s.bars > 0:
        s.in60 += 1
    else:
        if s.bars > 0:
            if s.kept60 > 0 or s.in60 >= traits.h1_needed:
                s.mask60, s.kept60 = _pushed(s.mask60, s.kept60, 0, 1 if s.in60 >= traits.h1_needed else 0, H1_KEPT)
            s.mask60, s.kept60 = _skipped(s.mask60, s.kept60, missing60, H1_KEPT)
        s.slot60 = slot
        s.in60 = 1


@njit(cache=True, error_model="numpy")
def _pushed(mask: int, kept: int, zeros: int, bit: int, length: int) -> tuple[int, int]:
    """Append zeros and then one bit to a ring of bits; return it and the number of bits in it."""
    mask, kept = _skipped(mask, kept, zeros, length)
    return ((mask << 1) | bit) & ((1 << length) - 1), min(kept + 1, length)


@njit(cache=True, error_model="numpy")
def _skipped(mask: int, kept: int, zeros: int, length: int) -> tuple[int, int]:
    shift = min(zeros, length)
    return (mask << shift) & ((1 << length) - 1), min(kept + shift, length)


@njit(cache=True, error_model="numpy")
def _share(mask: int, kept: int, length: int) -> float:
    """Return the share of ones in a full ring; NaN before it is full."""
    if kept < length:
        return nan
    ones = 0
    while mask > 0:
        mask &= mask - 1
        ones += 1
    return ones / length


@njit(cache=True, error_model="numpy")
def _spike(
    s: State,
    traits: State,
    scale: float,
    minute: int,
    open: float,
    high: float,
    low: float,
    close: float,
    volume: float,
) -> float:
    """Return 0 if this bar has a price that no market had, or shows that the bar before had one.

    A real move is traded: it has volume, or the next bar begins where it ended, or later bars are as wild. A wrong
    price returns at once and alone.
    """
    if s.bars < M1_KEPT:
        return nan
    if minute - s.last > 1:  # a market that was closed may open anywhere
        s.jump = 0.0
        s.wick = 0.0
        return 1.0
    wrong = _was_wrong(s, open, high, low, close)
    move = log(close / s.close)
    wick = max(log(high / max(open, close)), log(min(open, close) / low))
    alone = s.last_range < ALONE * scale
    quiet = volume < QUIET_VOLUME * s.usual_volume and s.traded >= _ACTIVE
    bound = max(SPIKE * scale, traits.least)
    s.jump = move if alone and abs(move) > max(JUMP * scale, traits.least) else 0.0
    s.jumped_from = s.close
    s.wick = wick if alone and wick > bound and abs(log(close / open)) < 0.2 * wick else 0.0
    s.calm_range = scale
    if max(abs(move), wick) > traits.absurd or (alone and quiet and (abs(move) > bound or s.wick > 0.0)):
        wrong = True
        s.wick = 0.0
    if volume > BUSY_VOLUME * s.usual_volume and s.traded >= _ACTIVE:
        s.wick = 0.0
    return 0.0 if wrong else 1.0


@njit(cache=True, error_model="numpy")
def _was_wrong(s: State, open: float, high: float, low: float, close: float) -> bool:
    """Return whether the bar before had a wrong price: this one is back at once, and as calm as before it."""
    size = abs(s.jump)
    if size > 0.0:
        back = log(s.close / open) if s.jump > 0 else log(open / s.close)
        returned = back > BACK * size and abs(log(close / s.jumped_from)) < (1 - BACK) * size
        if returned and log(high / low) < max((1 - BACK) * size, AFTERMATH * s.calm_range):
            return True
    calm = log(high / low) < AFTERMATH * s.calm_range and abs(log(open / s.close)) < s.calm_range
    return bool(s.wick > 0.0 and calm)


@njit(cache=True, error_model="numpy")
def _stuck(
    s: State, traits: State, minute: int, open: float, high: float, low: float, close: float, volume: float
) -> float:
    """Return 0 while the price, or the whole bar, repeats itself for longer than chance explains at this hour."""
    if s.bars == 0:
        return nan
    hour = minute // 60 % 24
    still = high == low and close == s.close
    equal = open == s.open and high == s.high and low == s.low and close == s.close
    again = (s.stills_again[hour] + _PRIOR * traits.still_again) / (s.stills[hour] + _PRIOR)
    run = s.still
    s.still = run + 1 if still else 0
    s.repeated = s.repeated + 1 if equal and not still and (volume == s.volume or volume != volume) else 0
    repeats = _REPEATS if volume != volume else traits.repeats
    stuck = s.still * log(again) < log(RARE)
    if run > 0 and not stuck:  # a run that is no chance is not learned
        s.stills[hour] = s.stills[hour] * (1 - _MEMORY) + 1
        s.stills_again[hour] = s.stills_again[hour] * (1 - _MEMORY) + (1 if still else 0)
    return 0.0 if stuck or s.repeated >= repeats else 1.0


@njit(cache=True, error_model="numpy")
def _activity(s: State, high: float, low: float, volume: float) -> float:
    """Return 0 in minutes without volume where the symbol always has some."""
    if volume != volume or s.traded < _ACTIVE:
        return nan
    share = (s.zeros + 1) / (s.zero_bars + _ZERO_PRIOR)
    s.zero_run = s.zero_run + 1 if volume == 0.0 else 0
    moved = volume == 0.0 and high > low and share < 0.1
    wrong = s.zero_run * log(share) <= log(_RARE_ZERO) and s.zero_run > 0
    s.zero_bars = s.zero_bars * (1 - _ZERO_MEMORY) + 1
    s.zeros = s.zeros * (1 - _ZERO_MEMORY) + (1 if s.zero_run == 1 else 0)  # an outage counts once
    return 0.0 if wrong or moved else 1.0


@njit(cache=True, error_model="numpy")
def _quotes(s: State, spread: float, usual_range: float) -> float:
    """Return 0 if the ask is below the bid.

    In files whose bid and ask were sampled apart, the quotes cross by little and often; that is tolerated.
    """
    if spread != spread:
        return nan
    chronic = (s.crossed + 1) / (s.quoted + _CROSSED_PRIOR) > _CHRONIC and s.crossed >= 3
    s.quoted = s.quoted * (1 - _CROSSED_MEMORY) + 1
    s.crossed = s.crossed * (1 - _CROSSED_MEMORY) + (1 if spread < 0 else 0)
    if spread >= 0:
        return 1.0
    return _TOLERATED if chronic and -spread < usual_range else 0.0


@njit(cache=True, error_model="numpy")
def _average(s: State, traits: State, high: float, low: float, close: float, volume: float) -> None:
    """Follow the usual range, as a log return, and the usual volume."""
    size = log(high / low) if s.bars == 0 else log(max(high, s.close) / min(low, s.close))
    s.last_range = size
    least = traits.tick / close
    if s.bars == 0:
        s.range_fast = s.range_slow = max(size, least)
    fast = min(max(size, least), CALM * s.range_fast)
    s.range_fast += max(FAST, 1 / (s.bars + 1)) * (fast - s.range_fast)
    s.range_slow += max(SLOW, 1 / (s.bars + 1)) * (fast - s.range_slow)
    if volume > 0:
        usual = volume if s.traded == 0 else min(volume, CALM * s.usual_volume)
        s.usual_volume += max(FAST, 1 / (s.traded + 1)) * (usual - s.usual_volume)
        s.traded += 1

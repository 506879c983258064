"""From the rows of a file to a bar frame: times in UTC, units of the platform, the checks of the border."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd

from mikrobot.domain.errors import BarError
from mikrobot.domain.instruments.instrument import Instrument
from mikrobot.domain.instruments.sessions import SESSIONS
from mikrobot.market.border import (
    MINUTE_US,
    Floats,
    Times,
    bar_frame,
    check_hours,
    check_plausible,
    check_prices,
    check_timeframe,
    check_times,
    check_trades,
    check_volume,
    commonest_step,
    spread_of,
    taker_volume_of,
)
from mikrobot.market.clocks import HISTDATA, NO_TIME, TWICE, Decided, decide
from mikrobot.market.formats.raw import RawBars
from mikrobot.market.sessions import is_open
from mikrobot.market.spreads import check_sides, check_spread, usual_spread_of


@dataclass(frozen=True, slots=True)
class Imported:
    """The bars of a file, and what its user should know of them.

    Attributes
    ----------
    frame : DataFrame
        Bar frame.
    notes : tuple of str
        What was assumed or left out, a line each.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...]


def clock_for(files: Sequence[RawBars], instrument: Instrument) -> Decided | None:
    """Return the clock that files of a symbol show together, none of which has a fixed or named one; None of no file.

    Raises
    ------
    BarError
        If nothing shows which it is.
    """
    if not files:
        return None
    for file in files:
        if not file.ticks:
            check_timeframe(_sorted(file.stamps), file.origin)
    local = next((file for file in files if not file.server), None)
    if local is not None:
        raise BarError(
            f"{local.origin(0)}: its times have no offset from UTC; write them as 2024-03-04T00:00:00+00:00, "
            "or name their clock with --clock, as --clock UTC"
        )
    names = ", ".join(dict.fromkeys(file.origin.name for file in files))
    return decide(names, [file.stamps for file in files], SESSIONS[instrument.session])


def _sorted(stamps: Times) -> Times:
    return np.sort(stamps) if (np.diff(stamps) < 0).any() else stamps


def to_frame(raw: RawBars, instrument: Instrument, decided: Decided | None, latest: datetime) -> Imported:
    """Convert the rows of a file to a bar frame.

    Parameters
    ----------
    raw : RawBars
    instrument : Instrument
    decided : Decided or None
        The clock of a file whose vendor fixes none.
    latest : datetime
        Time after which no bar can open, UTC.

    Raises
    ------
    BarError
        With the first row that cannot be a bar.
    """
    if raw.clock is HISTDATA and not instrument.closes:
        raise BarError(
            f"{raw.origin.name}: HistData has no {instrument.symbol}; give the format of the file with --format"
        )
    times, raw, notes = _utc(raw, decided)
    check_plausible(times, raw.origin, latest)
    step = commonest_step(times)
    if 0 < step < MINUTE_US:
        times, raw = _minutes(times, raw)
        notes = (*notes, f"{raw.origin.name}: bars of {step / 1e6:g} s, aggregated to M1")
    check_times(times, raw.origin)
    if not raw.ticks:
        check_timeframe(times, raw.origin)
    times, raw, filled = _without_fillers(times, raw, instrument)
    notes = (*notes, *filled)
    stray = check_hours(instrument.session, times, raw.origin)
    check_prices(raw.prices, times, raw.origin)
    countable = raw.volume_unit == "base" or instrument.market == "fx"
    volume = _any_known(raw.volume) if countable else np.full(len(times), np.nan)
    check_volume(volume, times, raw.origin)
    check_trades(raw.trades, times, raw.origin)
    spread = _any_known(raw.spread) * (10.0**-raw.decimals if raw.spread_unit == "points" else 1.0)
    counted = raw.ticks or raw.spread_unit == "points"  # their unit is certain, however wide they are
    check_sides(spread, raw.origin)
    check_spread(spread, raw.prices, raw.origin, None if counted else usual_spread_of(instrument))
    frame = bar_frame(
        times,
        raw.prices,
        volume,
        spread_of(spread),
        trades=raw.trades,
        taker_volume=taker_volume_of(raw.taker_volume, volume, times, raw.origin),
    )
    return Imported(frame, (*notes, *filter(None, [stray])))


def _utc(raw: RawBars, decided: Decided | None) -> tuple[Times, RawBars, tuple[str, ...]]:
    clock = raw.clock or (decided.clock if decided else None)
    assert clock is not None
    opened = raw.stamps - MINUTE_US if raw.at_close else raw.stamps
    times = clock.to_utc(opened)
    notes: tuple[str, ...] = ()
    if raw.clock is None and decided and decided.assumed:
        notes = (
            f"{raw.origin.name}: read in {clock.name} ({decided.evidence}); give --clock if its server has another",
        )
    missing = times == NO_TIME
    if missing.any() or (clock is HISTDATA and (times == TWICE).any()):
        row = int((times <= TWICE).argmax())
        raise BarError(
            f"{raw.origin(row)}: the hour exists twice or not at all in {clock.name}; give the right --clock"
        )
    twice = times == TWICE
    if twice.any():
        notes = (
            *notes,
            f"{raw.origin(int(twice.argmax()))}: {int(twice.sum())} rows of an hour that exists twice left out",
        )
        raw, times = raw.only(~twice), times[~twice]
    return times, raw, notes


def _minutes(times: Times, raw: RawBars) -> tuple[Times, RawBars]:
    """Aggregate bars of less than a minute to M1; a row keeps the number of its first part."""
    check_prices(raw.prices, times, raw.origin)
    minutes = times // MINUTE_US * MINUTE_US
    if (np.diff(times) <= 0).any():
        row = int((np.diff(times) <= 0).argmax()) + 1
        raise BarError(f"{raw.origin(row)}: its time does not come after the one before; sort the rows by time")
    first = np.flatnonzero(np.concatenate(([True], np.diff(minutes) > 0)))
    last = np.concatenate((first[1:], [len(minutes)])) - 1
    opened, high, low, close = raw.prices
    prices = np.stack([opened[first], np.maximum.reduceat(high, first), np.minimum.reduceat(low, first), close[last]])
    volume, trades, taker = (np.add.reduceat(part, first) for part in (raw.volume, raw.trades, raw.taker_volume))
    return minutes[first], replace(
        raw.only(first), prices=prices, spread=raw.spread[last], volume=volume, trades=trades, taker_volume=taker
    )


def _without_fillers(times: Times, raw: RawBars, instrument: Instrument) -> tuple[Times, RawBars, tuple[str, ...]]:
    """Leave out the flat bars without volume with which Dukascopy fills the hours in which a market is closed."""
    flat = (raw.volume == 0) & (raw.prices == raw.prices[0]).all(axis=0)
    places = np.flatnonzero(flat) if instrument.closes else np.empty(0, dtype=np.int64)
    if len(places):
        index = pd.DatetimeIndex(times[places].view("datetime64[us]")).tz_localize("UTC")
        places = places[~is_open(instrument.session, index)]
    if not 0 < len(places) < len(times):
        return times, raw, ()
    note = f"{raw.origin(int(places[0]))}: {len(places):,} flat bars without volume of a closed market left out"
    kept = np.ones(len(times), dtype=bool)
    kept[places] = False
    return times[kept], raw.only(kept), (note,)


def _any_known(values: Floats) -> Floats:
    """Return the values, or all NaN if every value is 0, because then the source has none."""
    return values if np.nansum(np.abs(values)) > 0 else np.full(len(values), np.nan)

"""Clocks of bar files: conversion of written times to UTC, and what shows which clock a file has.

Servers of MetaTrader brokers write local time without naming it. Foreign exchange trades from Sunday to Friday
17:00 New York, so the bars next to a weekend show the clock; without one, nothing does.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.errors import BarError, UsageError
from mikrobot.domain.instruments.sessions import FRIDAY, NEW_YORK, SUNDAY, Session
from mikrobot.market.border import MINUTE_US, Times, commonest_step, epoch_us
from mikrobot.market.sessions import DAY_MINUTES, ROLL_MINUTE, in_weekend, week_minutes

Flags = NDArray[np.bool_]

NO_TIME = int(np.iinfo(np.int64).min)
"""Stands for a time that does not exist in its zone."""

TWICE = NO_TIME + 1
"""Stands for a time that exists twice in its zone, where the order of the rows does not show which of both it is."""

_HOUR_US = 60 * MINUTE_US
_DAY_US = 24 * _HOUR_US

_WEEKEND_GAP = 30 * _HOUR_US
"""Shortest time without a bar that counts as a weekend: it lasts 48 hours, or 24 in bars of a public holiday."""

_NEAR = 15
"""Minutes that the first or last bar of a week may be away from the hours of its session: some brokers open late."""

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FileClock:
    """A clock of bar files.

    Attributes
    ----------
    name : str
        As `--clock` takes it.
    to_utc : callable
        Converts local times to UTC, both in microseconds since the epoch; `NO_TIME` where a time does not exist,
        `TWICE` where it exists twice and the order of the rows does not show which of both it is.
    """

    name: str
    to_utc: Callable[[Times], Times]


def clock_of(name: str) -> FileClock:
    """Return the clock of a name.

    Parameters
    ----------
    name : str
        ``UTC``, ``EET`` (Eastern European time with its summer time), ``NY+7`` (New York time and seven hours), an
        offset as ``+02:00``, or a zone of the time zone database as ``Europe/London``.

    Raises
    ------
    UsageError
        If it is none of these.

    >>> clock_of("+02:00").to_utc(np.array([7_200_000_000]))
    array([0])
    """
    wanted = name.strip()
    if wanted.upper() in NAMED:
        return NAMED[wanted.upper()]
    offset = _OFFSET.fullmatch(wanted)
    if offset and int(offset[2]) <= 14:
        sign = 1 if offset[1] == "+" else -1
        minutes = sign * (int(offset[2]) * 60 + int(offset[3] or 0))
        return FileClock(wanted, lambda local: local - minutes * MINUTE_US)
    zone = next((zone for zone in available_timezones() if zone.lower() == wanted.lower()), None)
    if zone is None:
        raise UsageError(
            f"unknown clock {name!r}; give UTC, EET, NY+7, an offset as +02:00, or a time zone as Europe/London"
        )
    return FileClock(zone, lambda local: zone_to_utc(local, zone))


def zone_to_utc(local: Times, zone: str) -> Times:
    """Convert local times of a zone to UTC.

    In the hour that exists twice, rows before the time steps back are in summer time and rows after it in standard
    time; where it does not step back, which of the two it was is unknown.

    Returns
    -------
    ndarray of int64
        `NO_TIME` where the time does not exist, `TWICE` where it is unknown.
    """
    index = pd.DatetimeIndex(local.view("datetime64[us]"))
    aware, twice = index.tz_localize(zone, ambiguous="NaT", nonexistent="NaT"), None
    if aware.isna().any():
        twice = np.asarray(index.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward").isna())
        before, after = _around_a_step_back(local)
        aware = index.tz_localize(zone, ambiguous=before, nonexistent="NaT")
    utc: Times = aware.tz_convert("UTC").tz_localize(None).to_numpy("datetime64[us]").view(np.int64)
    return utc if twice is None else np.where(twice & ~before & ~after, TWICE, utc)


def _around_a_step_back(local: Times) -> tuple[Flags, Flags]:
    """Return for each row whether the time steps back within three hours after it, and before it."""
    rows, steps = np.arange(len(local)), np.flatnonzero(np.diff(local) < 0)
    if not len(steps):
        return np.zeros(len(local), dtype=bool), np.zeros(len(local), dtype=bool)
    following = np.searchsorted(steps, rows)
    next_step, last_step = steps[np.minimum(following, len(steps) - 1)], steps[np.maximum(following - 1, 0)]
    before = (following < len(steps)) & (np.abs(local[next_step] - local) <= 3 * _HOUR_US)
    after = (following > 0) & (np.abs(local[last_step] - local) <= 3 * _HOUR_US)
    return before, after & ~before


def histdata_to_utc(local: Times) -> Times:
    """Convert the timestamps of HistData M1 files to UTC.

    The vendor documents "EST without summer time". Compared with Oanda, FXCM and a MetaTrader
    broker, the time is New York time until the end of 2018. From 2019 it is UTC-5, and UTC-4 from
    the last Sunday of March until the last Sunday of October.

    Parameters
    ----------
    local : ndarray of int64
        Timestamps in local time, in microseconds since the epoch.

    Returns
    -------
    ndarray of int64
        UTC; `NO_TIME` for a timestamp that does not exist in New York time, `TWICE` for one that exists twice.
    """
    years = local.view("datetime64[us]").astype("datetime64[Y]").astype(int) + 1970
    utc = local + 5 * _HOUR_US
    for year in np.unique(years[years >= 2019]):
        summer = (local >= last_sunday(int(year), 3)) & (local < last_sunday(int(year), 10))
        utc[summer] -= _HOUR_US
    early = years < 2019
    utc[early] = zone_to_utc(local[early], "America/New_York")
    return utc


def last_sunday(year: int, month: int) -> int:
    """Return midnight of the last Sunday of a month, UTC, in microseconds since the epoch."""
    last = datetime(year, month, 31, tzinfo=UTC)
    return epoch_us(last - timedelta(days=(last.weekday() + 1) % 7))


UTC_CLOCK = FileClock("UTC", lambda local: local)
EET = FileClock("EET", lambda local: zone_to_utc(local, "Europe/Athens"))
NEW_YORK_7 = FileClock("NY+7", lambda local: zone_to_utc(local - 7 * _HOUR_US, "America/New_York"))
HISTDATA = FileClock("HistData", histdata_to_utc)

NAMED = {clock.name.upper(): clock for clock in (UTC_CLOCK, EET, NEW_YORK_7)} | {"GMT": UTC_CLOCK, "Z": UTC_CLOCK}

SERVERS = (
    EET,
    NEW_YORK_7,
    UTC_CLOCK,
    *(clock_of(f"+0{hours}:00") for hours in (1, 2, 3)),
    *(clock_of(zone) for zone in ("Europe/London", "Europe/Berlin", "America/New_York")),
    HISTDATA,
)
"""Clocks of broker servers that an edge of the trading week is compared with, the usual ones first.

HistData has the layout of MetaTrader 4, and its files may have been renamed.
"""


@dataclass(frozen=True, slots=True)
class Decided:
    """The clock of files, and what shows it.

    Attributes
    ----------
    clock : FileClock
    evidence : str
    assumed : bool
        Nothing in the files shows the clock.
    """

    clock: FileClock
    evidence: str
    assumed: bool = False


def decide(name: str, stamps: Sequence[Times], session: Session | None) -> Decided:
    """Decide which server clock the files of one symbol have.

    Parameters
    ----------
    name : str
        The file or files, for messages.
    stamps : sequence of ndarray of int64
        Open times of each file, in local time.
    session : Session or None
        Trading hours of the market; None: it never closes.

    Raises
    ------
    BarError
        If the weekend fits no clock, or nothing shows the clock and the usual ones disagree.
    """
    local = np.concatenate(stamps)
    if (np.diff(local) <= 0).any():
        local = np.unique(local)
    remedy = "name its clock with --clock, as --clock EET"
    if session is None:
        raise BarError(f"{name}: nothing shows the clock of a market that never closes; {remedy}")
    closes, opens = _edges(local)
    if len(closes):
        fitting = _by_weekends(name, local, closes, opens, session=session, remedy=remedy)
        weekends = f"{len(closes)} weekend{'s' if len(closes) > 1 else ''}"
        return Decided(fitting, f"{weekends} {_hours(session)} New York")
    closed = {clock: _closed_hours(clock.to_utc(local), session) for clock in (EET, NEW_YORK_7)}
    usual = [clock for clock, hours in closed.items() if not hours]
    if not usual:
        raise BarError(
            f"{name}: with the clock of the usual servers, EET or NY+7, it has bars of {closed[EET]}; {remedy}"
        )
    if len(usual) == 1:
        other = NEW_YORK_7 if usual == [EET] else EET
        return Decided(usual[0], f"with {other.name} it would have bars of {closed[other]}")
    if _agree(usual, local):
        return Decided(EET, "no weekend shows it; EET and NY+7 agree on these dates", assumed=True)
    raise BarError(f"{name}: no weekend shows its clock, and EET and NY+7 differ on these dates; {remedy}")


def server_clocks(name: str, local: Times, session: Session) -> tuple[FileClock, ...]:
    """Return the clocks of servers that the weekends of open times fit best, the usual ones first.

    Several fit alike where the times have none of the days on which they differ.

    Parameters
    ----------
    name : str
        What has these times, for messages.
    local : ndarray of int64
        Open times in the clock of the server, increasing, in microseconds since the epoch.
    session : Session

    Returns
    -------
    tuple of FileClock
        Empty if the times have no weekend.

    Raises
    ------
    BarError
        If the weekends fit no known clock, or some fit one and some another.
    """
    closes, opens = _edges(local)
    if not len(closes):
        return ()
    remedy = "name its clock with --clock, as --clock EET"
    fitting, edges = _best_fitting(name, closes, opens, session=session, remedy=remedy)
    _refuse_a_change(name, fitting[0], edges, closes, remedy=remedy)
    return tuple(fitting)


def _by_weekends(name: str, local: Times, closes: Times, opens: Times, *, session: Session, remedy: str) -> FileClock:
    """Return the clock that fits the weekends; refuse those that fit none, or several that differ."""
    fitting, edges = _best_fitting(name, closes, opens, session=session, remedy=remedy)
    if not _agree(fitting, local):
        raise BarError(f"{name}: its weekends fit {' and '.join(clock.name for clock in fitting)}; {remedy}")
    _refuse_a_change(name, fitting[0], edges, closes, remedy=remedy)
    return fitting[0]


_Edges = dict[FileClock, tuple[Flags, Flags]]
"""For each clock, whether the close and the open of each weekend fit it."""


def _best_fitting(
    name: str, closes: Times, opens: Times, *, session: Session, remedy: str
) -> tuple[list[FileClock], _Edges]:
    """Return the clocks that fit the weekends best, the usual ones first, and what fits each clock."""
    edges = {clock: _fitting_edges(clock, closes, opens, session) for clock in SERVERS}
    fits = {clock: _fit(*at) for clock, at in edges.items()}
    best = max(fits.values())
    fitting = [clock for clock, fit in fits.items() if fit == best]
    if best[0] < _LEAST_FIT:
        at = f"{_text(closes[0])} to {_text(opens[0])}"
        raise BarError(f"{name}: the market is closed from {at} in its clock, which fits no known server; {remedy}")
    if best[0] < _CLEAR_FIT:  # one edge of each weekend fits one clock, the other edge another
        fitting += [clock for clock, fit in fits.items() if fit[0] >= _LEAST_FIT and clock not in fitting]
    return fitting, edges


def _refuse_a_change(name: str, fitting: FileClock, edges: _Edges, closes: Times, *, remedy: str) -> None:
    """Refuse weekends some of which fit another clock with both edges."""
    ends, starts = edges[fitting]
    for clock, (other_ends, other_starts) in edges.items():
        elsewhere = ~(ends & starts) & other_ends & other_starts
        if np.mean(elsewhere) > _FEW_WEEKENDS:
            raise BarError(
                f"{name}: {int(elsewhere.sum())} of its {len(closes)} weekends fit {clock.name}, the first after "
                f"{_text(closes[int(elsewhere.argmax())])} in its clock, and the others {fitting.name}; {remedy}"
            )


_LEAST_FIT, _CLEAR_FIT = 0.5, 0.75
"""Share of edges of weekends that a clock must fit, and from which it is preferred to any that fits fewer of them."""

_FEW_BARS = 5
"""Bars of the daily break that brokers send by mistake."""

_FEW_WEEKENDS = 0.05
"""Share of weekends that may fit another clock with both edges."""


def _hours(session: Session) -> str:
    closes, opens = (f"{minute // 60}:{minute % 60:02}" for minute in (session.closes, session.opens))
    return f"from and to {closes}" if closes == opens else f"from {closes} to {opens}"


def _closed_hours(utc: Times, session: Session) -> str:
    """Return the closed hours of which there are bars: the weekend, or the daily break for more than a few of them."""
    utc = utc[utc > TWICE]
    if in_weekend(utc).any():
        return "the weekend"
    minute = (week_minutes(utc) + ROLL_MINUTE) % DAY_MINUTES
    in_break = (minute >= session.pause[0] + _NEAR) & (minute < session.pause[1] - _NEAR)
    return "the daily break" if int(in_break.sum()) > _FEW_BARS else ""


def _edges(local: Times) -> tuple[Times, Times]:
    """Return the local close times before and open times after each weekend without bars."""
    gaps = np.flatnonzero(np.diff(local) >= _WEEKEND_GAP)
    return local[gaps] + commonest_step(local), local[gaps + 1]


def _fitting_edges(clock: FileClock, closes: Times, opens: Times, session: Session) -> tuple[Flags, Flags]:
    """Return for each weekend whether its close and its open are at the hours of the session."""
    ends = _near(clock.to_utc(closes), FRIDAY, session.closes)
    return ends, _near(clock.to_utc(opens), SUNDAY, session.opens)


def _fit(ends: Flags, starts: Flags) -> tuple[float, float]:
    """Return the share of closes and opens at the hours of the session, and that of the closes alone.

    Holidays move some of both. The closes decide between two clocks, since some servers begin their week at midnight
    of their own clock, an hour late while the summer times of both continents differ.
    """
    return float(np.mean([ends, starts])), float(np.mean(ends))


def _near(utc: Times, weekday: int, minute: int) -> Flags:
    index = pd.DatetimeIndex(np.where(utc <= TWICE, 0, utc).view("datetime64[us]")).tz_localize("UTC")
    local = index.tz_convert(NEW_YORK)
    minutes = np.asarray(local.hour * 60 + local.minute) - minute
    near = (np.asarray(local.dayofweek) == weekday) & (np.abs(minutes) <= _NEAR)
    result: Flags = near & (utc > TWICE)
    return result


def _agree(candidates: Sequence[FileClock], local: Times) -> bool:
    if len(candidates) == 1:
        return True
    first, *others = (clock.to_utc(local) for clock in candidates)
    return all(np.array_equal(first, other) for other in others)


def _text(local: int) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(local)):%A %Y-%m-%d %H:%M}"

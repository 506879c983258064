"""The current status: for each symbol the last bar and decision, open positions, profit, and what stops trading.

Reads the stores and the processes; starts and changes nothing. The tables are in `cli.status_tables`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from mikrobot.decision.trading_state import text
from mikrobot.domain.errors import StoreError
from mikrobot.domain.instruments import registry
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import Timeframe, close_times
from mikrobot.domain.serialisation import plain
from mikrobot.domain.sources import is_live
from mikrobot.domain.trading import Decision
from mikrobot.domain.trading_states import TradingState
from mikrobot.live import pid_records, reports, wiring
from mikrobot.live.halt_watch import SILENCE
from mikrobot.live.halts import by_data
from mikrobot.live.session import traded_until
from mikrobot.market.combined.merging import VenueStatus
from mikrobot.market.sessions import is_open
from mikrobot.market.streams.connection import StreamStatus
from mikrobot.market.streams.live_book import BookStatus
from mikrobot.market.streams.recorder import RecordingStatus
from mikrobot.market.venue_clock import ClockOffset
from mikrobot.paper.valuation import Holding
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.stack import alarms, pages, schedules, service_log, wanted
from mikrobot.stack.schedules import Schedules
from mikrobot.stack.service_log import ServiceStatus
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger, Skip
from mikrobot.store.postgres import database
from mikrobot.store.postgres.database import Pool
from mikrobot.store.quality import QualityScores
from mikrobot.store.resets import Reset, Resets
from mikrobot.store.runs import Run, Runs
from mikrobot.store.web_access import SERVICES
from mikrobot.workflows import paper_account, trading_control
from mikrobot.workflows.paper_account import PaperAccount

EVERY_S = 3.0
"""Seconds between two overviews of `watch`."""

_WEEKEND = timedelta(days=4)


@dataclass(frozen=True, slots=True)
class Session:
    """The latest run and its state.

    Attributes
    ----------
    run : str
        Its id.
    source : str
    simulated : bool
    state : str
        ``preparing`` (bars, feature rows and models are not ready yet), ``hours`` (trading the hours of the run),
        ``present`` (trading in the present), ``finished`` (a replay at its end) or ``stopped`` (its processes
        do not run).
    text : str
        The state as a sentence.
    """

    run: str
    source: str
    simulated: bool
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class SymbolState:
    """One symbol of the latest run.

    Attributes
    ----------
    symbol : str
    last_bar : datetime or None
        Close of the newest stored bar, UTC; of a replay, of the newest one traded.
    age : timedelta or None
        Time since that close; None on a replay, whose bars are in the past.
    decision : Decision or None
        The newest decision.
    why : str
        The check that refused the decision, or the last check that approved it.
    stopped : str
        The reason why the symbol cannot be traded now; empty if there is none.
    holdings : tuple of Holding
    pnl_today : Decimal or None
        Realised and unrealised since midnight UTC; None before the first traded minute.
    quality : float or None
        Score of the newest bar, 0 to 1; None before the first traded one.
    halts : tuple of TradingState
        The halts for its data that apply now.
    """

    symbol: str
    last_bar: datetime | None
    age: timedelta | None
    decision: Decision | None
    why: str
    stopped: str
    holdings: tuple[Holding, ...]
    pnl_today: Decimal | None
    quality: float | None = None
    halts: tuple[TradingState, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that `status` shows.

    Attributes
    ----------
    at : datetime
        UTC.
    services : tuple of ServiceStatus
    session : Session or None
        None before the first run, and while the database is down.
    symbols : tuple of SymbolState
    account : PaperAccount or None
        Of the source of the latest run; None before its first traded minute.
    schedules : Schedules
        Of the served flows; empty while Prefect is down.
    trouble : str
        The reason why only the services can be shown; empty if there is none.
    alarms : tuple of str
        What is wrong with a stack that should run; `status` then exits with 1.
    pages : Path or None
        The page whose links open the services; None while none of them is ready.
    streams : tuple of StreamStatus
        The connections to the streams of the source; empty if it has none.
    venues : tuple of VenueStatus
        The members of the source, if it joins several.
    clock : ClockOffset or None
        How far the clock of the venue is from ours; None if it reports no time.
    books : tuple of BookStatus
        The live order books; empty if the source has none.
    recording : RecordingStatus or None
        None if the session is not recorded.
    states : tuple of TradingState
        The trading states in force, but for the halts of `symbols`.
    """

    at: datetime
    services: tuple[ServiceStatus, ...]
    session: Session | None = None
    symbols: tuple[SymbolState, ...] = ()
    account: PaperAccount | None = None
    schedules: Schedules = field(default_factory=Schedules)
    trouble: str = ""
    alarms: tuple[str, ...] = ()
    pages: Path | None = None
    streams: tuple[StreamStatus, ...] = ()
    venues: tuple[VenueStatus, ...] = ()
    clock: ClockOffset | None = None
    books: tuple[BookStatus, ...] = ()
    recording: RecordingStatus | None = None
    states: tuple[TradingState, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the JSON that `mikrobot status --json` prints."""
        return {
            "alarms": list(self.alarms),
            "services": plain(self.services),
            "run": _session_json(self.session),
            "streams": plain(self.streams),
            "venues": plain(self.venues),
            "clock_offset_s": self.clock.offset.total_seconds() if self.clock else None,
            "books": plain(self.books),
            "recording": plain(self.recording),
            "trading_states": list(map(trading_control.to_json, self.states)),
            "symbols": {symbol.symbol: _symbol_json(symbol) for symbol in self.symbols},
            "account": _account_json(self.account),
            "next_runs": plain(self.schedules.next_runs),
        }


def overview(settings: Settings, clock: Clock) -> Overview:
    """Return the services, the latest run and the account of its source."""
    services = tuple(service_log.service_statuses(settings))
    planned = schedules.reported(settings, clock)
    shown = _overview(settings, services, planned or Schedules(), clock)
    opens = any(service.ready and service.name in SERVICES for service in services)
    page = pages.path(settings) if opens else None
    return replace(shown, alarms=tuple(alarms.alarms(settings, services, planned)), pages=page)


def _overview(settings: Settings, services: tuple[ServiceStatus, ...], planned: Schedules, clock: Clock) -> Overview:
    if settings.database_url is None and not services[0].ready:
        return Overview(clock.now(), services, trouble=_trouble(settings, "the stack is down: `mikrobot up` starts it"))
    try:
        with database.open_pool(settings) as pool:
            return replace(look(settings, pool, services, clock), schedules=planned)
    except StoreError as error:
        return Overview(clock.now(), services, schedules=planned, trouble=str(error))


def watch(settings: Settings, clock: Clock, every_s: float = EVERY_S) -> Iterator[Overview]:
    """Yield an overview immediately, then one every `every_s` seconds, without end."""
    while True:
        yield overview(settings, clock)
        clock.sleep(every_s)


def look(settings: Settings, pool: Pool, services: tuple[ServiceStatus, ...], clock: Clock) -> Overview:
    """Return the latest run and the account of its source.

    Parameters
    ----------
    services : tuple of ServiceStatus
        Includes the streamer and the worker: a live run without them is stopped.
    """
    run = Runs(pool).latest()
    if run is None:
        return Overview(clock.now(), services, trouble=_trouble(settings, "no session yet: `mikrobot run` starts one"))
    registry.adopt(run.instruments)
    market = wiring.market_time(settings, run, clock)
    now = market.now()
    session = _session(run, Runs(pool), Resets(pool).latest(run.source), services, settings=settings)
    account = paper_account.state(settings, pool, run.source, market)
    own = account if account is not None and account.run == run.id else None
    decisions, skips = Ledger(pool).last_decisions(run.id), Ledger(pool).last_skips(run.id)
    closes = _last_closes(run, BarStore(pool), Runs(pool))
    limiting = trading_control.in_force(pool, run, now)
    halts, states = list(filter(by_data, limiting)), tuple(state for state in limiting if not by_data(state))
    symbols = tuple(
        _symbol(
            symbol, session, closes[symbol], decisions.get(symbol), skip=skips.get(symbol), account=own, now=now,
            quality=_quality(pool, run, symbol, closes[symbol]),
            halts=tuple(state for state in halts if state.symbol == symbol),
        )
        for symbol in run.symbols
    )  # fmt: skip
    home = settings.home
    return Overview(
        now, services, session, tuple(_limited(symbol, states) for symbol in symbols), account, states=states,
        streams=reports.STREAMS.read(home) or (), venues=reports.VENUES.read(home) or (),
        clock=reports.CLOCK.read(home), books=reports.BOOKS.read(home) or (), recording=reports.RECORDING.read(home),
    )  # fmt: skip


def _quality(pool: Pool, run: Run, symbol: str, last_bar: datetime | None) -> float | None:
    """Return the score of the newest bar of a symbol; None if it has none, as a bar of the history."""
    newest = QualityScores(pool).last(run.source, symbol, 1, last_bar) if last_bar is not None else []
    return newest[0].score if newest and newest[0].close_time > run.starts_at else None


def _trouble(settings: Settings, otherwise: str) -> str:
    """Return the given trouble, unless a run is currently starting its services."""
    starting = pid_records.find("run", settings.home) is not None and not pid_records.stays_up(settings.home)
    return "a run is starting its services" if starting else otherwise


def _session(
    run: Run, runs: Runs, reset: Reset | None, services: tuple[ServiceStatus, ...], *, settings: Settings
) -> Session:
    last = run.segments[-1]
    reached, live = traded_until(runs, run.id, last), is_live(run.source)
    down = [service.name for service in services if service.name in ("streamer", "worker") and service.pid is None]
    in_loop = pid_records.find("loop", settings.home) is not None
    if not live and runs.finished(run.id, "worker", last.number):
        state, text = "finished", f"the replay is finished, it ended at {_minute(reached)}; nothing trades any more"
    elif down and in_loop and wanted.read(settings.home).live is None:
        state, text = "preparing", f"bars, feature rows and models come first, then {_hours(run, reached)} is traded"
    elif down and not in_loop:
        resumes = live and (reset is None or reset.at < run.started_at)
        remedy = _trouble(settings, "`mikrobot up` resumes it" if resumes else "`mikrobot run` starts one")
        state, text = "stopped", f"stopped at {_minute(reached)}, no {' and no '.join(down)} runs: {remedy}"
    elif reached < last.trade_until:
        state, text = "hours", f"trading the hours up to {_minute(last.trade_until)}, now at {_minute(reached)}"
    else:
        state, text = "present", f"trading in the present, the last minute was that up to {_minute(reached)}"
    return Session(run.id, run.source, run.simulated, state, text)


def _symbol(
    symbol: str, session: Session, last_bar: datetime | None, decision: Decision | None, *, skip: Skip | None,
    account: PaperAccount | None, now: datetime, quality: float | None, halts: tuple[TradingState, ...],
) -> SymbolState:  # fmt: skip
    live = is_live(session.source)
    age = now - last_bar if live and last_bar is not None else None
    return SymbolState(
        symbol=symbol,
        last_bar=last_bar,
        age=age,
        decision=decision,
        why=_why(decision),
        stopped=_stopped(symbol, session, age, decision, skip=skip, account=account, now=now, halts=halts),
        holdings=tuple(held for held in account.valuation.holdings if held.symbol == symbol) if account else (),
        pnl_today=account.earned_today.get(symbol) if account else None,
        quality=quality,
        halts=halts,
    )


def _stopped(
    symbol: str, session: Session, age: timedelta | None, decision: Decision | None, *, skip: Skip | None,
    account: PaperAccount | None, now: datetime, halts: tuple[TradingState, ...],
) -> str:  # fmt: skip
    """Return the reason why a symbol cannot be traded now, the most fundamental first; empty if there is none."""
    if session.state in ("preparing", "finished", "stopped"):
        return session.text
    traded = instrument(symbol)
    if session.state == "present" and not is_open(traded.session, pd.DatetimeIndex([now]))[0]:
        return f"the market is closed{_until_open(symbol, now)}"
    if session.state == "present" and age is not None and age > SILENCE:
        silent = age // timedelta(minutes=1)
        return (
            f"no fresh bar for {silent} minutes on an open market: missed minutes are caught up, or the source is "
            "silent (logs/streamer.log)"
        )
    if halts:
        return "; ".join(f"halted since {_minute(halt.since)}: {halt.reason}" for halt in halts)
    if account is not None and (limit := account.valuation.limits.get(traded.market)):
        return f"account {traded.market}: {limit}"
    if skip is not None and (decision is None or skip.close_time > decision.close_time):
        return f"the minute up to {_minute(skip.close_time)} was skipped: {skip.reason}"
    return ""


def _limited(symbol: SymbolState, states: tuple[TradingState, ...]) -> SymbolState:
    """Return a symbol with the state that forbids openings of both sides, if nothing else stops it."""
    limits = [state for state in states if state.covers(symbol.symbol, None)]
    return replace(symbol, stopped=text(limits[0])) if limits and not symbol.stopped else symbol


def _until_open(symbol: str, now: datetime) -> str:
    minutes = pd.date_range(pd.Timestamp(now).ceil("min"), now + _WEEKEND, freq="min")
    opens = minutes[is_open(instrument(symbol).session, minutes)]
    return f" until {_minute(opens[0])}" if len(opens) else ""


def _why(decision: Decision | None) -> str:
    """Return the check that refused a decision, or the last one that approved it."""
    if decision is None or not decision.reasons:
        return ""
    refusals = [reason for reason in decision.reasons if " refused: " in reason]
    return refusals[0] if refusals else decision.reasons[-1]


def _last_closes(run: Run, bars: BarStore, runs: Runs) -> dict[str, datetime | None]:
    """Return the close of the newest bar of each symbol; on a replay, of the newest traded bar."""
    until = None if is_live(run.source) else traded_until(runs, run.id, run.segments[-1])
    newest = {symbol: bars.last(run.source, symbol, Timeframe.M1, 1, until=until) for symbol in run.symbols}
    return {
        symbol: None if frame.empty else pd.Timestamp(close_times(frame)[0]).to_pydatetime()
        for symbol, frame in newest.items()
    }


def _hours(run: Run, reached: datetime) -> str:
    """Return the hours that are traded next."""
    segments = run.segments
    following = next((segment for segment in segments if segment.trade_until > reached), segments[-1])
    return f"{_minute(max(reached, following.trade_from))} to {_minute(following.trade_until)}"


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _session_json(session: Session | None) -> dict[str, Any] | None:
    if session is None:
        return None
    return {
        "id": session.run,
        "source": session.source,
        "simulated": session.simulated,
        "state": session.state,
        "text": session.text,
    }


def _symbol_json(symbol: SymbolState) -> dict[str, Any]:
    return {
        "last_bar": symbol.last_bar.isoformat() if symbol.last_bar else None,
        "age_s": round(symbol.age.total_seconds()) if symbol.age is not None else None,
        "last_decision": _decision_json(symbol.decision),
        "reason": symbol.stopped or symbol.why or None,
        "stopped": bool(symbol.stopped),
        "position": _position_json(symbol.holdings),
        "pnl_today": _money(symbol.pnl_today),
        "quality": symbol.quality,
        "halted": bool(symbol.halts),
    }


def _decision_json(decision: Decision | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    return {
        "id": decision.id,
        "at": decision.close_time.isoformat(),
        "approved": decision.approved,
        "side": decision.side.value if decision.side else None,
        "reasons": list(decision.reasons),
    }


def _position_json(holdings: tuple[Holding, ...]) -> dict[str, Any] | None:
    """Return the position of a symbol; a strategy opens a second one only after the first is closed."""
    if not holdings:
        return None
    (held,) = holdings
    return {"side": held.side.value, "lots": str(held.lots), "price": str(held.price), "pnl": str(held.pnl)}


def _account_json(account: PaperAccount | None) -> dict[str, Any]:
    return {
        "source": account.source if account else None,
        "balance": _money(account.valuation.balance) if account else None,
        "equity": _money(account.valuation.equity) if account else None,
        "pnl_today": _money(account.pnl_today) if account else None,
        "pnl_since_reset": _money(account.pnl) if account else None,
    }


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)

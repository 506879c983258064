"""`mikrobot trading`: set and show the trading states of all runs of a state folder. Does not trade.

A state takes effect with its record: the worker commits no minute that was decided before it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mikrobot.domain.errors import UsageError
from mikrobot.domain.serialisation import plain
from mikrobot.domain.trading import Side
from mikrobot.domain.trading_states import OPERATOR, Permission, TradingState, by_operator
from mikrobot.live import wiring
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run, Runs
from mikrobot.store.trading_states import TradingStates

RECENT = 20
"""Number of the newest states that are listed."""


@dataclass(frozen=True, slots=True)
class Command:
    """What an operator asks for.

    Attributes
    ----------
    permission : Permission
        ACTIVE ends the state of the same symbol and side.
    user : str
    reason : str
    symbol, side
        None: every symbol, both sides.
    until : datetime or None
        End of the state, UTC; None: until it is resumed.
    flatten : bool
        Close open positions at the next price.
    """

    permission: Permission
    user: str
    reason: str
    symbol: str | None = None
    side: Side | None = None
    until: datetime | None = None
    flatten: bool = False


@dataclass(frozen=True, slots=True)
class TradingOverview:
    """The trading states at a time.

    Attributes
    ----------
    at : datetime
        UTC.
    run : str or None
        The latest run, whose own states are included; None before the first one.
    in_force : tuple of TradingState
        Those that limit trading now.
    recent : tuple of TradingState
        The newest ones, the newest first.
    """

    at: datetime
    run: str | None
    in_force: tuple[TradingState, ...]
    recent: tuple[TradingState, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the states as plain JSON values."""
        return {
            "at": plain(self.at),
            "run": self.run,
            "in_force": list(map(to_json, self.in_force)),
            "recent": list(map(to_json, self.recent)),
        }


def to_json(state: TradingState) -> dict[str, Any]:
    """Return a state as plain JSON values."""
    shown: dict[str, Any] = plain(state)
    return {"scope": state.scope, "state": shown.pop("permission"), **shown}


def overview(settings: Settings, pool: Pool, clock: Clock) -> TradingOverview:
    """Return the states of operators, and those of the latest run."""
    run = Runs(pool).latest()
    now = _now(settings, run, clock)
    recent = TradingStates(pool).recent(None if run is None else run.id, RECENT)
    return TradingOverview(now, None if run is None else run.id, in_force(pool, run, now), tuple(recent))


def in_force(pool: Pool, run: Run | None, now: datetime) -> tuple[TradingState, ...]:
    """Return the states of operators that limit trading now, then those of a run at its newest close."""
    _, set_now = TradingStates(pool).of_operators(now)
    if run is None:
        return tuple(set_now)
    reached = Runs(pool).reached(run.id, "worker") or run.starts_at
    own = [state for state in TradingStates(pool).of_run(run.id) if not by_operator(state)]
    return (*set_now, *(state for state in own if state.until is None or reached < state.until))


def command(settings: Settings, pool: Pool, clock: Clock, wanted: Command) -> TradingState:
    """Set a state for all runs of this state folder; return it once no minute decided before it can be committed.

    Raises
    ------
    UsageError
        If a side has no symbol, the end lies in the past, or there is nothing to resume.
    """
    now = _now(settings, Runs(pool).latest(), clock)
    if wanted.side is not None and wanted.symbol is None:
        raise UsageError(f"--side {wanted.side.value} needs a --symbol; without both, every symbol is concerned")
    if wanted.until is not None and wanted.until <= now:
        raise UsageError(
            f"--until {wanted.until:%Y-%m-%d %H:%M} UTC is past, now is {now:%Y-%m-%d %H:%M} UTC; give a later time"
        )
    state = TradingState(
        wanted.permission, f"{OPERATOR}{wanted.user}", wanted.reason, now, wanted.until, wanted.symbol, wanted.side,
        flatten_at=now if wanted.flatten else None,
    )  # fmt: skip
    try:
        TradingStates(pool).command(state)
    except UsageError as error:
        raise UsageError(f"{error}; {_resumable(in_force(pool, None, now))}") from error
    return state


def _now(settings: Settings, run: Run | None, clock: Clock) -> datetime:
    """Return the time of the market of a run, to the second."""
    market = clock if run is None else wiring.market_time(settings, run, clock)
    return market.now().replace(microsecond=0)


def _resumable(states: tuple[TradingState, ...]) -> str:
    """Return which states can be resumed, in words."""
    if not states:
        return "no operator has set a state that is in force (`mikrobot trading status`)"
    return "in force: " + ", ".join(f"{state.permission.value} for {state.subject}" for state in states)

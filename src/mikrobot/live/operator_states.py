"""The states that operators have set, as each run of a worker applies them: which closes, and what its ledger records.

An operator sets a state at a time of day, but a run decides at closes, of past hours too. Each run therefore records
the closes to which it has applied a state, from which it can be decided again. Each minute begins with a look at
their version; one whose states have changed before its commit is decided again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mikrobot.domain.trading_states import TradingState, by_operator
from mikrobot.live.halts import by_data
from mikrobot.runtime import Clock
from mikrobot.store.runs import FOLLOWS, Run
from mikrobot.store.trading_states import TradingStates

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class MinuteStates:
    """The states of operators at one minute of one run.

    Attributes
    ----------
    version : int
        Version of the states, under which the minute may be committed.
    applying : tuple of TradingState
        Those in force, with the closes of the run.
    changes : tuple of TradingState
        Those that end at this minute, then those that begin.
    """

    version: int
    applying: tuple[TradingState, ...]
    changes: tuple[TradingState, ...]


@dataclass(slots=True)
class OperatorStates:
    """Applies the states of operators to the runs of one worker."""

    states: TradingStates
    clock: Clock
    _current: tuple[int, list[TradingState]] | None = None
    _applied: dict[str, tuple[TradingState, ...]] = field(default_factory=dict)

    def at(self, run_id: str, reached: datetime, close_time: datetime) -> MinuteStates:
        """Return the states at a minute.

        Parameters
        ----------
        run_id : str
        reached : datetime
            The close before, UTC.
        close_time : datetime
            The newest close, UTC. It is later than a minute after `reached` if several are handled together.
        """
        if self._current is None:
            self._current = self.states.of_operators(self.clock.now())
        version, given = self._current
        now, first = self.clock.now(), reached + _MINUTE
        in_force = [state for state in given if state.until is None or now < state.until]
        before = self._applied_to(run_id)
        wanted = [_applied(state, first, close_time) for state in in_force]
        goes_on = {_identity(state) for state in wanted} & {_identity(state) for state in before}
        kept = [state for state in before if _identity(state) in goes_on]
        begun = [state for state in wanted if _identity(state) not in goes_on]
        ended = [replace(state, until=first) for state in before if _identity(state) not in goes_on]
        return MinuteStates(version, (*kept, *begun), (*ended, *begun))

    def settle(self, run_id: str, minute: MinuteStates, *, written: bool) -> None:
        """Note that a minute is committed; if the ledger had it already, take up what it recorded."""
        if written:
            self._applied[run_id] = minute.applying
        else:
            self._applied.pop(run_id, None)

    def expect(self, version: int) -> None:
        """Read the states of operators again at the next minute if they have another version."""
        if self._current is not None and self._current[0] != version:
            self._current = None

    def read_again(self) -> None:
        """Read the states of operators again at the next minute."""
        self._current = None

    def _applied_to(self, run_id: str) -> tuple[TradingState, ...]:
        if run_id not in self._applied:
            recorded = self.states.of_run(run_id)
            self._applied[run_id] = tuple(state for state in applied(recorded) if state.until is None)
        return self._applied[run_id]


def applied(recorded: Iterable[TradingState]) -> list[TradingState]:
    """Return the states of operators among those that a run has recorded."""
    return [state for state in recorded if by_operator(state)]


def of_run(states: TradingStates, run: Run) -> list[TradingState]:
    """Return all states that have limited a run, in order of time: halts for its data are those of the run it follows.

    The states of operators have the closes to which they applied.
    """
    own, followed = states.of_run(run.id), run.settings.get(FOLLOWS)
    data = own if followed is None else states.of_run(followed)
    return sorted(
        [*filter(by_data, data), *(state for state in own if not by_data(state))], key=lambda state: state.since
    )


def _applied(state: TradingState, first: datetime, close_time: datetime) -> TradingState:
    """Return a state with the closes of a run; the time at which it was set and its end are part of the reason."""
    end = "it is resumed" if state.until is None else f"{state.until:%Y-%m-%d %H:%M} UTC"
    reason = f"{state.reason} (set {state.since:%Y-%m-%d %H:%M} UTC, until {end})"
    flatten_at = None if state.flatten_at is None else min(max(state.flatten_at, first), close_time)
    return replace(state, reason=reason, since=first, until=None, flatten_at=flatten_at)


def _identity(state: TradingState) -> tuple[object, ...]:
    """Return the parts of an applied state that do not depend on the minute at which it was taken up."""
    return state.permission, state.by, state.reason, state.symbol, state.side, state.flatten_at is None

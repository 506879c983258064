"""Resolve trading states: the strictest one that applies to an opening order holds. Pure; reads no clock or store."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from mikrobot.domain.trading import Decision, OrderIntent, Side
from mikrobot.domain.trading_states import Permission, TradingState, by_operator

_STRICTNESS = (Permission.ACTIVE, Permission.REDUCING, Permission.HALTED)


def strictest(states: Iterable[TradingState], symbol: str, side: Side | None, at: datetime) -> TradingState | None:
    """Return the state that limits openings at a close; None if they are permitted.

    Of states that are equally strict, the earliest one.

    Parameters
    ----------
    states : iterable of TradingState
    symbol : str
    side : Side or None
        Side of the opening order; None: only states that concern both sides count.
    at : datetime
        Close, UTC.

    >>> from datetime import UTC
    >>> since = datetime(2025, 3, 14, 9, tzinfo=UTC)
    >>> states = [TradingState(Permission.REDUCING, "cooldown", "a loss", since, symbol="EURUSD"),
    ...           TradingState(Permission.HALTED, "operator ana", "news", since)]
    >>> strictest(states, "EURUSD", Side.BUY, since).reason
    'news'
    """
    limiting = [
        state
        for state in states
        if state.permission is not Permission.ACTIVE and state.applies(at) and state.covers(symbol, side)
    ]
    return min(limiting, key=_rank, default=None)


def permission(states: Iterable[TradingState], symbol: str, side: Side | None, at: datetime) -> Permission:
    """Return what the states permit for openings of a side in a symbol at a close."""
    state = strictest(states, symbol, side, at)
    return Permission.ACTIVE if state is None else state.permission


def permitted(
    decision: Decision, order: OrderIntent | None, states: Iterable[TradingState]
) -> tuple[Decision, OrderIntent | None]:
    """Refuse a decision whose opening order a state forbids; the state becomes the last of its reasons."""
    state = strictest(states, decision.symbol, decision.side, decision.close_time)
    if state is None:
        return decision, order
    reasons = (*decision.reasons, f"state refused: {text(state)}")
    return replace(decision, approved=False, reasons=reasons), None


def text(state: TradingState) -> str:
    """Return a state in one line: what it permits, where, who decided it, since when, until when, and why.

    The end of a state of an operator is part of its reason, since its record in a run has an end only afterwards.
    """
    until = "" if state.until is None or by_operator(state) else f" until {_minute(state.until)}"
    span = f"since {_minute(state.since)}{until}"
    return f"{state.permission.value} for {state.subject} by {state.by} {span}: {state.reason}"


def _rank(state: TradingState) -> tuple[int, datetime]:
    return -_STRICTNESS.index(state.permission), state.since


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"

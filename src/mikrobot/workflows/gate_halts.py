"""Halt trading of a symbol while an expectation suite of its data fails.

The halt is a state of the source, which every worker on it takes into its own run at the next close.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from mikrobot.domain.errors import GateError
from mikrobot.domain.trading_states import Permission, TradingState
from mikrobot.live.halts import BY_GATE
from mikrobot.runtime import Clock
from mikrobot.store.postgres.database import Pool
from mikrobot.store.trading_states import TradingStates


@contextmanager
def halting(pool: Pool, source: str, symbol: str, suite: str, *, clock: Clock) -> Iterator[None]:
    """Begin a halt of a symbol if its gate fails within the block, and end it if the gate passes.

    Raises
    ------
    GateError
        That of the block.
    """
    states, at = TradingStates(pool), clock.now()
    halt = TradingState(Permission.HALTED, f"{BY_GATE}{suite}", "", at, symbol=symbol)
    try:
        yield
    except GateError as error:
        reason = f"the expectation suite of {suite} failed: {error}"
        states.record([replace(halt, reason=reason, since=clock.now())], source=source)
        raise
    states.record([replace(halt, until=clock.now())], source=source)

"""Halt trading of a symbol while the probabilities that are served for it are significantly miscalibrated.

The verdict is that of `monitoring.performance_verdict`, on outcomes whose horizon has passed. It holds for as long as
its window is: without trades there are no predictions, and so no later window that could end the halt.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from mikrobot.domain.drift import DriftKind, WindowVerdict
from mikrobot.domain.trading_states import Permission, TradingState
from mikrobot.live.halts import BY_GATE
from mikrobot.monitoring.drift_report import newest
from mikrobot.store.postgres.database import Pool
from mikrobot.store.trading_states import TradingStates

BY_CALIBRATION = f"{BY_GATE}calibration"
"""Who decides these halts; workers take them up as those of an expectation suite."""


def miscalibration(windows: Sequence[WindowVerdict], now: datetime) -> str:
    """Return why a symbol is not traded: the reasons of the newest verdict on its calibration; empty if it is traded.

    Parameters
    ----------
    windows : sequence of WindowVerdict
        Verdicts on what answers for the symbol, in order of time.
    now : datetime
        UTC, by the clock of the market.
    """
    window = newest(windows).get(DriftKind.CALIBRATION)
    if window is None or not window.drifted or now - window.until >= window.until - window.since:
        return ""
    return f"miscalibrated from {window.since:%Y-%m-%d} to {window.until:%Y-%m-%d}: {'; '.join(window.reasons)}"


def apply(pool: Pool, source: str, reasons: Mapping[str, str], *, now: datetime) -> None:
    """Halt each symbol of a source that has a reason, from the next close on, and end the halt of the others.

    Parameters
    ----------
    reasons : mapping of str to str
        `miscalibration` by symbol.

    Raises
    ------
    StoreError
        If the database fails.
    """
    states = [
        TradingState(Permission.HALTED, BY_CALIBRATION, reason, now, until=None if reason else now, symbol=symbol)
        for symbol, reason in reasons.items()
    ]
    TradingStates(pool).record(states, source=source)

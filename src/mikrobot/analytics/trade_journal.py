"""The trade journal of the report as JSON: each trade with its decision, reasons, model and figures.

Does not draw the journal: the page draws it one page of rows at a time, which keeps ten thousand trades fast.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from mikrobot.analytics.assessment import Assessment
from mikrobot.analytics.trades import by_session, holding_minutes, r_multiple
from mikrobot.domain.trading import Decision, Prediction, Side, Trade

WINDOWS = 300
"""Number of newest trades for which the surrounding bars are stored, for a chart of each trade."""

MARGIN = timedelta(minutes=40)
LONGEST = 360
"""Maximum bars of one window."""


@dataclass(frozen=True, slots=True)
class TradeRow:
    """A closed trade with its decision and its prediction; None where the ledger has none.

    Attributes
    ----------
    level : float or None
        Price of the swing level whose break was predicted; None if it is not among the model inputs.
    """

    trade: Trade
    decision: Decision | None
    prediction: Prediction | None
    level: float | None


def rows(
    trades: Sequence[Trade], decisions: Sequence[Decision], predictions: Sequence[Prediction], levels: tuple[str, str]
) -> list[TradeRow]:
    """Return each trade with its decision and its prediction, in order of entry.

    Parameters
    ----------
    trades, decisions, predictions
    levels : (str, str)
        Features with the prices of the levels: the one whose break is bought, and the one whose break is sold.
    """
    decided = {decision.id: decision for decision in decisions}
    predicted = {(p.symbol, p.side, p.close_time): p for p in predictions}
    journal = []
    for trade in sorted(trades, key=lambda trade: trade.entry.filled_at):
        decision = decided.get(trade.order.decision_id)
        key = (trade.order.symbol, trade.order.side, decision.close_time) if decision else None
        prediction = predicted.get(key) if key else None
        journal.append(TradeRow(trade, decision, prediction, _level(prediction, levels) if prediction else None))
    return journal


def script(listed: Sequence[TradeRow], assessment: Assessment, bars: Mapping[str, pd.DataFrame]) -> str:
    """Return the journal as JSON that is safe inside an HTML script element.

    Parameters
    ----------
    listed : sequence of TradeRow
    assessment : Assessment
        Of the same trades, in order of exit.
    bars : mapping of str to DataFrame
        M1 bar frames by symbol, from which the windows are cut.
    """
    by_exit = sorted(listed, key=lambda row: (row.trade.exit.filled_at, row.trade.order.id))
    excursions = {row.trade.order.id: excursion for row, excursion in zip(by_exit, assessment.excursions, strict=True)}
    entries = []
    for row in listed:
        excursion = excursions[row.trade.order.id]
        entry = _entry(row) | {"regime": assessment.regimes[row.trade.order.id]}
        if excursion is not None:
            entry |= {"mae": round(excursion.adverse, 2), "mfe": round(excursion.favourable, 2)}
        entries.append(entry)
    opens = {symbol: pd.DatetimeIndex(frame["open_time"]) for symbol, frame in bars.items()}
    for entry, row in list(zip(entries, listed, strict=True))[-WINDOWS:]:
        symbol = row.trade.order.symbol
        if symbol in bars:
            entry["bars"] = _window(row.trade, bars[symbol], opens[symbol])
    return json.dumps(entries, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _level(prediction: Prediction, levels: tuple[str, str]) -> float | None:
    value = prediction.features.get(levels[0 if prediction.side is Side.BUY else 1], math.nan)
    return None if math.isnan(value) else value


def _entry(row: TradeRow) -> dict[str, Any]:
    trade, prediction = row.trade, row.prediction
    r = r_multiple(trade)
    return {
        "id": trade.order.id,
        "symbol": trade.order.symbol,
        "side": trade.order.side.value,
        "lots": str(trade.order.lots),
        "in": _minute(trade.entry.filled_at),
        "out": _minute(trade.exit.filled_at),
        "minutes": round(holding_minutes(trade)),
        "entry": str(trade.entry.price),
        "exit": str(trade.exit.price),
        "stop": str(trade.order.stop),
        "target": str(trade.order.target),
        "level": row.level,
        "by": trade.exit.reason.value,
        "ambiguous": trade.exit.ambiguous,
        "pnl": f"{trade.pnl:.2f}",
        "r": None if r is None else round(r, 2),
        "probability": round(prediction.probability, 3) if prediction else None,
        "model": f"{prediction.model} {prediction.model_version}" if prediction else None,
        "session": by_session(trade),
        "decision": row.decision.id if row.decision else None,
        "reasons": list(row.decision.reasons) if row.decision else None,
    }


def _window(trade: Trade, bars: pd.DataFrame, times: pd.DatetimeIndex) -> dict[str, Any]:
    """Return the bars around a trade: their prices, and their times as minutes after the first bar."""
    first = int(times.searchsorted(pd.Timestamp(trade.entry.filled_at - MARGIN)))
    beyond = int(times.searchsorted(pd.Timestamp(trade.exit.filled_at + MARGIN)))
    cut = bars.iloc[first : min(beyond, first + LONGEST)]
    if cut.empty:
        return {"from": _minute(trade.entry.filled_at), "at": [], "o": [], "h": [], "l": [], "c": []}
    start = cut["open_time"].iloc[0]
    minutes = ((cut["open_time"] - start) // pd.Timedelta(minutes=1)).tolist()
    prices = {name[0]: cut[name].round(6).tolist() for name in ("open", "high", "low", "close")}
    return {"from": _minute(start), "at": minutes, **prices}


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"

"""A synthetic run for the report: a random walk with trades."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mikrobot.analytics.report import CheckFacts, Facts, ModelFacts
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import BAR_COLUMNS
from mikrobot.domain.trading import Decision, Fill, FillReason, OrderIntent, Prediction, Side, Trade
from mikrobot.models.task import Task

LEVELS = Task("bos").columns
START = datetime(2024, 5, 6, 0, 0, tzinfo=UTC)
CHECKS = ("level", "probability", "side", "position", "open_trades", "stop", "spread", "size", "daily_loss")


def walk(price: float, minutes: int, rng: np.random.Generator) -> pd.DataFrame:
    close = price * np.exp(np.cumsum(rng.standard_t(4, minutes) * 1e-4))
    opened = np.concatenate([[price], close[:-1]])
    wick = price * rng.exponential(6e-5, (2, minutes))
    frame = pd.DataFrame(
        {
            "open_time": pd.date_range(START, periods=minutes, freq="min", unit="us"),
            "open": opened,
            "high": np.maximum(opened, close) + wick[0],
            "low": np.minimum(opened, close) - wick[1],
            "close": close,
            "volume": 100.0,
            "spread": np.nan,
            "trades": np.nan,
            "taker_volume": np.nan,
        }
    )
    return frame[list(BAR_COLUMNS)]


def one_trade(
    number: int, symbol: str, bars: pd.DataFrame, rng: np.random.Generator
) -> tuple[Prediction, Decision, OrderIntent, list[Fill]]:
    traded = instrument(symbol)
    begin = int(rng.integers(0, len(bars) - 40))
    end = begin + int(rng.integers(3, 30))
    at, left = START + timedelta(minutes=begin), START + timedelta(minutes=end)
    side = Side.BUY if rng.random() < 0.5 else Side.SELL
    entry = traded.quantize(float(bars["open"].iloc[begin]))
    away = traded.quantize(float(entry) * 8e-4)
    stop, target = entry - side.sign * away, entry + side.sign * 2 * away
    leaves, reason = [
        (stop, FillReason.STOP),
        (target, FillReason.TARGET),
        (traded.quantize(float(bars["close"].iloc[end])), FillReason.TIME),
    ][int(rng.choice(3, p=[0.5, 0.25, 0.25]))]
    lots = Decimal("0.10")
    pnl = (side.sign * (leaves - entry) * lots * traded.lot).quantize(Decimal("0.01"))
    prediction = Prediction(
        symbol,
        side,
        at,
        0.55 + 0.3 * rng.random(),
        "bos",
        "3",
        "0123456789ab",
        {"m1_rsi_14": 61.0, LEVELS[side is Side.SELL]: round(float(entry) - side.sign * 2e-4, 5)},
    )
    reasons = tuple(f"{check} passed: 0.61 of 0.55" for check in CHECKS)
    decision = Decision(f"run/{symbol}/{number}", symbol, at, True, side, reasons, "simple_break@0")
    order = OrderIntent(f"{decision.id}/{side.value}", decision.id, symbol, side, lots, stop, target, at, left)
    fills = [
        Fill(f"{order.id}/in", order.id, symbol, side, lots, entry, FillReason.ENTRY, Decimal("0.35"), Decimal(0), at),
        Fill(
            f"{order.id}/out", order.id, symbol, side.opposite, lots, leaves, reason, Decimal("0.35"), pnl, left,
            reason is FillReason.STOP and number % 7 == 0,
        ),
    ]  # fmt: skip
    return prediction, decision, order, fills


@pytest.fixture(scope="session")
def made_up_facts() -> Callable[..., Facts]:
    """Build the facts of a run with the given number of trades and minutes; keyword arguments replace fields."""

    def build(trades: int = 12, minutes: int = 1440, **replaced: Any) -> Facts:
        rng = np.random.default_rng(5)
        bars = {"EURUSD": walk(1.0712, minutes, rng), "BTCUSDT": walk(64_000.0, minutes, rng)}
        executed = [one_trade(n, symbol, bars[symbol], rng) for n in range(trades) for symbol in [list(bars)[n % 2]]]
        refused = [
            Decision(
                f"no{n}",
                "EURUSD",
                START,
                False,
                None,
                ("level passed: 1", f"probability refused: up 0.{n:03d}"),
                "simple_break@0",
            )
            for n in range(300)
        ]
        fields: dict[str, Any] = {
            "run_id": "20240507-001500",
            "source": "simulated",
            "simulated": True,
            "starts_at": START,
            "ends_at": START + timedelta(minutes=minutes),
            "written_at": START + timedelta(days=1, minutes=20),
            "profile": "session1",
            "opening": Decimal("10000"),
            "bars": bars,
            "predictions": [prediction for prediction, *_ in executed],
            "decisions": [decision for _, decision, *_ in executed] + refused,
            "orders": [order for *_, order, _ in executed],
            "fills": [fill for *_, fills in executed for fill in fills],
            "counts": {"signals": 430, "decisions": 2880, "approved": trades, "orders": trades, "fills": 2 * trades},
            "models": [
                ModelFacts(
                    "bos",
                    "3",
                    START - timedelta(days=120),
                    START,
                    5,
                    {
                        "xgboost": {"auc": 0.812, "brier": 0.1432, "log_loss": 0.4415},
                        "random forest": {"auc": 0.801, "brier": 0.1469, "log_loss": 0.4502},
                        "base rate": {"auc": 0.5, "brier": 0.2011},
                    },
                )
            ],
            "checks": [CheckFacts("bars", 9, 0, 345_600, 0), CheckFacts("features", 61, 1, 345_600, 41)],
            "latencies_ms": {
                "feature_step": {"n": 2880, "p50": 0.004, "p99": 0.011},
                "bar_to_order": {"n": 2880, "p50": 6.2, "p99": 14.85},
            },
        }
        return Facts(**fields | replaced)

    return build


@pytest.fixture(scope="session")
def closed() -> Callable[..., Trade]:
    """Build a closed trade without fees: 0.1 lots of EURUSD, bought at 1.08 with a stop at 1.07."""

    def build(
        pnl: str, entered: datetime = START + timedelta(hours=8), minutes: int = 5, symbol: str = "EURUSD"
    ) -> Trade:
        at, left, lots = entered, entered + timedelta(minutes=minutes), Decimal("0.1")
        number, nothing = f"{symbol}-{at:%Y%m%dT%H%M}", Decimal(0)
        order = OrderIntent(number, number, symbol, Side.BUY, lots, Decimal("1.07"), Decimal("1.09"), at, left)
        price, earned = Decimal("1.08"), Decimal(pnl)
        entry = Fill(f"{number}/in", number, symbol, Side.BUY, lots, price, FillReason.ENTRY, nothing, nothing, at)
        leave = Fill(f"{number}/out", number, symbol, Side.SELL, lots, price, FillReason.STOP, nothing, earned, left)
        return Trade(order, entry, leave)

    return build

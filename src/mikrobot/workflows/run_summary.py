"""The summary of a run as types: stored with the run, printed as JSON, and shown on the console. Computes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from mikrobot.monitoring.drift_report import DriftReport
from mikrobot.workflows.gate_counts import GateCounts
from mikrobot.workflows.training_report import ModelTrainings


@dataclass(frozen=True, slots=True)
class Checks:
    """The results of the quality gate over all stages of a run.

    Attributes
    ----------
    passed, failed : int
        Number of expectations by outcome.
    quarantined : int
        Number of bad rows.
    suites : tuple of GateCounts
        The same by suite.
    """

    passed: int
    failed: int
    quarantined: int
    suites: tuple[GateCounts, ...]


@dataclass(frozen=True, slots=True)
class AnsweredBy:
    """The model with the most predictions for a symbol.

    Attributes
    ----------
    model : str
    version : str or None
        None for the baseline.
    trained_on : tuple of str
        Symbols that the version learned from.
    """

    model: str
    version: str | None
    trained_on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TradingFigures:
    """The trading of a run.

    Attributes
    ----------
    signals, decisions, approved, orders, fills, trades : int
    pnl : Decimal
        Net result of the closed trades, dollars.
    max_drawdown : Decimal
        Dollars, 0 or positive.
    ambiguous_share : float
        Trades whose exit bar reached both stop and target, over all trades, 0 to 1.
    seconds_to_first_order : float or None
        Seconds from the start of the command, with the start of the services; None without an order.
    terminal_reasons : mapping of str to int
        The number of decisions by terminal reason, the most frequent first; they add up to `decisions`.
    """

    signals: int
    decisions: int
    approved: int
    orders: int
    fills: int
    trades: int
    pnl: Decimal
    max_drawdown: Decimal
    ambiguous_share: float
    seconds_to_first_order: float | None
    terminal_reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """The trading of an arm.

    Attributes
    ----------
    run : str
        Id of the run that the arm is.
    orders, trades : int
    pnl : Decimal
        Net result of the closed trades, dollars.
    """

    run: str
    orders: int
    trades: int
    pnl: Decimal


@dataclass(frozen=True, slots=True)
class StageLatency:
    """The durations of a stage.

    Attributes
    ----------
    n : int
        Number of samples.
    p50, p99 : float
        Milliseconds.
    """

    n: int
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The results of a run.

    Attributes
    ----------
    run : str
        Its id.
    source : str
    simulated : bool
    symbols : tuple of str
    bars : int
        Feature rows that were stored, one for each bar.
    features : int
        Number of columns of a feature row.
    checks : Checks
    models : mapping of str to ModelTrainings
        By model; empty without a training.
    answered_by : mapping of str to AnsweredBy or None
        By symbol; None if there are no predictions.
    drift : DriftReport
    trading : TradingFigures
    arms : mapping of str to ArmFigures
        By name of the arm.
    latency_ms : mapping of str to StageLatency
        By stage; of several processes, the slowest.
    reports : mapping of str to str
        Paths.
    services : mapping of str to str
        Addresses.
    """

    run: str
    source: str
    simulated: bool
    symbols: tuple[str, ...]
    bars: int
    features: int
    checks: Checks
    models: Mapping[str, ModelTrainings]
    answered_by: Mapping[str, AnsweredBy | None]
    drift: DriftReport
    trading: TradingFigures
    arms: Mapping[str, ArmFigures]
    latency_ms: Mapping[str, StageLatency]
    reports: Mapping[str, str]
    services: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FinishedRun(RunSummary):
    """The summary of a run that has ended, with its duration.

    Attributes
    ----------
    seconds : float
        From the start of the command to the end of the loop.
    pages : str
        Path of the page whose links open the services.
    """

    seconds: float
    pages: str

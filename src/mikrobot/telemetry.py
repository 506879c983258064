"""Structured logs and stage timers.

Logs go to standard error, so that standard output contains only results. Timers keep the newest
samples of a stage in memory, so that a process may run for years.
"""

import logging
import math
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter_ns
from typing import Any

import structlog


def configure(level: str = "INFO", *, json: bool = False) -> None:
    """Send the logs of this process to standard error.

    Parameters
    ----------
    level : str
        Lowest level shown for logs of Mikrobot; logs of libraries are shown from WARNING.
    json : bool
        One JSON object per line instead of text.
    """
    number = logging.getLevelNamesMapping()[level]
    renderer: Any = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def forward(name: str) -> None:
    """Send the logs of this process to a logger of the standard library.

    Parameters
    ----------
    name : str
        Name of that logger; it receives lines of level INFO and above.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            _as_text,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=lambda *_: logging.getLogger(name),
    )
    logging.getLogger(name).setLevel(logging.INFO)


def _as_text(_: Any, __: str, event: Any) -> str:
    """Format an event as one line: its name and its keys.

    >>> _as_text(None, "info", {"event": "backfilled", "component": "market", "symbol": "EURUSD"})
    'backfilled symbol=EURUSD'
    """
    keys = " ".join(f"{key}={value}" for key, value in event.items() if key not in ("event", "component", "exception"))
    text = " ".join(filter(None, (event["event"], keys)))
    return "\n".join(filter(None, (text, event.get("exception", ""))))


def logger(component: str) -> Any:
    """Return the logger of a component: ``log.info("bar_stored", symbol=..., n=...)``."""
    return structlog.get_logger(component=component)


NEWEST = 20_000
"""Samples that `Timers` keep of each stage: those of two weeks, if there is one in every minute."""


class Timers:
    """Record durations by stage, in milliseconds.

    >>> timers = Timers()
    >>> with timers.stage("predict"):
    ...     pass
    >>> sorted(timers.summary()["predict"])
    ['n', 'p50', 'p99']
    """

    def __init__(self) -> None:
        self._samples: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=NEWEST))
        self._counts: Counter[str] = Counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the enclosed block as one sample of the stage."""
        start = perf_counter_ns()
        try:
            yield
        finally:
            self.record(name, (perf_counter_ns() - start) / 1e6)

    def record(self, name: str, milliseconds: float) -> None:
        """Add one sample to a stage."""
        self._samples[name].append(milliseconds)
        self._counts[name] += 1

    def summary(self) -> dict[str, dict[str, float]]:
        """Return n, p50 and p99 of each stage (nearest rank, milliseconds), the quantiles of the `NEWEST` samples."""
        return {name: _quantiles(sorted(samples), self._counts[name]) for name, samples in self._samples.items()}


def _quantiles(ordered: list[float], n: int) -> dict[str, float]:
    def rank(share: float) -> float:
        return round(ordered[math.ceil(share * len(ordered)) - 1], 3)

    return {"n": n, "p50": rank(0.50), "p99": rank(0.99)}

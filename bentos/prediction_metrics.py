"""Metrics of what is predicted: the distributions of the probability and of the predicted outcome.

Create them in the process that serves, because each process writes files of its own.
"""

from functools import cache
from typing import Any

from prometheus_client import Counter, Histogram

from mikrobot.serving.answers import Answer

LABELS = ("model", "source", "symbol", "side")
TENTHS = tuple(number / 10 for number in range(1, 11))

LATENCIES_S = (0.0001, 0.0002, 0.0003, 0.0005, 0.0007, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)
"""Upper bounds of the buckets of request durations: most requests take less than a millisecond."""


class PredictionMetrics:
    """Counts one-row predictions by model, scope and side; a side without anything to predict has none."""

    def __init__(self) -> None:
        probability = Histogram(
            "mikrobot_prediction_probability", "Predicted probability of the outcome.", LABELS, buckets=TENTHS
        )
        outcomes = Counter("mikrobot_predicted_outcomes", "Predicted outcomes.", (*LABELS, "outcome"))
        self._probability = cache(probability.labels)
        self._outcome = cache(outcomes.labels)

    def count(self, answer: Answer) -> None:
        """Count the prediction of each side of an answer."""
        scope = answer.model, answer.source, answer.symbol
        self._count(scope, "up", answer.probability_up, answer.predicted_up)
        self._count(scope, "down", answer.probability_down, answer.predicted_down)

    def _count(self, scope: tuple[str, str, str], side: str, probability: Any, outcome: str | None) -> None:
        if probability is not None:
            self._probability(*scope, side).observe(probability)
            self._outcome(*scope, side, str(outcome)).inc()

"""The verdict whether the market of a window differs from the one that a model was trained on, and its events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal


class DriftKind(StrEnum):
    """What is compared with the training span of a model version.

    ``features``: the distribution of the feature rows. ``predictions``: that of its probabilities. ``calibration``:
    its probabilities with the outcomes. ``concept``: its realised skill with the skill that its probabilities promise.
    """

    FEATURES = "features"
    PREDICTIONS = "predictions"
    CALIBRATION = "calibration"
    CONCEPT = "concept"


@dataclass(frozen=True, slots=True)
class WindowVerdict:
    """The verdict of a window.

    Attributes
    ----------
    kind : DriftKind
    since, until : datetime
        Closes in (since, until], UTC. Known at `until`, or when the outcomes of its predictions are.
    drifted : bool
    onset : bool
        Drift begins here; it is counted once, until three windows in a row are stable.
    reasons : tuple of str
        Why it has drifted, with the direction; empty if it has not.
    figures : mapping of str to any plain JSON value
        What was measured.
    """

    kind: DriftKind
    since: datetime
    until: datetime
    drifted: bool
    onset: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)


EventName = Literal["drift", "degraded"]
Mark = tuple[EventName, DriftKind, datetime, datetime]
"""What a reported event was about: its name, and the kind, beginning and end of the window."""


@dataclass(frozen=True, slots=True)
class DriftEvent:
    """A drift or a degradation of a model version, of which an event reports that it has begun.

    Attributes
    ----------
    name : "drift" or "degraded"
    source, symbol, model, version : str
        What was judged.
    kind : DriftKind
    since, until : datetime
        Window in which it begins, as in `WindowVerdict`.
    reasons : tuple of str
    """

    name: EventName
    source: str
    symbol: str
    model: str
    version: str
    kind: DriftKind
    since: datetime
    until: datetime
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        subject = self.kind.value if self.name == "drift" else f"{self.model} {self.version}"
        return f"{self.symbol}, {subject} since {self.since:%Y-%m-%d}: {'; '.join(self.reasons)}"

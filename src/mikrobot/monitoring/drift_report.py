"""The drift of a run as types. Compares nothing, and does not import Evidently."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from mikrobot.domain.drift import DriftEvent, DriftKind, EventName, WindowVerdict

Verdict = Literal["drift", "stable", "not judged"]


@dataclass(frozen=True, slots=True)
class SymbolDrift:
    """The drift of one symbol since the training of the model version that answers for it.

    Attributes
    ----------
    symbol, model, version : str
    verdict : "drift", "stable" or "not judged"
        That of the newest windows: drift if one of any kind has drifted.
    reasons : tuple of str
        Those of the newest window of each kind; or why nothing was judged.
    since, until : datetime
        Span of the reference, UTC.
    window_days : float or None
        Length of the windows; None if nothing was judged.
    share, limit : float
        Drifted columns over compared columns in the newest window, and the share from which it counts.
    drifted : tuple of str
        Drifted columns of the newest window, the largest PSI relative to its limit first.
    windows : tuple of WindowVerdict
        Every whole window after the reference, in order of time.
    page : Path or None
        Evidently's report on the newest window.
    """

    symbol: str
    model: str
    version: str
    verdict: Verdict
    reasons: tuple[str, ...]
    since: datetime
    until: datetime
    window_days: float | None = None
    share: float = 0.0
    limit: float = 0.0
    drifted: tuple[str, ...] = ()
    windows: tuple[WindowVerdict, ...] = ()
    page: Path | None = None


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The drift of a run, and the skew between its online and offline rows.

    Attributes
    ----------
    source : str
        Market source of the rows.
    simulated : bool
    verdict : "drift", "stable" or "not judged"
        Drift if any symbol has drifted, stable if none has.
    share : float
        The largest share of drifted columns of a symbol, 0 to 1.
    symbols : tuple of SymbolDrift
    events : tuple of DriftEvent
        Each drift that has begun and each model that has become worse with drift, of which no event was emitted yet.
    report : Path
        One HTML file that needs no network.
    online_rows : int
        Rows that the worker read online.
    skewed_rows : int
        Those of them that differ in any bit from the offline row of the same close.
    quality, performance : Path or None
        Reports on the quality of the feature rows and on the skill of the predictions; None if they were not written.
    """

    source: str
    simulated: bool
    verdict: Verdict
    share: float
    symbols: tuple[SymbolDrift, ...]
    events: tuple[DriftEvent, ...]
    report: Path
    online_rows: int
    skewed_rows: int
    quality: Path | None = None
    performance: Path | None = None

    def named(self, name: EventName) -> list[DriftEvent]:
        """Return the events of one name."""
        return [event for event in self.events if event.name == name]


def newest(windows: Sequence[WindowVerdict]) -> dict[DriftKind, WindowVerdict]:
    """Return the newest window of each kind, of windows in order of time."""
    return {window.kind: window for window in windows}


def verdict_of(windows: Sequence[WindowVerdict]) -> Verdict:
    """Return the verdict of windows in order of time: that of the newest window of each kind."""
    if not windows:
        return "not judged"
    return "drift" if any(window.drifted for window in newest(windows).values()) else "stable"


def summed_up(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict of several symbols.

    >>> summed_up(["stable", "drift", "not judged"]), summed_up(["not judged", "stable"]), summed_up([])
    ('drift', 'stable', 'not judged')
    """
    ordered: tuple[Verdict, ...] = ("drift", "stable")
    return next((verdict for verdict in ordered if verdict in verdicts), "not judged")

"""When a model should be trained again: its predictions are worse than promised, and something has drifted."""

from collections.abc import Sequence
from dataclasses import replace

from mikrobot.domain.drift import DriftKind, WindowVerdict
from mikrobot.monitoring.drift_verdict import OF_LAST, REARMED_AFTER, onsets


def degradations(windows: Sequence[WindowVerdict]) -> list[WindowVerdict]:
    """Return the windows in which a degradation begins, as verdicts on the concept with all reasons.

    A window is degraded if its concept has drifted and its features, predictions or calibration have in one of the
    last three windows. Drift of the inputs alone is none, since a model may be as good on other inputs; nor is bad
    luck on inputs that have not changed. Better predictions are none.

    Parameters
    ----------
    windows : sequence of WindowVerdict
        All kinds of one symbol.
    """
    judged = _judged(windows)
    begins = onsets([window.drifted for window in judged])
    return [replace(window, onset=True) for window, begin in zip(judged, begins, strict=True) if begin]


def standing(windows: Sequence[WindowVerdict]) -> WindowVerdict | None:
    """Return the window in which a degradation begins that has not ended; None if there is none.

    Three windows in a row without degradation end it.

    Parameters
    ----------
    windows : sequence of WindowVerdict
        As in `degradations`.
    """
    begun = degradations(windows)
    lasts = any(window.drifted for window in _judged(windows)[-REARMED_AFTER:])
    return begun[-1] if begun and lasts else None


def renewed(windows: Sequence[WindowVerdict]) -> WindowVerdict | None:
    """Return the newest window of the concept if a degradation that began earlier goes on in it; None otherwise.

    Parameters
    ----------
    windows : sequence of WindowVerdict
        As in `degradations`.
    """
    judged, begun = _judged(windows), degradations(windows)
    if not judged or not judged[-1].drifted or begun[-1].until == judged[-1].until:
        return None
    return judged[-1]


def _judged(windows: Sequence[WindowVerdict]) -> list[WindowVerdict]:
    """Return a verdict for each window of the concept in order of time: drifted if it is degraded, with all reasons."""
    concept = sorted((w for w in windows if w.kind is DriftKind.CONCEPT), key=lambda window: window.until)
    drifted = [w for w in windows if w.kind is not DriftKind.CONCEPT and w.drifted]
    judged = []
    for window in concept:
        causes = _causes(window, drifted)
        degraded, reasons = window.drifted and bool(causes), (*window.reasons, *causes)
        judged.append(WindowVerdict(DriftKind.CONCEPT, window.since, window.until, degraded, False, reasons))
    return judged


def _causes(window: WindowVerdict, drifted: Sequence[WindowVerdict]) -> tuple[str, ...]:
    """Return the reasons of the newest drift of each other kind within the last windows."""
    length = window.until - window.since
    recent = {
        w.kind: w for w in sorted(drifted, key=lambda w: w.until)
        if window.until - (OF_LAST - 1) * length <= w.until <= window.until
    }  # fmt: skip
    return tuple(reason for w in recent.values() for reason in w.reasons)

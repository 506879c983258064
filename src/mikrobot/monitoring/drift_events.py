"""Which drift and degradation no event has reported yet: what the events of the monitor flow are about.

Windows are weeks once enough have passed, days before. Drift that days have found already is no news as weeks.
"""

from collections.abc import Sequence, Set

from mikrobot.domain.drift import DriftEvent, DriftKind, EventName, Mark, WindowVerdict
from mikrobot.monitoring.degradation import degradations, renewed, standing
from mikrobot.monitoring.drift_verdict import OF_LAST
from mikrobot.store.drift_history import Judged


def unreported_drift(windows: Sequence[WindowVerdict], reported: Set[Mark]) -> list[WindowVerdict]:
    """Return the windows in which drift begins that no event has reported.

    Parameters
    ----------
    windows : sequence of WindowVerdict
        All stored verdicts on a model version.
    reported : set of Mark
    """
    drifted = [window for window in windows if window.drifted]
    return [w for w in windows if w.onset and _mark("drift", w) not in reported and not _continues(w, drifted)]


def unreported_degradation(
    windows: Sequence[WindowVerdict], fresh: Sequence[WindowVerdict], reported: Set[Mark]
) -> list[WindowVerdict]:
    """Return the windows in which a degradation begins that no event has reported, and that is new or has not ended.

    Parameters
    ----------
    windows, reported
        As in `unreported_drift`.
    fresh : sequence of WindowVerdict
        Those of the verdicts that were not stored before.
    """
    lengths = sorted({window.until - window.since for window in windows})
    of_length = [[window for window in windows if window.until - window.since == length] for length in lengths]
    before = [
        window for group in of_length[:-1] for window in degradations(group) if _mark("degraded", window) in reported
    ]
    present = of_length[-1] if of_length else []
    ends, lasting = {window.until for window in fresh if window.kind is DriftKind.CONCEPT}, standing(present)
    return [
        window
        for window in degradations(present)
        if (window.until in ends or window == lasting)
        and _mark("degraded", window) not in reported
        and not _continues(window, before)
    ]


def repeated_degradation(
    windows: Sequence[WindowVerdict], fresh: Sequence[WindowVerdict], reported: Set[Mark]
) -> list[WindowVerdict]:
    """Return the newest window if it was judged now, and the version is still worse in it.

    The retraining that was asked for has not replaced the version: its data were still those of the former market.

    Parameters
    ----------
    windows, fresh, reported
        As in `unreported_degradation`.
    """
    longest = max((window.until - window.since for window in windows), default=None)
    window = renewed([window for window in windows if window.until - window.since == longest])
    ends = {verdict.until for verdict in fresh if verdict.kind is DriftKind.CONCEPT}
    if window is None or window.until not in ends or _mark("degraded", window) in reported:
        return []
    return [window]


def event_of(name: EventName, judged: Judged, window: WindowVerdict) -> DriftEvent:
    """Return the event about what begins in a window."""
    source, symbol, model, version = judged.key
    return DriftEvent(name, source, symbol, model, version, window.kind, window.since, window.until, window.reasons)


def _mark(name: EventName, window: WindowVerdict) -> Mark:
    return name, window.kind, window.since, window.until


def _continues(window: WindowVerdict, earlier: Sequence[WindowVerdict]) -> bool:
    """Return whether shorter windows have drifted within the last windows of this length."""
    length = window.until - window.since
    return any(
        other.kind is window.kind
        and other.until - other.since < length
        and window.until - OF_LAST * length < other.until <= window.until
        for other in earlier
    )

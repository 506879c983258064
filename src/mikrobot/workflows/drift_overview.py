"""The stored drift verdicts of the latest run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mikrobot.domain.drift import WindowVerdict
from mikrobot.domain.serialisation import plain
from mikrobot.live.session import recorded_run
from mikrobot.models.scope import Scope
from mikrobot.monitoring.drift_report import Verdict, summed_up, verdict_of
from mikrobot.settings import Settings
from mikrobot.store.drift_history import DriftHistory, Judged
from mikrobot.store.postgres import database
from mikrobot.store.runs import Run, Runs


@dataclass(frozen=True, slots=True)
class DriftOverview:
    """The stored verdicts of a run.

    Attributes
    ----------
    run : Run
    judged : mapping of str to Judged or None
        What was judged last, by symbol; None if nothing was.
    windows : mapping of str to list of WindowVerdict
        Its windows by symbol, in order of time; of the longest length, since days are followed by weeks.
    """

    run: Run
    judged: Mapping[str, Judged | None]
    windows: Mapping[str, list[WindowVerdict]]

    @property
    def verdict(self) -> Verdict:
        """Drift if any symbol has drifted, stable if none has."""
        return summed_up([verdict_of(windows) for windows in self.windows.values()])

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "run": self.run.id,
            "source": self.run.source,
            "simulated": self.run.simulated,
            "verdict": self.verdict,
            "symbols": {symbol: self._symbol(symbol) for symbol in self.run.symbols},
        }

    def _symbol(self, symbol: str) -> dict[str, Any]:
        judged, windows = self.judged[symbol], self.windows[symbol]
        return {
            "model": judged.model if judged else None,
            "version": judged.version if judged else None,
            "verdict": verdict_of(windows),
            "verdicts": sum(window.onset for window in windows),
            "windows": [
                {
                    "kind": window.kind.value,
                    "from": window.since,
                    "to": window.until,
                    "verdict": "drift" if window.drifted else "stable",
                    "onset": window.onset,
                    "reasons": list(window.reasons),
                    **plain(window.figures),
                }
                for window in windows
            ],
        }


def read(settings: Settings) -> DriftOverview:
    """Read the verdicts of the symbols of the latest run.

    Raises
    ------
    UsageError
        If there is no run.
    StoreError
        If the database does not answer.
    """
    with database.open_pool(settings) as pool:
        run, history = recorded_run(Runs(pool)), DriftHistory(pool)
        judged = {symbol: history.newest(Scope(run.source, symbol)) for symbol in run.symbols}
        windows = {symbol: _longest(history.of(what)) if what is not None else [] for symbol, what in judged.items()}
    return DriftOverview(run, judged, windows)


def _longest(windows: list[WindowVerdict]) -> list[WindowVerdict]:
    lengths = [window.until - window.since for window in windows]
    return [window for window, length in zip(windows, lengths, strict=True) if length == max(lengths)]

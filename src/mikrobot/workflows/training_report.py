"""The results of trainings as a run, a command and a flow report them. Trains nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from mikrobot.training.evaluation_figures import Evaluation


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """One training of a model.

    Attributes
    ----------
    version : str
    alias : "champion", "challenger" or None
        The highest role of the version for any of its symbols.
    promoted : bool
        True if it is the champion of any symbol.
    champion_of, challenger_of : tuple of str
        Symbols.
    reason : str
        Rulings of the promotion gate, in one line.
    source : str
        Market source of the bars.
    symbols : tuple of str
    trained_from, trained_until : datetime
        UTC; no data outside was used.
    horizon_minutes : int
    metrics : Evaluation
        Of the test span.
    """

    version: str
    alias: str | None
    promoted: bool
    champion_of: tuple[str, ...]
    challenger_of: tuple[str, ...]
    reason: str
    source: str
    symbols: tuple[str, ...]
    trained_from: datetime
    trained_until: datetime
    horizon_minutes: int
    metrics: Evaluation


@dataclass(frozen=True, slots=True)
class ModelTrainings(TrainingReport):
    """The newest training of a model, and its earlier ones.

    Attributes
    ----------
    earlier : tuple of TrainingReport
        The newest first; a run trains once for each segment.
    """

    earlier: tuple[TrainingReport, ...]

    @classmethod
    def of(cls, trained: Sequence[TrainingReport]) -> "ModelTrainings":
        """Return several trainings, given the earliest first, as one."""
        *earlier, newest = trained
        values = {field.name: getattr(newest, field.name) for field in fields(newest)}
        return cls(**values, earlier=tuple(reversed(earlier)))

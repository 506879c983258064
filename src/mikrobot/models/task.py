"""The prediction task of a model: its label, its levels and its horizon."""

from dataclasses import dataclass

from mikrobot.models.catalog import MODELS, kind_of
from mikrobot.models.kind import LabelTerms, ModelKind, Reach
from mikrobot.models.labels.breaks import Mode
from mikrobot.models.labels.samples import Floats, Labels, Prices

ATR = "m1_atr_14"
TICK = "m1_tick"


@dataclass(frozen=True, slots=True)
class Task:
    """A prediction task with a definite outcome.

    Attributes
    ----------
    kind : str
        Kind of the model, a key of `MODELS`.
    swing : int
        Bars on each side of the swings that form the levels.
    horizon : int
        In minutes for ``bos`` and ``nowcast``, in bars for the others; always 5 for ``nowcast``.
    mode : "close" or "wick"
        The price that breaks a level; only ``bos`` has ``wick``.
    target_atr, stop_atr : float
        Barriers of a retest, in ATRs.

    Raises
    ------
    ValueError
        If there is no such task.

    >>> Task("bos", swing=5, horizon=15, mode="wick").columns
    ('m1_wick_5_above', 'm1_wick_5_below')
    """

    kind: str = "bos"
    swing: int = 5
    horizon: int = 5
    mode: Mode = "close"
    target_atr: float = 1.0
    stop_atr: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in MODELS:
            raise ValueError(f"expected a task of {', '.join(MODELS)}, found {self}")
        if self.mode not in self.model.reach:
            raise ValueError(f"expected a {self.kind} task by {' or '.join(self.model.reach)}, found {self.mode!r}")
        if self.reach == "end" and self.horizon != self.model.horizon:
            raise ValueError(f"expected a {self.kind} of {self.model.horizon} minutes, found {self.horizon}")

    @property
    def model(self) -> ModelKind:
        """The kind of the model."""
        return kind_of(self.kind)

    @property
    def columns(self) -> tuple[str, str]:
        """Catalog columns of the levels above and below, known at each M1 close."""
        levels = f"{self.model.timeframe}_{'wick' if self.mode == 'wick' else 'break'}_{self.swing}"
        return f"{levels}_above", f"{levels}_below"

    @property
    def reach(self) -> Reach:
        """Prices that decide the outcome: every close, every high and low, or only the last close of the horizon."""
        return self.model.reach[self.mode]

    def label(self, prices: Prices, levels: Floats, atr: Floats) -> Labels:
        """Label the bars of one symbol.

        Parameters
        ----------
        prices : Prices
        levels : ndarray of float64, shape (bars, 2)
            The values of `columns` after each bar.
        atr : ndarray of float64, shape (bars,)
            The values of `ATR` after each bar.
        """
        terms = LabelTerms(self.horizon, self.mode, self.target_atr, self.stop_atr)
        return self.model.label(prices, levels, atr, terms)

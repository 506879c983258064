"""What a model is asked: which label, of which levels, within which horizon."""

from dataclasses import dataclass
from typing import Literal, get_args

from mikrobot.models.labels.breaks import FORMING_MINUTES, Mode, bos, nowcast
from mikrobot.models.labels.followups import false_break, retest
from mikrobot.models.labels.samples import Floats, Labels, Prices

Kind = Literal["bos", "nowcast", "retest", "false_break"]
Reach = Literal["close", "extreme", "end"]

ATR = "m1_atr_14"


@dataclass(frozen=True, slots=True)
class Task:
    """A question with a definite answer; the builder of datasets serves all of them.

    Attributes
    ----------
    kind : "bos", "nowcast", "retest" or "false_break"
        See the functions of these names.
    swing : int
        Bars on each side of the swings whose levels are asked about.
    horizon : int
        Minutes of ``bos`` and ``nowcast``, bars of the others; of a nowcast always 5.
    mode : "close" or "wick"
        What breaks a level; only ``bos`` knows ``wick``.
    target_atr, stop_atr : float
        Barriers of a retest.

    Raises
    ------
    ValueError
        If there is no such task.

    >>> Task("bos", swing=5, horizon=15, mode="wick").columns
    ('m1_wick_5_above', 'm1_wick_5_below')
    """

    kind: Kind = "bos"
    swing: int = 5
    horizon: int = 5
    mode: Mode = "close"
    target_atr: float = 1.0
    stop_atr: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind) or self.mode not in get_args(Mode):
            raise ValueError(f"expected one of {', '.join(get_args(Kind))} by close or wick, found {self}")
        if self.mode == "wick" and self.kind != "bos":
            raise ValueError(f"expected a {self.kind} task by the close, found mode {self.mode!r}")
        if self.kind == "nowcast" and self.horizon != FORMING_MINUTES:
            raise ValueError(f"expected a nowcast of {FORMING_MINUTES} minutes, found {self.horizon}")

    @property
    def columns(self) -> tuple[str, str]:
        """Catalog columns of the levels above and below, known at each M1 close."""
        frame = "m5" if self.kind == "nowcast" else "m1"
        family = "wick" if self.mode == "wick" else "break"
        return f"{frame}_{family}_{self.swing}_above", f"{frame}_{family}_{self.swing}_below"

    @property
    def reach(self) -> Reach:
        """Which prices decide: the closes on the way, the highs and lows on the way, or the last close."""
        if self.kind == "nowcast":
            return "end"
        return "extreme" if self.mode == "wick" or self.kind == "retest" else "close"

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
        match self.kind:
            case "bos":
                return bos(prices, levels, self.horizon, self.mode)
            case "nowcast":
                return nowcast(prices, levels)
            case "retest":
                return retest(prices, levels, atr, self.horizon, self.target_atr, self.stop_atr)
            case "false_break":
                return false_break(prices, levels, self.horizon)

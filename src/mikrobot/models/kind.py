"""The definition of one kind of model: its question, inputs, label, learners and model card text.

Each kind is a module with a `ModelKind` named ``KIND``; `catalog` lists them. This module trains and
stores nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mikrobot.models.conformal import BREAK_OR_HOLD, OutcomeNames
from mikrobot.models.inputs import SideInputs
from mikrobot.models.labels.breaks import Mode
from mikrobot.models.labels.samples import Floats, Labels, Prices

Reach = Literal["close", "extreme", "end"]


@dataclass(frozen=True, slots=True)
class LabelTerms:
    """The parameters of a label.

    Attributes
    ----------
    horizon : int
        In minutes or bars; see `ModelKind.horizon`.
    mode : "close" or "wick"
        The price that breaks a level.
    target_atr, stop_atr : float
        Distances of the barriers of a retest, in ATR.
    """

    horizon: int
    mode: Mode = "close"
    target_atr: float = 1.0
    stop_atr: float = 1.0


Label = Callable[[Prices, Floats, Floats, LabelTerms], Labels]
"""(prices of a symbol, levels above and below after each bar, ATR after each bar, terms) -> labelled samples."""


@dataclass(frozen=True, slots=True)
class LearnerSpec:
    """A learner of a model, and its parameters if they differ from the defaults.

    Attributes
    ----------
    name : str
        Key of `mikrobot.training.learners.LEARNERS`.
    parameters : mapping
        Replaces the learner's default parameters; empty keeps the defaults.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """A metric's target from the requirement.

    Attributes
    ----------
    figure : str
        Key of the metric.
    least : float
        Minimum value.
    """

    figure: str
    least: float


@dataclass(frozen=True, slots=True)
class CardText:
    """The text of a model card that does not follow from the metrics.

    Attributes
    ----------
    question : str
        The question that the model answers.
    targets : tuple of Target
    why_missed : str
        Reason why a target is missed, if no confidence band reaches it either.
    limits : tuple of str
        Limits that the metrics do not show.
    """

    question: str
    targets: tuple[Target, ...]
    why_missed: str
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelKind:
    """A kind of model.

    Attributes
    ----------
    name : str
        Name in the registry and on the command line.
    card : CardText
    inputs : callable
        (swing, mode) -> the inputs of that model.
    label : callable
        See `Label`.
    timeframe : "m1" or "m5"
        Timeframe of the levels.
    reach : mapping of mode to reach
        Prices that decide the outcome, for each mode that the kind has: every close of the horizon
        (``close``), every high and low (``extreme``), or only the last close (``end``).
    swing : int or None
        Bars on each side of its swings; None: from the settings.
    horizon : int or None
        Minutes or bars until the outcome; None: minutes, from the settings.
    starts_from : callable
        Horizon -> the input from which the diffusion baseline computes the log odds that the learners
        correct, or None.
    members : tuple of LearnerSpec
        The model predicts the mean of these learners; the parameters of boosted trees are searched.
    compared : tuple of LearnerSpec
        Learners that are evaluated and kept for comparison.
    beyond_ticks : float
        Ticks from the price of the label to the one at which an unrounded price makes the outcome true.
    direction : 1 or -1
        Side of the trade that follows a positive prediction: with the side of the sample, or against it.
    outcomes : OutcomeNames
    """

    name: str
    card: CardText
    inputs: Callable[[int, Mode], SideInputs]
    label: Label
    members: tuple[LearnerSpec, ...]
    timeframe: Literal["m1", "m5"] = "m1"
    reach: Mapping[Mode, Reach] = field(default_factory=lambda: {"close": "close"})
    swing: int | None = None
    horizon: int | None = None
    starts_from: Callable[[int], str | None] = lambda horizon: None
    compared: tuple[LearnerSpec, ...] = ()
    beyond_ticks: float = 0.0
    direction: Literal[1, -1] = 1
    outcomes: OutcomeNames = BREAK_OR_HOLD

"""The definition of one kind of model: its question, its inputs, its label, its learners and the text of its card.

Each kind is a module with a `ModelKind` named ``KIND``; `catalog` lists them. Trains and stores nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mikrobot.models.inputs import SideInputs
from mikrobot.models.labels.breaks import Mode
from mikrobot.models.labels.samples import Floats, Labels, Prices

Reach = Literal["close", "extreme", "end"]


@dataclass(frozen=True, slots=True)
class LabelTerms:
    """The terms by which an outcome is judged.

    Attributes
    ----------
    horizon : int
        Minutes, or bars, as `ModelKind.horizon` says.
    mode : "close" or "wick"
        The price that breaks a level.
    target_atr, stop_atr : float
        Distances of the barriers of a retest, in ATRs.
    """

    horizon: int
    mode: Mode = "close"
    target_atr: float = 1.0
    stop_atr: float = 1.0


Label = Callable[[Prices, Floats, Floats, LabelTerms], Labels]
"""(prices of a symbol, levels above and below after each bar, ATR after each bar, terms) -> labelled samples."""


@dataclass(frozen=True, slots=True)
class LearnerSpec:
    """A learner of a model, and the parameters that differ from the learner's own.

    Attributes
    ----------
    name : str
        Key of `mikrobot.training.learners.LEARNERS`.
    parameters : mapping
        Replaces the learner's own parameters; empty: keeps them.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that the requirement asks for.

    Attributes
    ----------
    figure : str
        Key of the metrics.
    least : float
    """

    figure: str
    least: float


@dataclass(frozen=True, slots=True)
class CardText:
    """The sentences of a model card that the figures cannot supply.

    Attributes
    ----------
    question : str
        The question that the model answers.
    targets : tuple of Target
    why_missed : str
        Reason for a missed target that no confidence band reaches either.
    limits : tuple of str
        What the figures do not show.
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
        In the registry and on the command line.
    card : CardText
    inputs : callable
        (swing, mode) -> the inputs of that model.
    label : callable
        See `Label`.
    timeframe : "m1" or "m5"
        Of the levels that it is asked about.
    reach : mapping of mode to reach
        Prices that decide the outcome, for each mode that the kind has: the closes on the way
        (``close``), the highs and lows on the way (``extreme``), or the last close (``end``).
    swing : int or None
        Bars on each side of its swings; None: as set.
    horizon : int or None
        Minutes or bars until the outcome; None: minutes, as set.
    starts_from : callable
        Horizon -> the input from which the diffusion baseline computes the log odds that the learners
        correct, or None.
    members : tuple of LearnerSpec
        The model answers with their mean; parameters of boosted trees are searched.
    compared : tuple of LearnerSpec
        Learners that are evaluated and kept for comparison.
    direction : 1 or -1
        The side of a trade that follows the answer: with the side of the sample, or against it.
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
    direction: Literal[1, -1] = 1

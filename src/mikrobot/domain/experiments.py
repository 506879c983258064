"""What an experiment compares, how it was planned, and what it observed.

Frozen records; nothing here decides or computes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class Unit(Enum):
    """What counts as one observation of an arm.

    DAY: the net result in R of all its trades of a market day, 0 without one; arms are paired by
    day. TRADE: the net result in R of a trade; arms are independent samples.
    """

    DAY = "day"
    TRADE = "trade"


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the things compared.

    Attributes
    ----------
    name : str
    selects : mapping of str to str
        Recorded settings of the runs that belong to it, as ``{"profile": "ftmo"}``; ``run`` names a
        run by its id, ``model_version`` takes the trades of one version.
    share : float
        Of the units it is planned to get; the shares of all arms add up to 1.
    """

    name: str
    selects: Mapping[str, str]
    share: float


@dataclass(frozen=True, slots=True)
class Experiment:
    """The plan, fixed before the first observation.

    Attributes
    ----------
    id : str
    question : str
    arms : tuple of Arm
        The control first.
    unit : Unit
    effect : float
        Smallest difference of the means worth finding, R per observation, positive.
    deviation : float
        Standard deviation of an observation that was planned with, R (on DAY: of the difference of a
        pair).
    alpha, power : float
        Rate of false alarms that is accepted, and chance that a true `effect` is found.
    floor : float
        Smallest share that the bandits leave to an arm.
    begun_at : datetime
        UTC.
    """

    id: str
    question: str
    arms: tuple[Arm, ...]
    unit: Unit
    effect: float
    deviation: float
    alpha: float
    power: float
    floor: float
    begun_at: datetime

    @property
    def control(self) -> Arm:
        """What the others are compared with."""
        return self.arms[0]


@dataclass(frozen=True, slots=True)
class Observation:
    """One value of an arm.

    Attributes
    ----------
    arm : str
    unit : str
        Which day or trade, the same text for the same day in every arm.
    at : datetime
        When it was known, UTC.
    value : float
        R, net of costs.
    """

    arm: str
    unit: str
    at: datetime
    value: float

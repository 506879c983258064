"""Experiments: the compared arms, the plan and the observations.

Frozen records only; decides and computes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class Unit(Enum):
    """Unit of observation.

    DAY: the net result in R of all trades of an arm on one market day, 0 without trades; arms are
    paired by day. TRADE: the net result in R of one trade; arms are independent samples.
    """

    DAY = "day"
    TRADE = "trade"


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of an experiment.

    Attributes
    ----------
    name : str
    selects : mapping of str to str
        Recorded settings of the runs that belong to the arm, as ``{"profile": "ftmo"}``. ``run``
        selects a run by its id, ``model_version`` the trades of one model version.
    share : float
        Planned share of the units; the shares of all arms add up to 1.
    """

    name: str
    selects: Mapping[str, str]
    share: float


@dataclass(frozen=True, slots=True)
class Experiment:
    """The plan of an experiment, fixed before the first observation.

    Attributes
    ----------
    id : str
    question : str
    arms : tuple of Arm
        The control first.
    unit : Unit
    effect : float
        Smallest difference of the means worth detecting, R per observation, positive.
    deviation : float
        Standard deviation of an observation assumed in the plan, R (for DAY: of the difference of a
        pair).
    alpha, power : float
        Accepted false positive rate, and probability of detecting a true `effect`.
    floor : float
        Smallest share that the bandit algorithms give to an arm.
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
        """Arm that the others are compared with."""
        return self.arms[0]


@dataclass(frozen=True, slots=True)
class Observation:
    """One value of an arm.

    Attributes
    ----------
    arm : str
    unit : str
        Day or trade; the same day has the same text in every arm.
    at : datetime
        Time from which the value is known, UTC.
    value : float
        R, net of costs.
    """

    arm: str
    unit: str
    at: datetime
    value: float

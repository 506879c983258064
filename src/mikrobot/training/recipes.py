"""How each model is made: what it is asked, which learners answer, where boosting starts.

One entry a model; `pipeline` follows it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from mikrobot.models.bos import BosInputs
from mikrobot.models.false_break import FalseBreakInputs
from mikrobot.models.inputs import FORECASTS, SideInputs
from mikrobot.models.labels.breaks import FORMING_MINUTES, Mode
from mikrobot.models.labels.task import Task
from mikrobot.models.nowcast import NowcastInputs
from mikrobot.models.retest import RetestInputs
from mikrobot.settings import Settings
from mikrobot.training.learners import (
    BOOSTING,
    BROAD_FOREST,
    FOREST,
    NETWORK,
    SUPPORT,
    Learned,
    Parameters,
    Samples,
    boosted,
    forest,
    network,
    support_vectors,
)

M5_SWING = 5
RETEST_BARS, FALSE_BREAK_BARS = 30, 5
"""Bars within which a retest must reach its target, and a false break must come back."""

Learn = Callable[[Samples, Samples, int, Parameters], Learned]
"""(training span, watched span, seed, parameters) -> the fitted learner."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one model is made.

    Attributes
    ----------
    task : Task
        What is asked; its kind is the model's name in the registry.
    inputs : SideInputs
    starts_from : str or None
        Input of which a walk tells log odds that are added to those of the members.
    members : mapping of str to (Learn, Parameters)
        Whose mean is served; parameters of `boosted` are searched.
    beside : mapping of str to (Learn, Parameters)
        Judged beside it and kept for study.
    """

    task: Task
    inputs: SideInputs
    starts_from: str | None
    members: Mapping[str, tuple[Learn, Parameters]]
    beside: Mapping[str, tuple[Learn, Parameters]]

    @property
    def corrects(self) -> bool:
        """Whether the members are trained to correct the walk; if not, its share is fitted afterwards."""
        return all(learn is boosted for learn, _ in self.members.values())

    @property
    def horizon(self) -> timedelta:
        """Longest that an outcome takes."""
        return timedelta(minutes=self.task.horizon)


def bos(settings: Settings, mode: Mode = "close") -> Recipe:
    """Boosted trees that correct the diffusion baseline, beside a random forest."""
    forecast = next((minutes for minutes in FORECASTS if minutes >= settings.horizon_minutes), FORECASTS[-1])
    return Recipe(
        task=Task("bos", settings.swing, settings.horizon_minutes, mode),
        inputs=BosInputs(settings.swing, mode),
        starts_from=f"level_forecast_{forecast}",
        members={"boosted": (boosted, BOOSTING)},
        beside={"random_forest": (forest, FOREST)},
    )


def nowcast(settings: Settings) -> Recipe:
    """Boosted trees that correct the diffusion baseline, on M5, whose levels are of swings of 5."""
    return Recipe(
        task=Task("nowcast", M5_SWING, FORMING_MINUTES),
        inputs=NowcastInputs(M5_SWING),
        starts_from="level_forecast",
        members={"boosted": (boosted, BOOSTING)},
        beside={},
    )


def retest(settings: Settings) -> Recipe:
    """Boosted trees and a neural network."""
    return Recipe(
        task=Task("retest", settings.swing, RETEST_BARS),
        inputs=RetestInputs(settings.swing),
        starts_from=None,
        members={"boosted": (boosted, BOOSTING), "network": (network, NETWORK)},
        beside={},
    )


def false_break(settings: Settings) -> Recipe:
    """A support vector machine and a random forest, and as much of the diffusion baseline as helps them."""
    return Recipe(
        task=Task("false_break", settings.swing, FALSE_BREAK_BARS),
        inputs=FalseBreakInputs(settings.swing),
        starts_from=f"penetration_forecast_{FALSE_BREAK_BARS}",
        members={"support_vectors": (support_vectors, SUPPORT), "random_forest": (forest, BROAD_FOREST)},
        beside={},
    )


RECIPES: dict[str, Callable[[Settings], Recipe]] = {
    "bos": bos,
    "nowcast": nowcast,
    "retest": retest,
    "false_break": false_break,
}

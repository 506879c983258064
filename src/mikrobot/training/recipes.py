"""How each model is made: what it is asked, which learners answer, where boosting starts.

One entry a model; `pipeline` follows it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from mikrobot.models.bos import BosInputs
from mikrobot.models.labels.task import Task
from mikrobot.models.model import Inputs
from mikrobot.settings import Settings
from mikrobot.training.learners import (
    BOOSTING,
    FOREST,
    Learned,
    Parameters,
    Samples,
    boosted,
    forest,
)

Learn = Callable[[Samples, Samples, int, Parameters], Learned]
"""(training span, watched span, seed, parameters) -> the fitted learner."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one model is made.

    Attributes
    ----------
    task : Task
        What is asked; its kind is the model's name in the registry.
    inputs : Inputs
    starts_from : str or None
        Input whose log odds boosting starts from.
    members : mapping of str to (Learn, Parameters)
        Whose mean is served; parameters of `boosted` are searched.
    beside : mapping of str to (Learn, Parameters)
        Judged beside it and kept for study.
    """

    task: Task
    inputs: Inputs
    starts_from: str | None
    members: Mapping[str, tuple[Learn, Parameters]]
    beside: Mapping[str, tuple[Learn, Parameters]]

    @property
    def horizon(self) -> timedelta:
        """Longest that an outcome takes."""
        return timedelta(minutes=self.task.horizon)


def bos(settings: Settings) -> Recipe:
    """Boosted trees that correct the diffusion baseline, beside a random forest."""
    return Recipe(
        task=Task("bos", settings.swing, settings.horizon_minutes),
        inputs=BosInputs(settings.swing),
        starts_from="level_sigma_60",
        members={"boosted": (boosted, BOOSTING)},
        beside={"random_forest": (forest, FOREST)},
    )


RECIPES: dict[str, Callable[[Settings], Recipe]] = {"bos": bos}

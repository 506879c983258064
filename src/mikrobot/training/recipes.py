"""The recipe of one training run: a kind of model combined with the settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from mikrobot.models.catalog import kind_of
from mikrobot.models.inputs import SideInputs
from mikrobot.models.kind import LearnerSpec
from mikrobot.models.labels.breaks import Mode
from mikrobot.models.task import Task
from mikrobot.settings import Settings
from mikrobot.training.learners import LEARNERS, Learn, Parameters, boosted


@dataclass(frozen=True, slots=True)
class Recipe:
    """Task, inputs and learners of one model.

    Attributes
    ----------
    task : Task
        The prediction task; its kind is the model's name in the registry.
    inputs : SideInputs
    starts_from : str or None
        Input from which the diffusion baseline computes log odds that are added to those of the members.
    members : mapping of str to (Learn, Parameters)
        The model predicts the mean of these learners; the parameters of `boosted` are searched.
    compared : mapping of str to (Learn, Parameters)
        Learners that are evaluated and kept for comparison.
    """

    task: Task
    inputs: SideInputs
    starts_from: str | None
    members: Mapping[str, tuple[Learn, Parameters]]
    compared: Mapping[str, tuple[Learn, Parameters]]

    @property
    def corrects(self) -> bool:
        """True if the members are trained to correct the baseline; if not, its share is fitted afterwards."""
        return all(learn is boosted for learn, _ in self.members.values())

    @property
    def horizon(self) -> timedelta:
        """Longest time until an outcome is known."""
        return timedelta(minutes=self.task.horizon)


def recipe_of(name: str, settings: Settings, mode: Mode = "close") -> Recipe:
    """Return the recipe of a kind of model; a kind without a swing or horizon gets those of the settings.

    Raises
    ------
    ModelError
        If there is no such kind.
    """
    kind = kind_of(name)
    swing, horizon = kind.swing or settings.swing, kind.horizon or settings.horizon_minutes
    return Recipe(
        task=Task(name, swing, horizon, mode),
        inputs=kind.inputs(swing, mode),
        starts_from=kind.starts_from(horizon),
        members={spec.name: _learner(spec) for spec in kind.members},
        compared={spec.name: _learner(spec) for spec in kind.compared},
    )


def _learner(spec: LearnerSpec) -> tuple[Learn, Parameters]:
    learn, own = LEARNERS[spec.name]
    return learn, spec.parameters or own

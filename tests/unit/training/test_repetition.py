"""The identity of a training changes with everything that it depends on."""

import pytest

from mikrobot.settings import Settings
from mikrobot.training.recipes import recipe_of
from mikrobot.training.repetition import configuration

SETTINGS = Settings()
DEFAULT = configuration(recipe_of("bos", SETTINGS), SETTINGS, "features", "program")


@pytest.mark.parametrize(
    "changed", [{"seed": 8}, {"trials": 3}, {"tuning_seconds": 7}, {"swing": 15}, {"horizon_minutes": 6}]
)
def test_a_setting_that_a_training_uses_changes_it(changed: dict[str, int]) -> None:
    settings = Settings(**changed)
    assert configuration(recipe_of("bos", settings), settings, "features", "program") != DEFAULT


@pytest.mark.parametrize("changed", [{"hours": 3}, {"profile": "ftmo"}, {"retention_days": 7}])
def test_another_setting_does_not(changed: dict[str, int | str]) -> None:
    settings = Settings(**changed)
    assert configuration(recipe_of("bos", settings), settings, "features", "program") == DEFAULT


def test_the_model_the_features_and_the_program_change_it() -> None:
    recipe = recipe_of("bos", SETTINGS)
    others = {
        configuration(recipe_of("nowcast", SETTINGS), SETTINGS, "features", "program"),
        configuration(recipe, SETTINGS, "others", "program"),
        configuration(recipe, SETTINGS, "features", "newer"),
        DEFAULT,
    }
    assert len(others) == 4

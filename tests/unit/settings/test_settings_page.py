from dataclasses import fields
from pathlib import Path

from mikrobot.decision.strategies.catalog import STRATEGIES, ours
from mikrobot.domain.risk_profiles import RiskProfile
from mikrobot.settings import Settings
from mikrobot.settings_page import page

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_is_that_of_the_settings():
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == page(), "run: make docs"


def test_every_setting_and_limit_has_a_meaning():
    rows = [line.split(" | ") for line in page().splitlines() if line.startswith("| `")]
    assert all(len(row[-1].strip(" |")) > 5 for row in rows)
    assert {row[0].strip("| `") for row in rows} >= {
        *Settings.model_fields,
        *(field.name for field in fields(RiskProfile)),
    }
    assert all(field.description for field in Settings.model_fields.values())


def test_the_guide_names_every_parameter_of_our_strategies():
    guide = (DOCS / "strategies.md").read_text(encoding="utf-8").partition("## Parameters")[2]
    for strategy in map(ours, STRATEGIES):
        assert all(f"`{name}`" in guide for name in strategy.parameters)

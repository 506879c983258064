from pathlib import Path

from mikrobot.features.docs import page


def test_the_features_page_is_that_of_the_catalog():
    stored = (Path(__file__).parents[3] / "docs/features.md").read_text(encoding="utf-8")
    assert stored == page(), "run: python -m mikrobot.features.docs > docs/features.md"

import re
from pathlib import Path

import pytest

from mikrobot.features.docs import page

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs/adding-a-feature.md").read_text(encoding="utf-8")
QUOTES = re.findall(r"`((?:src|tests)/[^`]+\.py)`.*?```python\n(.*?)```", GUIDE, re.DOTALL)


def test_the_features_page_is_that_of_the_catalog():
    stored = (ROOT / "docs/features.md").read_text(encoding="utf-8")
    assert stored == page(), "run: python -m mikrobot.features.docs > docs/features.md"


@pytest.mark.parametrize(("path", "code"), QUOTES, ids=[path for path, _ in QUOTES])
def test_the_guide_quotes_the_current_code(path, code):
    assert len(QUOTES) == GUIDE.count("```python") == 3
    assert code in (ROOT / path).read_text(encoding="utf-8")

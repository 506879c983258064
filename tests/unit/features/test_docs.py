import re
from pathlib import Path

from mikrobot.features.docs import page
from mikrobot.features.kernel import parts

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs/adding-a-feature.md").read_text(encoding="utf-8")
STEP = re.search(r"`(src/[^`]+\.py)`.*?```python\n(.*?)```", GUIDE, re.DOTALL)


def test_the_features_page_is_that_of_the_catalog():
    stored = (ROOT / "docs/features.md").read_text(encoding="utf-8")
    assert stored == page(), "run: make docs"


def test_the_guide_quotes_a_step_of_the_library_and_nothing_that_the_next_feature_changes():
    assert STEP is not None
    path, code = STEP.groups()
    assert GUIDE.count("```python") == 1
    assert code in (ROOT / path).read_text(encoding="utf-8")


def test_the_guide_names_every_helper_of_a_step_and_no_other():
    named = set(re.findall(r"`([a-z]+)(?:\(length\))?`", GUIDE.partition("## Helpers")[2]))
    public = {
        name
        for name, value in vars(parts).items()
        if getattr(value, "__module__", "") == parts.__name__ and not name.startswith("_")
    }
    assert named - {"length"} == public - {"F", "compiled", "inlined", "record"}

"""The words and names that the style of this project leaves out, because they need a second reading."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = ("src", "flows", "bentos", "feature_repo", "expectations", "benchmarks", "tests")
PAGES = ("README.md", "CONTRIBUTING.md", "docs/*.md", "docs/adr/*.md", "**/*.j2")

WORDS = re.compile(
    r"\b(told|said|says|tells|beside|anew|comes to|dares?|held against|rests on|(?:is|are) at home|as it is left)\b",
    re.I,
)
NAMES = frozenset({"found", "each", "known", "said", "told", "seen", "done", "made"})

ALLOWED = {
    ("src/mikrobot/features/library/profile.py", "each"),  # a step, whose code decides the version of the features
    ("src/mikrobot/features/library/zones.py", "known"),  # the same
    ("src/mikrobot/features/quality.py", "known"),  # a field that templates read
    ("src/mikrobot/stack/doctor.py", "found"),  # a field that is a JSON key
}

_CODE_SPAN = re.compile(r"```.*?```|``[^`]*``|`[^`]*`|'\w+'|\"\w+\"", re.DOTALL)


def python_files() -> list[Path]:
    """Return every file of Python code, except this one, which lists the words."""
    paths = (path for folder in CODE for path in sorted((ROOT / folder).rglob("*.py")))
    return [path for path in paths if path != Path(__file__)]


def pages() -> list[Path]:
    paths = (path for pattern in PAGES for path in sorted(ROOT.glob(pattern)))
    return [path for path in paths if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)]


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each string and comment, without the code in it."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT):
            yield token.start[0], _CODE_SPAN.sub("", token.string)


@pytest.mark.parametrize("path", python_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_strings_and_comments_are_plain(path: Path) -> None:
    lines = [f"{path}:{line}: {text}" for line, text in prose(path.read_text("utf-8")) if WORDS.search(text)]
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_and_templates_are_plain(path: Path) -> None:
    words = WORDS.findall(_CODE_SPAN.sub("", re.sub(r"{[{%].*?[%}]}", "", path.read_text("utf-8"))))
    assert not words


@pytest.mark.parametrize("path", python_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_variables_are_named_for_what_they_hold(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    targets = {
        node.id
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    assert {target for target in targets & NAMES if (name, target) not in ALLOWED} == set()

"""Fit Markdown tables to the pages of the Prefect UI, which cut off tables wider than the text column."""

from collections.abc import Iterator, Sequence
from itertools import groupby

WIDTH = 95
"""Characters of a table row that an artifact's page shows on a screen of 1400 pixels."""

CELL = 60
"""Maximum characters of a cell; a longer cell ends with an ellipsis."""

PADDING = 4
"""Characters that the space around a cell takes."""


def fitted(markdown: str) -> str:
    r"""Shorten the cells of tables, and drop the columns on the right that do not fit.

    >>> print(fitted("# Figures\\n| a | b |\\n|---|---:|\\n| 1 | " + "x" * 70 + " |"))
    # Figures
    | a | b |
    |---|---:|
    | 1 | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… |
    """
    lines: list[str] = []
    for is_table, group in groupby(markdown.splitlines(), key=lambda line: line.startswith("|")):
        block = list(group)
        lines += _table(block) if is_table else block
    return "\n".join(lines)


def _table(lines: Sequence[str]) -> Iterator[str]:
    rows = [[_clipped(cell.strip()) for cell in line.strip().strip("|").split("|")] for line in lines]
    kept = _columns_that_fit([max(map(len, column)) for column in zip(*_texts(rows), strict=False)])
    for row in rows:
        ruler = all(set(cell) <= set(":-") and cell for cell in row)
        joint, edge = ("|", "") if ruler else (" | ", " ")
        yield f"|{edge}{joint.join(row[:kept])}{edge}|"


def _texts(rows: list[list[str]]) -> list[list[str]]:
    """Return the rows without the ruler below the headings."""
    return [row for number, row in enumerate(rows) if number != 1]


def _columns_that_fit(widths: list[int]) -> int:
    total = 0
    for number, width in enumerate(widths):
        total += width + PADDING
        if total > WIDTH:
            return max(number, 1)
    return len(widths)


def _clipped(cell: str) -> str:
    return cell if len(cell) <= CELL else f"{cell[: CELL - 1]}…"

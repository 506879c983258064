"""Tables of artifacts are cut to the width of the page, and the other text does not change."""

from flows.tables import CELL, PADDING, WIDTH, fitted

WIDE = "\n".join(
    [
        "# Report",
        "",
        "| Figure | Value | Convention |",
        "|---|---:|---|",
        f"| Return | -2.41 % | {'last equity over the first ' * 4} |",
        "| Sharpe | 1.2 | per day |",
        "",
        "A sentence | with a bar that is no table, and is long enough to be wider than any table may be on the page.",
    ]
)


def columns(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_table_that_fits_is_left_alone():
    table = "| a | b |\n|---|---:|\n| 1 | 2 |"
    assert fitted(table) == table


def test_long_cells_end_with_an_ellipsis_and_text_stays():
    lines = fitted(WIDE).splitlines()
    assert columns(lines[4])[:2] == ["Return", "-2.41 %"]
    assert len(columns(lines[4])[2]) == CELL
    assert columns(lines[4])[2].endswith("…")
    assert [lines[0], lines[-1]] == [WIDE.splitlines()[0], WIDE.splitlines()[-1]]


def test_columns_that_do_not_fit_are_dropped_from_every_row():
    names = [f"column {number:02d} of a journal" for number in range(12)]
    table = "\n".join(["|" + "|".join(row) + "|" for row in (names, ["---"] * 12, ["1"] * 12)])
    lines = fitted(table).splitlines()
    counts = {len(columns(line)) for line in lines}
    assert counts == {WIDTH // (len(names[0]) + PADDING)}
    assert columns(lines[0])[0] == names[0]

"""The benchmark of the prediction service, by the program that writes docs/benchmarks.md."""

from pathlib import Path

import pytest

from tests.measuring import measured

NAMES = ["prediction, one row over HTTP", "prediction, 1,000 rows over HTTP"]
WHILE = [f"prediction, one row while 76 MB of {length} length arrive" for length in ("known", "unknown")]
ROUTES = [
    "prediction, one row by its route",
    "prediction, one row, 16 clients at once, per request",
    "prediction, 10,000 rows as an Arrow stream, per row",
    "promotion until the version answers",
    "service, restart until it is ready with its champion",
]


@pytest.mark.soak
def test_predictions_are_measured_and_the_only_output_is_their_table(tmp_path: Path) -> None:
    pytest.importorskip("talib")
    process = measured(tmp_path, "-m", "benchmarks.suite", "serving")
    machine, empty, _, _, *rows = process.stdout.splitlines()
    assert "cores; python" in machine
    assert empty == ""
    assert process.stderr.splitlines() == [*NAMES, *WHILE, *ROUTES]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[0] for row in cells] == [*NAMES, *WHILE, *ROUTES]
    compared = [("ms", "MLflow's pyfunc, in process", "the bare model")] * 2
    compared += [("ms", "the target of its p99", "without them")] * 2
    compared += [("ms", "a no-op route with the same body", limit) for limit in ("the bare model", "its p99")]
    compared += [("us", "as JSON, 1,000 rows at once", "the bare model"), ("ms", "by polling alone", "the target")]
    compared += [("s", "the target", "until it answers")]
    assert [(unit, peer, limit) for _, _, _, unit, peer, _, _, limit, _ in cells] == compared
    for _, p50, p99, _, _, peer_p50, ratio, _, limit_p50 in cells:
        assert all(float(figure.replace(",", "")) > 0 for figure in (p50, p99, peer_p50, ratio, limit_p50))

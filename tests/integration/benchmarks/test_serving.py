"""The benchmark of the prediction service, by the program that writes docs/benchmarks.md."""

from pathlib import Path

import pytest

from tests.measuring import measured

NAMES = ["prediction, one row over HTTP", "prediction, 1,000 rows over HTTP"]


def test_predictions_are_measured_and_the_only_output_is_their_table(tmp_path: Path) -> None:
    pytest.importorskip("talib")
    process = measured(tmp_path, "-m", "benchmarks.suite", "serving")
    machine, empty, _, _, *rows = process.stdout.splitlines()
    assert "cores; python" in machine
    assert empty == ""
    assert process.stderr.splitlines() == NAMES
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[0] for row in cells] == NAMES
    for _, p50, p99, unit, peer, peer_p50, ratio, limit, limit_p50 in cells:
        assert (unit, peer, limit) == ("ms", "MLflow's pyfunc, in process", "the bare model")
        assert all(float(figure.replace(",", "")) > 0 for figure in (p50, p99, peer_p50, ratio, limit_p50))

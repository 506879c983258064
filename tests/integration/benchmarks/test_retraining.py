"""The benchmark of a retraining, on a stack of its own."""

from pathlib import Path

import pytest

from tests.measuring import measured


@pytest.mark.soak
def test_the_first_line_of_a_retraining_is_measured(tmp_path: Path) -> None:
    process = measured(tmp_path, "-m", "benchmarks.suite", "retraining")
    assert process.stderr.splitlines() == ["retrain, from the command to the first line of its log"]
    row = [cell.strip() for cell in process.stdout.splitlines()[-1].strip("|").split("|")]
    assert (row[3], row[4], row[7]) == ("s", "the target", "importing Prefect and the flow")
    assert 0 < float(row[1]) <= float(row[2])

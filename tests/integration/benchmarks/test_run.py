"""The benchmark of a whole run, on an hour of a simulated market and ten days of history."""

from pathlib import Path

import pytest

from benchmarks import suite
from tests.measuring import SMALL, require_plausible

FIRST_ORDER = "run, simulated market: first order"


@pytest.mark.soak
def test_a_run_is_measured_from_an_empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("talib")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    results = suite.measure(["run"], scale=SMALL)
    require_plausible(suite.to_json(results))
    by_name = {result.name: result for result in results}
    by_name.pop(FIRST_ORDER, None)  # an hour may pass without an order
    hours, memory = by_name.values()
    assert (hours.name, hours.unit) == ("run, simulated market: 1 hours traded", "s")
    assert (memory.name, memory.unit) == ("run, simulated market: memory at its peak", "MB")
    assert hours.p50 > hours.limit_p50
    assert memory.p50 > memory.limit_p50
    assert list(tmp_path.iterdir()) == []

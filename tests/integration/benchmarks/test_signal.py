"""The benchmark behind the headline latency, by the command: it ends, and prints nothing but its result."""

import json
from pathlib import Path

import pytest

from tests.measuring import measured, require_plausible


@pytest.mark.soak
def test_a_signal_is_measured_and_the_only_output_is_one_json_document(tmp_path: Path) -> None:
    pytest.importorskip("talib")
    process = measured(tmp_path, "-m", "mikrobot.cli.main", "bench", "signal", "--json")
    (result,) = json.loads(process.stdout)
    require_plausible([result])
    assert result["name"] == "signal, from a closed bar to the ledger"
    assert process.stderr.splitlines() == [f"  {result['name']}"]

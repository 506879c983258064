"""The benchmark of the streamer, with two symbols for some seconds."""

from pathlib import Path

import pytest

from benchmarks import suite
from tests.measuring import SMALL, require_plausible


@pytest.mark.soak
def test_the_processor_time_of_a_streamer_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("talib")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (result,) = suite.measure(["streamer"], scale=SMALL)
    require_plausible(suite.to_json([result]))
    assert (result.name, result.unit) == ("streamer, 2 symbols as busy as recordings, a second", "ms")
    assert [path for path in tmp_path.iterdir() if path.name.startswith("mikrobot-")] == []

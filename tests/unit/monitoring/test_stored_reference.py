"""A reference judges the same after it was stored."""

import json

from mikrobot.monitoring import stored_reference
from mikrobot.monitoring.drift_verdict import judge
from tests.unit.monitoring.test_drift_verdict import reference_of, rows


def test_a_stored_reference_gives_the_same_verdicts() -> None:
    frame = rows(62, 4)
    reference = reference_of(frame)
    until = frame["close_time"].iloc[-1].to_pydatetime()
    stored = stored_reference.from_json(json.loads(json.dumps(stored_reference.to_json(reference))))
    assert stored == reference
    assert judge(stored, frame, until) == judge(reference, frame, until)

import json
import logging
import sys
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from mikrobot import telemetry
from mikrobot.telemetry import Timers


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_log_line_goes_to_standard_error_with_its_event_component_and_keys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    telemetry.configure(json=True)
    telemetry.logger("store").info("bar_stored", symbol="EURUSD", n=3)
    out, err = capsys.readouterr()
    line = json.loads(err)
    assert out == ""
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "bar_stored", "component": "store", "symbol": "EURUSD", "n": 3, "level": "info"}


def test_standard_error_may_be_redirected_after_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    telemetry.configure(json=True)
    redirected = StringIO()
    monkeypatch.setattr(sys, "stderr", redirected)
    telemetry.logger("store").info("bar_stored")
    assert "bar_stored" in redirected.getvalue()


def test_lines_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure("WARNING")
    telemetry.logger("store").info("quiet")
    telemetry.logger("store").warning("loud", reason="full")
    err = capsys.readouterr().err
    assert "quiet" not in err
    assert "loud" in err
    assert "reason=full" in err


def test_an_exception_is_logged_with_its_cause(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure(json=True)
    try:
        raise ValueError("no bid")
    except ValueError:
        telemetry.logger("market").exception("feed_failed")
    assert "ValueError: no bid" in json.loads(capsys.readouterr().err)["exception"]


def test_libraries_do_not_log_below_warning(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure("DEBUG")
    logging.getLogger("some.library").info("chatter")
    assert "chatter" not in capsys.readouterr().err


def test_a_stage_is_timed_even_when_it_fails() -> None:
    timers = Timers()
    with pytest.raises(RuntimeError), timers.stage("predict"):
        raise RuntimeError
    with timers.stage("predict"):
        pass
    summary = timers.summary()["predict"]
    assert summary["n"] == 2
    assert 0 <= summary["p50"] <= summary["p99"]


def test_quantiles_are_by_nearest_rank() -> None:
    timers = Timers()
    for milliseconds in range(100, 0, -1):
        timers.record("read", float(milliseconds))
    assert timers.summary() == {"read": {"n": 100, "p50": 50.0, "p99": 99.0}}


def test_old_samples_are_counted_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "NEWEST", 100)
    timers = Timers()
    for milliseconds in range(1, 1001):
        timers.record("read", float(milliseconds))
    assert timers.summary() == {"read": {"n": 1000, "p50": 950.0, "p99": 999.0}}


def test_one_sample_is_its_own_quantile_and_no_stage_gives_nothing() -> None:
    timers = Timers()
    assert timers.summary() == {}
    timers.record("read", 1.23456)
    assert timers.summary()["read"] == {"n": 1, "p50": 1.235, "p99": 1.235}


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300))
def test_a_quantile_covers_its_share_of_the_samples(samples: list[float]) -> None:
    timers = Timers()
    for sample in samples:
        timers.record("read", sample)
    summary = timers.summary()["read"]
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        assert sum(sample <= summary[name] + 0.0005 for sample in samples) >= share * len(samples)
        assert sum(sample < summary[name] - 0.0005 for sample in samples) < share * len(samples)


def test_forwarded_lines_reach_the_standard_library_with_their_level_and_keys(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.forward("mikrobot")
    with caplog.at_level(logging.INFO, "mikrobot"):
        telemetry.logger("store").info("bar_stored", symbol="EURUSD", n=3)
        telemetry.logger("store").error("failed", reason="disk full")
    records = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    assert records == [
        ("mikrobot", "INFO", "bar_stored symbol=EURUSD n=3"),
        ("mikrobot", "ERROR", "failed reason=disk full"),
    ]
    assert capsys.readouterr().out == ""


def test_a_forwarded_line_keeps_the_traceback_of_its_exception(caplog: pytest.LogCaptureFixture) -> None:
    telemetry.forward("mikrobot")
    try:
        raise ValueError("no report")
    except ValueError:
        telemetry.logger("store").exception("failed")
    assert caplog.records[0].getMessage().splitlines()[0] == "failed"
    assert caplog.records[0].getMessage().splitlines()[-1] == "ValueError: no report"


def test_a_forwarded_line_may_hold_a_percent_sign(caplog: pytest.LogCaptureFixture) -> None:
    telemetry.forward("mikrobot")
    telemetry.logger("store").warning("grown", share="61% s")
    assert caplog.records[0].getMessage() == "grown share=61% s"

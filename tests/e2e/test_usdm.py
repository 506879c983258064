"""A run of the real command on the USD-M futures of a local venue."""

import json

import pytest

from mikrobot.runtime import SystemClock


@pytest.mark.soak
def test_a_run_on_usdm_futures_trades_and_is_marked_simulated(install, tmp_path):
    start = f"{SystemClock().now():%Y-%m-%d %H:%M:%S}"
    with install(tmp_path) as program:
        venue = program.start("venue", "--start", start, "--port", 0, "--symbols", "BTCUSDT")
        lines = [venue.stdout.readline().strip() for _ in range(5)]
        named = dict(line.removeprefix("MIKROBOT_").lower().split("=") for line in lines if "_FUTURES_" in line)
        process = program.run(
            "run", "--once", "--source", "binance-usdm", "--symbols", "BTCUSDT", "--hours", 6, "--history-days", 10,
            "--json", **named, entry_probability=0.3,
        )  # fmt: skip
    assert process.returncode == 0, process.stderr
    summary = json.loads(process.stdout)
    assert (summary["source"], summary["simulated"], summary["symbols"]) == ("binance-usdm-local", True, ["BTCUSDT"])
    assert summary["trading"]["fills"] > 0
    assert summary["checks"]["failed"] == 0

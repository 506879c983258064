"""The command `mikrobot venue` as a process."""

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("mikrobot")


@pytest.fixture
def start(tmp_path):
    """A function that starts the command with a state folder of its own."""
    started = []

    def command(*arguments):
        process = subprocess.Popen(
            [PROGRAM, "venue", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        started.append(process)
        return process

    yield command
    for process in started:
        process.kill()
        process.communicate()


def test_it_announces_its_addresses_answers_and_ends_quietly(coin_file, start):
    process = start("--data", coin_file, "--port", 0, "--speed", 60, "--start", "2024-03-06 12:00:00")
    ready, *lines = [process.stdout.readline() for _ in range(5)]
    assert ready.startswith("ready: http://127.0.0.1:")
    assert "lists BTCUSDT; it is 2024-03-06 12:00" in ready
    named = dict(line.strip().split("=") for line in lines)
    markets = ("MIKROBOT_BINANCE", "MIKROBOT_BINANCE_FUTURES")
    assert set(named) == {f"{market}_{kind}" for market in markets for kind in ("URL", "STREAM_URL")}
    for url in (f"{named['MIKROBOT_BINANCE_URL']}/v3/time", f"{named['MIKROBOT_BINANCE_FUTURES_URL']}/v1/time"):
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert json.load(answer)["serverTime"] >= 1_709_726_400_000
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")


def test_a_port_that_is_taken_is_reported_and_the_first_venue_ends_on_sigterm(coin_file, start):
    first = start("--data", coin_file, "--port", 0)
    port = first.stdout.readline().split()[1].rpartition(":")[2]
    second = start("--data", coin_file, "--port", port)
    out, err = second.communicate(timeout=20)
    assert (second.returncode, out) == (1, "")
    assert err == f"error: port {port} of 127.0.0.1 is taken; give another one with --port\n"
    first.terminate()
    first.communicate(timeout=20)
    assert first.returncode == 0

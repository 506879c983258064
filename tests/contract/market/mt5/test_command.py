"""`mikrobot terminal` as a user runs it."""

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from random import Random

from mikrobot.market.mt5.source import Mt5Source
from mikrobot.market.mt5.terminal import Login
from mikrobot.market.mt5.terminal_link import TerminalLink
from mikrobot.runtime import SystemClock

COMMAND = [Path(sys.executable).with_name("mikrobot"), "terminal", "--port", "0", "--suffix", "m"]


def test_the_command_serves_the_present_until_it_is_stopped(tmp_path):
    arguments = ["--symbols", "BTCUSDT,EURUSD", "--server-clock", "+03:00"]
    variables = os.environ | {"MIKROBOT_HOME": str(tmp_path)}
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True, env=variables) as process:
        assert process.stdout is not None
        ready = re.fullmatch(
            r"ready: 127\.0\.0\.1:(\d+) lists SIMULATED BTCUSDTm, EURUSDm\n", process.stdout.readline()
        )
        assert ready
        lines = [process.stdout.readline() for _ in range(2)]
        assert lines == ["MIKROBOT_MT5_HOST=127.0.0.1\n", f"MIKROBOT_MT5_PORT={ready[1]}\n"]
        clock = SystemClock()
        link = TerminalLink(Login(), None, int(ready[1]), timeout_s=60.0, clock=clock, rng=Random(1))
        source = Mt5Source(["BTCUSDT"], link, clock, name="mt5-local", named_clock="+03:00")
        now = clock.now()
        bars = source.history("BTCUSDT", now - timedelta(hours=1), now)
        assert now - timedelta(minutes=3) < bars["open_time"].iloc[-1] < now
        link.close()
        process.terminate()
        assert process.wait(30) == 0

"""A replay of an hour, which tests disturb while one of its processes runs."""

import subprocess
from pathlib import Path
from typing import Any

from mikrobot.live import pid_records
from mikrobot.runtime import SystemClock, wait_until

REPLAY = ("run", "--once", "--json", "--source", "replay", "--hours", 1, "--history-days", 2)


def begun(installation: Any, bars: Path, process: str) -> subprocess.Popen[str]:
    """Start the replay, and wait until one of its processes runs or the replay has ended."""
    run: subprocess.Popen[str] = installation.start(*REPLAY, "--data", bars)

    def runs() -> bool:
        return run.poll() is not None or pid_records.find(process, installation.home) is not None

    wait_until(runs, f"the {process} did not start", SystemClock(), timeout_s=600)
    return run

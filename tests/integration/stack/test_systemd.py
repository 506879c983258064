"""The unit of docs/systemd.md is one that systemd accepts, and runs commands that exist."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "systemd.md"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd")
def test_systemd_accepts_the_unit(tmp_path):
    unit = PAGE.read_text().partition("```ini\n")[2].partition("```")[0]
    commands = unit.replace("%h/mikrobot/.venv/bin", str(Path(sys.executable).parent)).replace("%h", str(tmp_path))
    (tmp_path / "mikrobot.service").write_text(commands)
    verified = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "mikrobot.service"], capture_output=True, text=True
    )
    assert (verified.returncode, verified.stderr) == (0, "")

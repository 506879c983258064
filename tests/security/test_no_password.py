"""Without a password no service starts, on whichever host."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SERVERS = {
    "prefect": ("mikrobot.stack.prefect_server",),
    "mlflow": ("mikrobot.stack.mlflow_server", "--artifacts", "artifacts"),
    "bento": ("bentos",),
}


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("service", SERVERS)
def test_a_service_without_a_password_does_not_start_and_names_the_file(
    service: str, host: str, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    password = tmp_path / "secrets" / f"web_{service}"
    password.parent.mkdir()
    password.touch()
    process = subprocess.run(
        [sys.executable, "-m", *SERVERS[service], "--host", host, "--port", str(free_port())],
        env=os.environ | {"MIKROBOT_HOME": str(tmp_path), "MIKROBOT_HOST": host},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 1
    (line,) = process.stderr.strip().splitlines()
    assert line.startswith(f"error: the password file {password} is empty: ")

"""The version of the code that trains a model."""

import subprocess
from importlib.metadata import version
from pathlib import Path


def code_version() -> str:
    """Return the package's version and, in a git checkout, the commit (``-dirty`` with changes)."""
    released = version("mikrobot")
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return released
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],  # noqa: S607, the git of the developer
            cwd=root,
            capture_output=True,
            text=True,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return released
    return f"{released}+{described.stdout.strip()}" if described.returncode == 0 else released

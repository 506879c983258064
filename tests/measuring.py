"""Benchmarks run on a small scale by the real command, and what each of their figures must be."""

import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SMALL = 0.01
"""Scale of the benchmarks in tests: a few repetitions on a few thousand bars."""


def require_plausible(results: Sequence[dict[str, Any]]) -> None:
    """Make sure that each measurement is of positive, finite figures, with a named peer and a named limit."""
    assert results
    for result in results:
        ours, peer, limit = (result[part] for part in ("ours", "peer", "limit"))
        assert result["name"]
        assert peer["name"]
        assert limit["name"]
        for figure in (ours["p50"], ours["p99"], peer["p50"], limit["p50"], result["ratio"]):
            assert 0 < figure < math.inf, result
        assert ours["p50"] <= ours["p99"]
        assert ours["unit"] == peer["unit"] == limit["unit"]
        assert "cores" in result["machine"]
        assert {"python", "mikrobot", "xgboost"} <= result["versions"].keys()


def measured(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with arguments to its end, its temporary files in a folder; none of ours is left there."""
    process = subprocess.run(
        [sys.executable, *arguments, "--scale", str(SMALL)],
        env={**os.environ, "TMPDIR": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert process.returncode == 0, process.stderr
    left = [path.name for path in folder.glob("mikrobot-*")]  # Feast and ONNX Runtime leave files of their own
    assert left == [], left
    return process

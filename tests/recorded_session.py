"""Published minutes as the folder of a recorded session, for the tests that replay one."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path


def write_session(folder: Path, lines: Sequence[bytes], *, number: str = "0001", **described: object) -> Path:
    """Write the lines of published minutes and the description of the session; return the folder."""
    folder.mkdir(exist_ok=True)
    (folder / "recording.json").write_text(json.dumps(described))
    text = b"".join(b"%d %s\n" % (at, line) for at, line in enumerate(lines, start=1))
    (folder / f"20250304T12-published-{number}.gz").write_bytes(gzip.compress(text))
    return folder

"""What flows tell: progress as an artifact and as lines for whoever started them; plain values."""

import json
from typing import Any
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

STEP = 0.05
"""Share by which progress must have grown before the artifact is written again."""


class Progress:
    """Progress of one stage; call it with a text and a share from 0 to 1."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._shown = -1.0
        self._artifact: UUID | None = None

    def __call__(self, text: str, share: float) -> None:
        """Show how far the stage has come."""
        tell(event="progress", stage=self._stage, text=text, share=share)
        if share < 1.0 and share - self._shown < STEP:
            return
        self._shown = share
        if self._artifact is None:
            self._artifact = create_progress_artifact(
                progress=share * 100, key=f"{self._stage}-progress", description=text
            )
        else:
            update_progress_artifact(artifact_id=self._artifact, progress=share * 100, description=text)


def tell(**event: Any) -> None:
    """Print one event as a line of JSON, for whoever started this process."""
    print(json.dumps(event, default=str), flush=True)


def plain(value: Any) -> Any:
    """Return a value as artifacts take it: JSON types only, times as ISO text."""
    return json.loads(json.dumps(value, default=str))

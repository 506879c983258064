"""Report the progress of flows: as an artifact, in the run's log, and as lines for the parent process."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

from mikrobot.domain.serialisation import plain

STEP = 0.05
"""Minimum increase of the share between two updates of the artifact."""

LOGGED_STEP = 0.25
"""Minimum increase of the share between two lines in the log of the run."""


class Progress:
    """Progress of one stage with its symbols; call it with a text and a share from 0 to 1."""

    def __init__(self, stage: str, symbols: Sequence[str] = ()) -> None:
        self._stage, self._symbols = stage, list(symbols)
        self._log = get_run_logger()
        self._shown = self._logged = -1.0
        self._artifact: UUID | None = None

    def __call__(self, text: str, share: float) -> None:
        """Report the progress of the stage."""
        tell(event="progress", stage=self._stage, symbols=self._symbols, text=text, share=share)
        if share >= 1.0 or share - self._logged >= LOGGED_STEP:
            self._logged = share
            self._log.info(f"{share:.0%} {text}")
        if share < 1.0 and share - self._shown < STEP:
            return
        self._shown = share
        try:
            self._show(text, share)
        except httpx.TransportError as error:  # the supervisor restarts Prefect, and the stage need not end for this
            self._log.warning(f"Prefect does not show the progress: {error!r}")

    def _show(self, text: str, share: float) -> None:
        """Create or update the artifact."""
        if self._artifact is None:
            created = create_progress_artifact(progress=share * 100, key=f"{self._stage}-progress", description=text)
            assert isinstance(created, UUID)  # a coroutine only inside an event loop
            self._artifact = created
        else:
            update_progress_artifact(artifact_id=self._artifact, progress=share * 100, description=text)


def tell(**event: Any) -> None:
    """Print one event as a line of JSON for the parent process."""
    print(json.dumps(plain(event)), flush=True)


def minute(time: datetime | None) -> str:
    """Return the minute of a time; empty if there is none.

    >>> minute(datetime(2025, 3, 14, 10))
    '2025-03-14 10:00'
    """
    return f"{time:%Y-%m-%d %H:%M}" if time else ""

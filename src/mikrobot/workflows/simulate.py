"""`mikrobot simulate`: play scenario files and return their results."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mikrobot.domain.errors import MikrobotError, ScenarioError
from mikrobot.paper.scenario import simulate


def play(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Play each scenario on an exchange of its own.

    Returns
    -------
    dict
        Results by the scenario's id, or by the file's name if it has none; ``{"error": message}`` for an invalid
        scenario. A repeated id is an error under the later file's name.
    """
    results: dict[str, dict[str, Any]] = {}
    for path in paths:
        name, result = _play(path)
        if name in results:
            name, result = str(path), {"error": f"{path}: the id {name!r} is that of an earlier scenario; rename one"}
        results[name] = result
    return results


def _play(path: Path) -> tuple[str, dict[str, Any]]:
    name = path.stem
    try:
        scenario = _read(path)
        if isinstance(scenario, dict) and scenario.get("id") and isinstance(scenario["id"], str):
            name = scenario["id"]
        return name, simulate(scenario)
    except MikrobotError as error:
        return name, {"error": " ".join(str(error).split())}


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_float=str)
    except (OSError, ValueError, RecursionError) as error:
        raise ScenarioError(f"{path} is not a JSON file: {error}") from error

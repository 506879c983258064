"""Serve the deployments of prefect.yaml from this process: ``python -m flows``."""

import asyncio
import importlib
from pathlib import Path
from typing import Any

import yaml
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import EntrypointType
from prefect.events import DeploymentEventTrigger
from prefect.runner import Runner

from flows.stale import crash_deployed

ROOT = Path(__file__).resolve().parents[1]
RUNS_AT_ONCE = 2


async def deployment(entry: dict[str, Any]) -> Any:
    """Build one deployment from its entry in prefect.yaml."""
    path, _, name = entry["entrypoint"].partition(":")
    flow = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)
    return await flow.ato_deployment(
        name=entry["name"],
        description=entry["description"],
        parameters=entry.get("parameters"),
        schedules=[CronSchedule(**schedule) for schedule in entry.get("schedules", [])] or None,
        concurrency_limit=entry.get("concurrency_limit"),
        triggers=[DeploymentEventTrigger(**trigger) for trigger in entry.get("triggers", [])],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


async def serve() -> None:
    """Register every deployment and execute their runs until stopped."""
    entries = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    await crash_deployed()
    runner = Runner(name="mikrobot", limit=RUNS_AT_ONCE, pause_on_shutdown=False)
    for entry in entries:
        await runner.aadd_deployment(await deployment(entry))
    await runner.start()


if __name__ == "__main__":
    asyncio.run(serve())

"""Serve the deployments of prefect.yaml from this process: ``python -m flows``."""

import asyncio
import importlib
import logging
from pathlib import Path
from typing import Any

import anyio
import httpx
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.schedules import CronSchedule
from prefect.events import DeploymentEventTrigger
from prefect.runner import Runner
from prefect.types.entrypoint import EntrypointType

from flows.names import named
from flows.stale import crash_deployed
from mikrobot.stack.schedules import RUNS_AT_ONCE

ROOT = Path(__file__).resolve().parents[1]
NAMING_SECONDS = 10.0
"""Seconds between two checks for runs that Prefect has scheduled under a random name."""


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


async def name_scheduled(flow_of: dict[Any, str]) -> None:
    """Give scheduled runs their final name instead of Prefect's two random words.

    Parameters
    ----------
    flow_of : dict
        Flow name of each deployment, by deployment id.
    """
    scheduled = FlowRunFilter.model_validate(
        {"state": {"type": {"any_": ["SCHEDULED"]}}, "deployment_id": {"any_": list(flow_of)}}
    )
    async with get_client() as client:
        for run in await client.read_flow_runs(flow_run_filter=scheduled, limit=200):
            name = named(flow_of[run.deployment_id], run.parameters, run.expected_start_time)
            if run.auto_scheduled and run.name != name:
                await client.update_flow_run(run.id, name=name)


async def keep_naming(flow_of: dict[Any, str]) -> None:
    """Name scheduled runs until cancelled, since Prefect continuously schedules new ones."""
    while True:
        try:
            await name_scheduled(flow_of)
        except httpx.HTTPError as error:
            logging.getLogger("flows").warning("scheduled runs keep their random names for now: %r", error)
        await anyio.sleep(NAMING_SECONDS)


async def serve() -> None:
    """Register every deployment and execute their runs until stopped."""
    entries = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    await crash_deployed()
    runner = Runner(name="mikrobot", limit=RUNS_AT_ONCE, pause_on_shutdown=False)
    flow_of = {}
    for entry in entries:
        added = await deployment(entry)
        flow_of[await runner.aadd_deployment(added)] = added.flow_name
    naming = asyncio.create_task(keep_naming(flow_of))
    await runner.start()
    naming.cancel()


if __name__ == "__main__":
    asyncio.run(serve())

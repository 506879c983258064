"""Serve the deployments of prefect.yaml from this process: ``python -m flows``.

SIGTERM cancels the flow runs in it and ends it. It also ends, with one line, when Prefect has refused connections for a
while: Prefect's runner does not recover from that. The supervisor starts it again once Prefect answers.
"""

import asyncio
import importlib
import logging
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import psutil
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.schedules import CronSchedule
from prefect.events import DeploymentEventTrigger
from prefect.runner import Runner
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType

from flows.names import named
from flows.stale import crash_deployed
from mikrobot.stack.schedules import RUNS_AT_ONCE

ROOT = Path(__file__).resolve().parents[1]
NAMING_SECONDS = 10.0
"""Seconds between two checks for runs that Prefect has scheduled under a random name."""


POLL_SECONDS = 4.0
"""Seconds between two polls of Prefect's runner for runs that are due."""

LOOK_SECONDS = 1.0
"""Seconds between two looks for Prefect."""

REFUSALS = 5
"""Refused connections in a row after which Prefect is given up, before its runner fails after three polls."""

OBSERVER = "prefect.FlowRunCancellingObserver"
"""Logger that reports, with a traceback, that Prefect was restarted; it then polls, and works as before."""


class FlowServer(Runner):
    """Prefect's runner, which SIGTERM asks to end.

    Prefect's own handler raises SystemExit in the middle of whatever the event loop does, and stops the runner from
    another thread, so that asyncio reports tasks that nobody has awaited.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked_to_end = asyncio.Event()
        self._serving_loop = asyncio.get_running_loop()

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """Let the event loop know of the signal."""
        self._serving_loop.call_soon_threadsafe(self.asked_to_end.set)


def in_one_line(record: logging.LogRecord) -> bool:
    """Replace the traceback of a log record by its error; a filter that drops nothing."""
    if record.exc_info and record.exc_info[1] is not None:
        record.msg, record.args = f"{record.getMessage()} ({record.exc_info[1]!r})", ()
        record.exc_info = None
    return True


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


async def await_refusal(address: str) -> None:
    """Return once the server of an address has refused connections several times in a row."""
    url, refused = urlsplit(address), 0
    assert url.hostname is not None
    while refused < REFUSALS:
        try:
            async with await anyio.connect_tcp(url.hostname, url.port or 80):
                refused = 0
        except OSError:
            refused += 1
        await anyio.sleep(LOOK_SECONDS)


async def serve() -> bool:
    """Register every deployment and execute their runs until SIGTERM; return False if Prefect has ended before."""
    entries = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    await crash_deployed()
    runner = FlowServer(name="mikrobot", limit=RUNS_AT_ONCE, pause_on_shutdown=False, query_seconds=POLL_SECONDS)
    flow_of = {}
    for entry in entries:
        added = await deployment(entry)
        flow_of[await runner.aadd_deployment(added)] = added.flow_name
    naming = asyncio.create_task(keep_naming(flow_of))
    serving, ended = asyncio.create_task(runner.start()), asyncio.create_task(runner.asked_to_end.wait())
    refused = asyncio.create_task(await_refusal(PREFECT_API_URL.value()))
    await asyncio.wait({serving, ended, refused}, return_when=asyncio.FIRST_COMPLETED)
    if refused.done():
        return False
    for task in (naming, refused):
        task.cancel()
    if runner.started:
        await runner.astop()
    await serving
    return True


def main() -> None:
    """Serve; end at once, with the flow runs in this process, if Prefect has ended."""
    logging.getLogger(OBSERVER).addFilter(in_one_line)
    with asyncio.Runner() as runner:
        if runner.run(serve()):
            return
        print(f"error: Prefect at {PREFECT_API_URL.value()} refuses connections, so no flow can run", file=sys.stderr)
        for process in psutil.Process().children(recursive=True):
            process.kill()
        os._exit(1)  # the runner would report to Prefect what it stops


if __name__ == "__main__":
    main()

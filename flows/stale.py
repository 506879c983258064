"""Clean up flow runs whose process was killed, which Prefect would show as Running forever, with their slots taken."""

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowRunFilter
from prefect.states import Crashed

RUNNING = {"type": {"any_": ["RUNNING", "PENDING"]}}


async def crash_deployed() -> int:
    """Set the running flow runs of an earlier flow server to Crashed; return their number."""
    deployed = FlowRunFilter.model_validate({"state": RUNNING, "deployment_id": {"is_null_": False}})
    return await _crash(deployed, None, "its flow server is gone")


async def crash_loops() -> int:
    """Set the running flow runs of an earlier `mikrobot run` or `symbols add` to Crashed; return their number."""
    running = FlowRunFilter.model_validate({"state": RUNNING})
    loops = FlowFilter.model_validate({"name": {"any_": ["loop", "join"]}})
    return await _crash(running, loops, "its command is gone")


async def _crash(left: FlowRunFilter, flow: FlowFilter | None, message: str) -> int:
    """Set runs to Crashed, and then the runs that they have started."""
    count = 0
    async with get_client() as client:
        while runs := await client.read_flow_runs(flow_filter=flow, flow_run_filter=left):
            for run in runs:
                await client.set_flow_run_state(run.id, Crashed(message=message), force=True)
            count += len(runs)
            parents = {"any_": [run.id for run in runs]}
            left = FlowRunFilter.model_validate({"state": RUNNING, "parent_flow_run_id": parents})
            flow = None
    return count

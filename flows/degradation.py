"""Ask for a retraining when a model has become worse, at most once in a while."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
from prefect.logging import get_run_logger

from flows.events import emit
from mikrobot.runtime import SystemClock

EVENT = "mikrobot.degraded"
"""Event that starts the deployment `retrain`; see prefect.yaml."""

COUNTED = ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED"]
"""States of retrainings that count; one that failed or was cancelled changed nothing."""


def ask_for_retraining(source: str, degradations: Sequence[str], cooldown: timedelta) -> bool:
    """Emit the event with the reasons; return False if there is none, or a retraining has begun within the cooldown.

    The caller asks again after the cooldown for what was refused and has not ended.

    Parameters
    ----------
    source : str
        Market source of the models.
    degradations : sequence of str
        Symbol and reasons of each model that has become worse.
    """
    if not degradations:
        return False
    log = get_run_logger()
    for line in degradations:
        log.warning(f"degraded: {line}")
    if retrained_since(SystemClock().now() - cooldown):
        log.info(f"no retraining is asked for yet: one has begun within {cooldown}")
        return False
    emit(EVENT, f"mikrobot.models.{source}", " | ".join(degradations))
    return True


def retrained_since(time: datetime) -> bool:
    """Return whether a retraining has been asked for, or has begun, since an instant."""
    deployed = DeploymentFilter.model_validate({"name": {"any_": ["retrain"]}})
    expected = FlowRunFilter.model_validate(
        {"state": {"type": {"any_": COUNTED}}, "expected_start_time": {"after_": time.isoformat()}}
    )
    with get_client(sync_client=True) as client:
        return bool(client.read_flow_runs(flow_run_filter=expected, deployment_filter=deployed, limit=1))

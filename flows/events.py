"""Emit events of the platform, and know that Prefect has them."""

from prefect.client.orchestration import get_client
from prefect.events.schemas.events import Event
from prefect.runtime import flow_run
from prefect.types._datetime import now


def emit(name: str, resource: str, reason: str) -> None:
    """Send an event to Prefect, and return once it has accepted it.

    Prefect's own `emit_event` queues the event, which is lost if the process is killed before it is sent.

    Parameters
    ----------
    name : str
        Of the event, for example ``mikrobot.drift``.
    resource : str
        Id of what it is about.
    reason : str

    Raises
    ------
    httpx.HTTPError
        If Prefect does not accept it.
    """
    run = {"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.role": "flow-run"}
    event = Event.model_validate(
        {
            "event": name,
            "occurred": now("UTC"),
            "resource": {"prefect.resource.id": resource},
            "related": [run] if flow_run.id else [],
            "payload": {"reason": reason},
        }
    )
    with get_client(sync_client=True) as client:
        client.request("POST", "/events", json=[event.model_dump(mode="json")]).raise_for_status()

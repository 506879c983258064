"""The schedules of the served flows, as Prefect reports them: the next runs, and runs that are late or failed.

Reads the Prefect API; registers and starts nothing. The flows themselves are in `flows`.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from mikrobot.domain.errors import ServiceError
from mikrobot.runtime import Clock, wait_until
from mikrobot.settings import Settings
from mikrobot.store import web_access

GRACE = timedelta(minutes=1)
"""Time after which a due run is late; it normally starts within 10 s, since Prefect's runner polls every 4 s."""

QUEUE_GRACE = timedelta(minutes=30)
"""Time that a due run may wait while the flow server is busy with others."""

RUNS_AT_ONCE = 2
"""Maximum number of concurrent runs of the flow server: each is a process of about half a GB."""

FIRST_SCHEDULE_S = 75.0
"""Seconds within which Prefect schedules the runs of a new deployment: mostly 5 s, at most 60 s."""

_SCHEDULED = {"type": {"any_": ["SCHEDULED"]}}
_QUEUED = "AwaitingConcurrencySlot"


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A scheduled flow run.

    Attributes
    ----------
    deployment : str
    at : datetime
        Scheduled start, UTC.
    """

    deployment: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Schedules:
    """The state of all schedules.

    Attributes
    ----------
    next_runs : tuple of PlannedRun
        The next run of each deployment that has one, the earliest first.
    unscheduled : tuple of str
        Deployments with an active schedule but without a future run: the scheduler does not work.
    late : tuple of PlannedRun
        The oldest run of each deployment that is due but was not started.
    failed : tuple of str
        Deployments whose newest run failed or crashed.
    at : datetime or None
        When Prefect was asked, UTC, by the clock of the machine: flows keep to it, whatever the clock of the market.
    """

    next_runs: tuple[PlannedRun, ...] = ()
    unscheduled: tuple[str, ...] = ()
    late: tuple[PlannedRun, ...] = ()
    failed: tuple[str, ...] = ()
    at: datetime | None = field(default=None, compare=False)


def schedules(settings: Settings, clock: Clock) -> Schedules | None:
    """Return the state of all schedules; None if Prefect does not answer.

    Raises
    ------
    ServiceError
        If Prefect answers with an error.
    """
    try:
        login = web_access.login(settings, "prefect")
        with httpx.Client(base_url=f"{settings.prefect_url}/api", auth=login, timeout=10.0, trust_env=False) as http:
            return _read(_Api(http), clock.now())
    except httpx.TransportError:
        return None
    except httpx.HTTPStatusError as error:
        raise ServiceError(
            f"Prefect at {settings.prefect_url} failed over {error.request.url.path}, "
            f"status {error.response.status_code}; see {settings.home / 'logs' / 'prefect.log'}"
        ) from error


def reported(settings: Settings, clock: Clock) -> Schedules | None:
    """Return the state of all schedules; None if Prefect does not answer, or only with an error."""
    try:
        return schedules(settings, clock)
    except ServiceError:
        return None


def next_runs(settings: Settings, clock: Clock) -> tuple[PlannedRun, ...]:
    """Return the next run of each deployment, the earliest first; empty while Prefect is down."""
    planned = schedules(settings, clock)
    return () if planned is None else planned.next_runs


def await_scheduled(settings: Settings, clock: Clock) -> None:
    """Wait until every active schedule has a future run.

    Raises
    ------
    ServiceError
        If one has none in time: the flows are served, but this one would never run on schedule.
    """

    def scheduled() -> bool:
        planned = schedules(settings, clock)
        return planned is not None and not planned.unscheduled

    what = f"Prefect scheduled no run of a served flow (log: {settings.home / 'logs' / 'prefect.log'})"
    wait_until(scheduled, what, clock, timeout_s=FIRST_SCHEDULE_S, every_s=0.5)


@dataclass(frozen=True, slots=True)
class _Api:
    """The requests to the Prefect API."""

    http: httpx.Client

    def deployments(self) -> list[dict[str, Any]]:
        return self._post("deployments", {})

    def runs(self, deployment: str, chosen: dict[str, Any], sort: str, limit: int = 1) -> list[dict[str, Any]]:
        chosen = {"deployment_id": {"any_": [deployment]}, **chosen}
        return self._post("flow_runs", {"flow_runs": chosen, "sort": sort, "limit": limit})

    def _post(self, what: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = self.http.post(f"/{what}/filter", json=body).raise_for_status().json()
        return answer


def _read(api: _Api, now: datetime) -> Schedules:
    served = api.deployments()
    deployments = {deployment["id"]: deployment["name"] for deployment in served}
    active = [deployment["name"] for deployment in served if _is_active(deployment)]
    ahead = {name: _first(api, id_, {"after_": now.isoformat()}) for id_, name in deployments.items()}
    planned = [PlannedRun(name, _due(run)) for name, run in ahead.items() if run is not None]
    return Schedules(
        tuple(sorted(planned, key=lambda run: run.at)),
        tuple(name for name in active if ahead[name] is None),
        _late(api, now, deployments),
        tuple(name for id_, name in deployments.items() if _failed(api, id_)),
        now,
    )


_UNDER_WAY = {"type": {"any_": ["RUNNING", "PENDING"]}}
_ENDED = {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}


def _is_active(deployment: dict[str, Any]) -> bool:
    return not deployment["paused"] and any(schedule["active"] for schedule in deployment["schedules"])


def _late(api: _Api, now: datetime, deployments: dict[str, str]) -> tuple[PlannedRun, ...]:
    """Return the oldest overdue run of each deployment, unless a busy flow server explains it."""
    under_way = {id_ for id_ in deployments if api.runs(id_, {"state": _UNDER_WAY}, "START_TIME_DESC")}
    just_ended = {"end_time": {"after_": (now - GRACE).isoformat()}}
    busy = under_way or any(api.runs(id_, just_ended, "END_TIME_DESC") for id_ in deployments)
    due = {"before_": (now - (QUEUE_GRACE if busy else GRACE)).isoformat()}
    late = {id_: run for id_ in deployments if (run := _first(api, id_, due)) is not None}
    return tuple(
        PlannedRun(deployments[id_], _due(run))
        for id_, run in late.items()
        if run["state_name"] != _QUEUED or id_ not in under_way
    )


def _failed(api: _Api, deployment: str) -> bool:
    newest = api.runs(deployment, {"state": _ENDED}, "END_TIME_DESC")
    return bool(newest) and newest[0]["state_type"] != "COMPLETED"


def _first(api: _Api, deployment: str, due: dict[str, str]) -> dict[str, Any] | None:
    chosen = {"state": _SCHEDULED, "expected_start_time": due}
    runs = api.runs(deployment, chosen, "EXPECTED_START_TIME_ASC")
    return runs[0] if runs else None


def _due(run: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(run["expected_start_time"])

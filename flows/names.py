"""Names of flow runs: the flow, its subject, and the scheduled time."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from prefect.runtime import flow_run


def flow_run_name() -> str:
    """Return the name of the current flow run; Prefect calls this before the run begins."""
    scheduled = flow_run.scheduled_start_time if flow_run.parent_flow_run_id is None else None
    return named(flow_run.flow_name, flow_run.parameters, scheduled)


def named(flow: str, parameters: Mapping[str, Any], at: datetime | None) -> str:
    """Return the name of a flow run.

    Parameters
    ----------
    flow : str
    parameters : mapping of str to Any
        The parameters of the run.
    at : datetime or None
        Scheduled time; None for a run that another run started.

    >>> named("report", {"days": 7}, datetime(2025, 3, 17, 5, 30))
    'report: the last 7 days of the latest run, 2025-03-17 05:30'
    >>> named("ingest", {"symbols": ["EURUSD"], "end": "2025-03-14T10:00:00+00:00"}, None)
    'ingest: EURUSD until 2025-03-14 10:00'
    """
    describe = {"trade": _segment, "retrain": _reason, "report": _days, "monitor": _run, "loop": _run, "join": _joined}
    text = f"{flow}: {describe.get(flow, _symbols)(parameters)}"
    return text if at is None else f"{text}, {at:%Y-%m-%d %H:%M}"


def _run(parameters: Mapping[str, Any]) -> str:
    run_id = parameters.get("run_id")
    return f"run {run_id}" if run_id else "the latest run"


def _joined(parameters: Mapping[str, Any]) -> str:
    return f"{', '.join(parameters['symbols'])} in {_run(parameters)}"


def _days(parameters: Mapping[str, Any]) -> str:
    days = parameters.get("days")
    return f"the last {days} days of {_run(parameters)}" if days else _run(parameters)


def _segment(parameters: Mapping[str, Any]) -> str:
    return f"{_run(parameters)}, segment {parameters['number'] + 1}"


def _reason(parameters: Mapping[str, Any]) -> str:
    return str(parameters.get("reason", ""))


def _symbols(parameters: Mapping[str, Any]) -> str:
    symbols, end = parameters.get("symbols"), parameters.get("end")
    text = ", ".join(symbols) if symbols else "symbols of the latest run"
    return f"{text} until {_minute(end)}" if end else text


def _minute(time: datetime | str) -> str:
    instant = datetime.fromisoformat(time) if isinstance(time, str) else time
    return f"{instant:%Y-%m-%d %H:%M}"

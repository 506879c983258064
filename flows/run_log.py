"""Send log lines to Prefect's log of the current run: the platform's from INFO, those of libraries from WARNING."""

import logging
from typing import Any

from prefect import Flow, State
from prefect.client.schemas.objects import FlowRun
from prefect.logging.handlers import APILogHandler

from mikrobot import telemetry

OURS = "mikrobot"
PREFECT = "prefect"


class RunLog(APILogHandler):
    """Sends the log lines of a run that matter to people; Prefect itself sends the lines of its own loggers."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop Prefect's own records, details of libraries, and deprecation warnings."""
        name = record.name.partition(".")[0]
        outdated = record.name == "py.warnings" and "DeprecationWarning" in record.getMessage()
        wanted = record.levelno >= (logging.INFO if name == OURS else logging.WARNING)
        return wanted and name != PREFECT and not outdated


def attach(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Send the log lines of this process to the log of its flow and task runs; a hook for `on_running`."""
    telemetry.forward(OURS)
    root = logging.getLogger()
    if not any(isinstance(handler, RunLog) for handler in root.handlers):
        root.addHandler(RunLog())

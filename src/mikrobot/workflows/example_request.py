"""A complete request to the prediction service, built from the newest feature row of a symbol."""

import json
import math
import shlex
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import httpx

from mikrobot.domain.errors import ServingError, UnknownSymbol, UsageError
from mikrobot.live import pid_records
from mikrobot.live.session import recorded_run
from mikrobot.runtime import Clock, wait_until
from mikrobot.settings import Settings
from mikrobot.stack import local_stack, processes
from mikrobot.store import web_access
from mikrobot.store.feast.online import FeatureRows
from mikrobot.store.postgres import database
from mikrobot.store.runs import Run, Runs

FIRST_MODEL_S = 60.0
"""Timeout in seconds for a prediction service that has just started to load its model."""


@dataclass(frozen=True, slots=True)
class ExampleRequest:
    """A request for one prediction.

    Attributes
    ----------
    address : str
    body : dict
        symbol, source, and features: every column that the model needs, None for a missing value.
    curl : str
        The shell command that sends it.
    """

    address: str
    body: dict[str, Any]
    curl: str


def example_request(settings: Settings, clock: Clock, symbol: str | None, say: local_stack.Say) -> ExampleRequest:
    """Build a request from the newest online row of a symbol; start the services that it needs, and stop them again.

    Parameters
    ----------
    symbol : str or None
        None: the first symbol of the latest run of which a minute has been traded.

    Raises
    ------
    UsageError
        If there has been no run, or the symbol has no feature row yet.
    UnknownSymbol
        If the latest run has no such symbol.
    ServingError
        If the service has no model for the symbol.
    """
    was_running = pid_records.find("bento", settings.home) is not None
    with local_stack.database_up(settings, say):
        with database.open_pool(settings) as pool:
            run = recorded_run(Runs(pool))
        rows = FeatureRows(settings)
        chosen = _symbol_with_a_row(rows, run, symbol)
        with _services(settings, clock, say):
            if not was_running:
                _await_model(settings, clock)
            features = _newest_row(rows, run.source, chosen, _columns(settings, run.source, chosen))
    body = {"symbol": chosen, "source": run.source, "features": features}
    return _request(settings, body)


def _symbol_with_a_row(rows: FeatureRows, run: Run, asked: str | None) -> str:
    """Return the symbol asked for, or else the first of the run that has a feature row."""
    if asked is not None and asked not in run.symbols:
        raise UnknownSymbol(f"the latest run has no {asked!r}; it has {', '.join(run.symbols)}")
    traded = [symbol for symbol in run.symbols if rows.latest(run.source, symbol) is not None]
    if asked is None and traded:
        return traded[0]
    if asked is None or asked not in traded:
        named = f"; --symbol {traded[0]} has one" if traded else ""
        what = f"no minute of {asked or 'any symbol'} has been traded on source {run.source}"
        raise UsageError(f"{what}, so there is no feature row to show{named}")
    return asked


def _services(settings: Settings, clock: Clock, say: local_stack.Say) -> AbstractContextManager[None]:
    return local_stack.running(settings, clock, say, ("mlflow", "bento"))


def _await_model(settings: Settings, clock: Clock) -> None:
    ready = f"{settings.bento_url}/readyz"
    what = "the prediction service has no model: `mikrobot run` trains one; it loaded none"
    wait_until(lambda: processes.answers(ready), what, clock, timeout_s=FIRST_MODEL_S, every_s=0.5)


def _columns(settings: Settings, source: str, symbol: str) -> Sequence[str]:
    """Request the columns that the service's model for a symbol needs."""
    scope = {"symbol": symbol, "source": source}
    try:
        login = web_access.login(settings, "bento")
        answer = httpx.get(f"{settings.bento_url}/model", params=scope, auth=login, timeout=10.0, trust_env=False)
        spec = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ServingError(f"the prediction service at {settings.bento_url} does not answer: {error!r}") from error
    if answer.is_error:
        raise ServingError(f"the prediction service has no model for {symbol}: {spec.get('error', spec)}")
    columns: Sequence[str] = spec["columns"]
    return columns


def _newest_row(rows: FeatureRows, source: str, symbol: str, columns: Sequence[str]) -> dict[str, float | None]:
    newest = rows.latest(source, symbol)
    assert newest is not None
    row = rows.read(source, symbol, columns, newest)
    return {name: None if math.isnan(value) else value for name, value in row.items()}


def _request(settings: Settings, body: dict[str, Any]) -> ExampleRequest:
    """Return the request; its curl line reads the password from its file, so that it can be shown to anybody."""
    address, data = f"{settings.bento_url}/predict", shlex.quote(json.dumps(body))
    secret = shlex.quote(str(web_access.password_file(settings, "bento")))
    sign_in = f'-u "{web_access.USER}:$(cat {secret})"'
    return ExampleRequest(address, body, f"curl -s {sign_in} {address} -H 'Content-Type: application/json' -d {data}")

"""The prediction service: serves the champion of each scope over HTTP.

Start it with ``python -m bentos``. It predicts one row or a batch, and is ready once a model is warm. It watches the
registry and switches to a new champion between two requests; while the registry is unavailable, it continues with the
loaded models, and after a start with those that were loaded before.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from threading import Event, Thread
from typing import Any

import bentoml
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from bentos import api_page, data_metrics, open_inference
from bentos.fleet import own_place
from bentos.prediction_metrics import LATENCIES_S, PredictionMetrics
from bentos.refusals import Refused, no_route
from bentos.routes import PredictionRoutes, refusal
from mikrobot import settings as configuration
from mikrobot import telemetry
from mikrobot.domain.errors import MikrobotError, ScopeError, ServiceError, ServingError
from mikrobot.models.catalog import TRADED
from mikrobot.models.kept_answers import KeepingTransport
from mikrobot.models.tracking_server import connecting
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.serving import report_links
from mikrobot.serving.answers import AnsweringModel
from mikrobot.serving.predictors import Predictors
from mikrobot.serving.watch import Watch
from mikrobot.store.model_registry import kept_folder, open_kept_registry, open_registry

WATCH_SECONDS = 2.0
"""Interval between two polls of the aliases: the maximum delay before a promoted version is served."""

SETTLE_S = 5.0

FIRST_LOOK_S = 30.0
"""Seconds after which a worker that has loaded no model accepts connections all the same."""

REFRESH_S, REFRESH_EVERY_S = 30.0, 0.01
"""Seconds until a refresh gives up, and between two looks at the workers."""

pages = FastAPI(openapi_url=None, exception_handlers={HTTPException: no_route})
predictions = Starlette(exception_handlers={HTTPException: no_route})


@bentoml.service(
    name="predictions",
    workers=1,
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},
    metrics={"duration": {"buckets": list(LATENCIES_S)}},
    tracing={"excluded_urls": "."},  # spans took a third of a request's time, and nothing collects them
)
@bentoml.asgi_app(pages)
@bentoml.asgi_app(predictions)
class Predictions:
    """Predicts breaks of structure from feature rows, with the champion of the registry."""

    def __init__(self) -> None:
        settings = configuration.load()
        telemetry.configure(settings.log_level)
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # the watch logs once that the registry is unavailable
        connection = connecting(retries=0)  # the next poll is the retry of a connection
        registry = open_registry(settings, transport=KeepingTransport(connection, kept_folder(settings)))
        self._predictors = Predictors.of(registry)
        self._workers = own_place(settings)
        self._routes = PredictionRoutes(self._predictors, PredictionMetrics(), {})
        predictions.router.routes[:] = self._routes.routes()
        self._reports = StaticFiles(directory=report_links.folder(settings), check_dir=False)
        self._stop = Event()
        self._watch = Watch(
            registry,
            tuple(self._predictors),
            self._workers,
            WATCH_SECONDS,
            kept=open_kept_registry(settings),
            settle=_settling(asyncio.get_running_loop()),
        )
        Thread(target=self._watch.run, args=(self._stop,), daemon=True).start()

    @bentoml.on_startup
    async def load(self) -> None:
        """Accept no connection before the models are loaded, if another worker can answer meanwhile."""
        if self._workers.count > 1:
            await asyncio.to_thread(self._watch.looked.wait, FIRST_LOOK_S)

    def __is_ready__(self) -> bool:
        """Return for /readyz whether every worker is warm, on the same versions."""
        return not self._workers.obstacle()

    def _examples(self) -> dict[str, api_page.Request]:
        """Return a valid request of each path: the latest one if it is still valid, else rows of ones."""
        served = self._predictors.traded.served()
        latest = self._routes.latest
        asked = (latest.get("source"), latest.get("symbol"))
        origin = next((model for model in served if (model.source, model.symbol) == asked), served[0])
        serving = self._predictors.serving(origin.symbol, origin.source)
        columns = {name: model.model.spec.columns for name, model in serving.items()}
        rows = {name: _row_of_ones(origin, names) for name, names in columns.items()}
        traded = rows.pop(TRADED)
        if asked == (origin.source, origin.symbol) and set(latest["features"]) == set(columns[TRADED]):
            traded = dict(latest)
        together = dict.fromkeys(name for names in columns.values() for name in names)
        return api_page.examples(traded, rows, _row_of_ones(origin, tuple(together)))

    @bentoml.on_shutdown
    def stop(self) -> None:
        """Stop watching the registry."""
        self._stop.set()

    @pages.get("/models")
    def models(self, model: str = TRADED) -> Any:
        """List the model or baseline of a kind that serves each source and symbol."""
        try:
            return [asdict(origin) for origin in self._predictors.champion(model).served()]
        except ScopeError as error:
            return refusal(error).answer

    @pages.get("/versions")
    def versions(self) -> Any:
        """List what each worker serves, and why the service is not ready if it is not."""
        obstacle = self._workers.obstacle()
        states = [None if state is None else state.to_json() for state in self._workers.states()]
        return {"ready": not obstacle, "obstacle": obstacle or None, "workers": states}

    @pages.get("/v2/health/live")
    def v2_live(self) -> Any:
        """Return that the service runs (Open Inference Protocol)."""
        return {"live": True}

    @pages.get("/v2/health/ready")
    def v2_ready(self) -> Any:
        """Return whether every worker is warm (Open Inference Protocol)."""
        obstacle = self._workers.obstacle()
        return JSONResponse({"ready": not obstacle}, 503 if obstacle else 200)

    @pages.get("/v2/models/{model}")
    @pages.get("/v2/models/{model}/versions/{version}")
    def v2_model(self, model: str, version: str | None = None) -> Any:
        """Return the loaded versions, the inputs and the outputs of a model (Open Inference Protocol)."""
        try:
            return open_inference.metadata(self._predictors, model, version)
        except MikrobotError as error:
            return refusal(error).answer

    @pages.post("/refresh")
    def refresh(self) -> Any:
        """Let every worker look at the registry now; answer once all of them serve what it names.

        409 if one cannot, and serves its former version; 503 if one does not answer in time.
        """
        notice = self._workers.notify()
        try:
            wait_until(
                lambda: not self._workers.late(notice),
                f"a worker did not look at the registry within {REFRESH_S:.0f} s; see the log of the service",
                SystemClock(),
                timeout_s=REFRESH_S,
                every_s=REFRESH_EVERY_S,
            )
        except ServiceError as error:
            return refusal(error).answer
        states = self._workers.states()
        problems = sorted({problem for state in states if state is not None for problem in state.problems})
        return Refused("; ".join(problems), 409).answer if problems else self.versions()

    @pages.get("/", include_in_schema=False)
    def api_page(self) -> Any:
        """Return the API page."""
        return HTMLResponse(api_page.HTML)

    @pages.get("/docs.json", include_in_schema=False)
    def specification(self) -> Any:
        """Return the OpenAPI document; its example is the latest successful request, or a row of ones."""
        generated = Predictions.openapi_spec.asdict()  # type: ignore[attr-defined]  # the decorator makes it a service
        described = get_openapi(title="pages", version="", routes=pages.routes)["paths"]
        served = self._predictors.traded.served()
        title = "; ".join(f"{origin.symbol}: {origin}" for origin in served) or "no model yet"
        examples = self._examples() if served else {}
        return JSONResponse(api_page.specification(generated, described, title, examples))

    @pages.api_route("/reports/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
    async def reports(self, path: str, request: Request) -> Any:
        """Return a file of the reports folder; 404 for anything else."""
        return await self._reports.get_response(path, request.scope)

    @pages.get("/model")
    def model(self, symbol: str | None = None, source: str | None = None, model: str = TRADED) -> Any:
        """Return the spec of the model that serves a symbol: its columns, training span and metrics."""
        try:
            spec = self._predictors.champion(model).spec(symbol, source)
            return Response(spec.to_json(), media_type="application/json")
        except MikrobotError as error:
            return refusal(error).answer

    @pages.get("/challenger")
    def challenger(self, symbol: str | None = None, source: str | None = None) -> Any:
        """Return the spec of the challenger of a symbol; 404 if there is none."""
        try:
            return Response(self._predictors.challenger.spec(symbol, source).to_json(), media_type="application/json")
        except (ScopeError, ServingError):
            return Refused("there is no challenger", 404).answer


def _settling(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Return a function that waits until the event loop has ended the prediction that it makes, if any."""

    def settle() -> None:
        if not loop.is_closed():
            with suppress(RuntimeError, TimeoutError):  # it is stopping
                asyncio.run_coroutine_threadsafe(_nothing(), loop).result(SETTLE_S)

    return settle


async def _nothing() -> None:
    return None


def _row_of_ones(origin: AnsweringModel, columns: Sequence[str]) -> dict[str, Any]:
    return {"symbol": origin.symbol, "source": origin.source, "features": dict.fromkeys(columns, 1.0)}


Predictions.add_asgi_middleware(data_metrics.DataMetrics, home=configuration.load().home)  # type: ignore[attr-defined]  # the same

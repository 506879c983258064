"""The prediction service: serves the champion of each scope over HTTP.

Start it with ``python -m bentos``. It predicts one row or a batch, and is ready once a model is warm. It watches the
registry and switches to a new champion between two requests; while the registry is unavailable, it continues with the
loaded models.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from threading import Event, Thread
from typing import Annotated, Any, Literal, TypeVar

import bentoml
from fastapi import FastAPI
from pydantic import BaseModel, FailFast, Field, ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from bentos import api_page, data_metrics, refusals
from mikrobot import settings as configuration
from mikrobot import telemetry
from mikrobot.domain.errors import FeatureMismatch, MikrobotError, ModelError, ScopeError, ServingError
from mikrobot.serving import report_links, watch
from mikrobot.serving.answers import Answer, AnsweringModel, Answers
from mikrobot.serving.predictor import Predictor
from mikrobot.store.model_registry import open_registry

log = telemetry.logger("serving")

WATCH_SECONDS = 2.0
"""Interval between two polls of the aliases: the maximum delay before a promoted version is served."""

Value = Annotated[float, Field(strict=True, allow_inf_nan=False)] | None
Rows = Annotated[list[Annotated[list[Value], FailFast()]], FailFast(), Field(max_length=refusals.MAXIMUM_ITEMS["rows"])]
Chance = Annotated[float, Field(ge=0, le=1)] | None
Bounds = tuple[float, float] | None
Set = Literal["breaks", "holds", "both", "none"] | None
Predicted = Literal["break", "hold", "abstain"] | None

PROBABILITY = (
    "Predicted probability that the level {level} breaks within the model's horizon, calibrated on known outcomes: "
    "p1 / (1 - p0 + p1) of its interval. Of many levels with a probability of 0.3, about 30 % break. Null if there is "
    "no level."
)
INTERVAL = (
    "Venn-Abers interval [p0, p1] of the probability, which always lies inside: the share of breaks among known "
    "outcomes with a similar score, with one additional hold (p0) or break (p1). It is narrow if many outcomes are "
    "known; it does not cover changes of the market. Null if there is no level or no outcome is known."
)
SET = (
    "Conformal prediction set: breaks, holds, both or none. It contains the outcome for about 90 % of the levels that "
    "break and for about 90 % of those that hold. Null if there is no level."
)
PREDICTED = (
    "The only outcome in the prediction set, break or hold; abstain if the set is both or none. Null if there is no "
    "level."
)


class OneAnswer(BaseModel, from_attributes=True):
    """Probability, interval, prediction set and prediction for a break upwards and downwards."""

    model: str
    version: str | None
    fitted_with: str
    source: str
    symbol: str
    trained_on: list[str]
    feature_hash: str
    trained_until: datetime
    swing: int
    probability_up: Chance = Field(description=PROBABILITY.format(level="above"))
    probability_down: Chance = Field(description=PROBABILITY.format(level="below"))
    interval_up: Bounds = Field(description=INTERVAL)
    interval_down: Bounds = Field(description=INTERVAL)
    set_up: Set = Field(description=SET)
    set_down: Set = Field(description=SET)
    predicted_up: Predicted = Field(description=PREDICTED)
    predicted_down: Predicted = Field(description=PREDICTED)


class ManyAnswers(BaseModel, from_attributes=True):
    """The fields of one answer as lists, in the order of the rows."""

    model: str
    version: str | None
    fitted_with: str
    source: str
    symbol: str
    trained_on: list[str]
    feature_hash: str
    trained_until: datetime
    swing: int
    probability_up: list[Chance] = Field(description=PROBABILITY.format(level="above"))
    probability_down: list[Chance] = Field(description=PROBABILITY.format(level="below"))
    interval_up: list[Bounds] = Field(description=INTERVAL)
    interval_down: list[Bounds] = Field(description=INTERVAL)
    set_up: list[Set] = Field(description=SET)
    set_down: list[Set] = Field(description=SET)
    predicted_up: list[Predicted] = Field(description=PREDICTED)
    predicted_down: list[Predicted] = Field(description=PREDICTED)


A = TypeVar("A", OneAnswer, ManyAnswers)


def _answer(kind: type[A], predicted: Answer | Answers) -> A:
    """Return a prediction as a body; one that is out of its range is an error of the model, not of the request."""
    try:
        return kind.model_validate(predicted)
    except ValidationError as error:
        raise ModelError(f"model {predicted.model} predicts what is no answer: {error.errors()[0]['msg']}") from error


def _refusal(error: MikrobotError) -> JSONResponse:
    status = {FeatureMismatch: 422, ScopeError: 404, ServingError: 503}.get(type(error), 500)
    if status == 500:
        log.error("prediction_failed", reason=str(error))
    return JSONResponse({"error": str(error)}, status)


def _no_challenger() -> JSONResponse:
    return JSONResponse({"error": "there is no challenger"}, 404)


pages = FastAPI(openapi_url=None)


@bentoml.service(
    name="predictions",
    workers=1,
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": "."},  # spans took a third of a request's time, and nothing collects them
)
@bentoml.asgi_app(pages)
class Predictions:
    """Predicts breaks of structure from feature rows, with the champion of the registry."""

    def __init__(self) -> None:
        settings = configuration.load()
        telemetry.configure(settings.log_level)
        refusals.keep_out_of_the_log()
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # the watch logs once that the registry is unavailable
        registry = open_registry(settings)
        self._predictor = Predictor(registry)
        self._challenger = Predictor(registry, role="challenger", stand_in="")
        self._reports = StaticFiles(directory=report_links.folder(settings), check_dir=False)
        self._request: dict[str, Any] | None = None
        self._stop = Event()
        predictors = (self._predictor, self._challenger)
        Thread(target=watch.watch, args=(registry, predictors, WATCH_SECONDS, self._stop), daemon=True).start()

    def __is_ready__(self) -> bool:
        """Return for /readyz whether a model is warm for at least one scope."""
        return self._predictor.ready

    def _example(self, served: Sequence[AnsweringModel]) -> dict[str, Any]:
        """Return the latest successful request if it is still valid, else a row of ones."""
        request = self._request or {}
        asked = (request.get("source"), request.get("symbol"))
        origin = next((model for model in served if (model.source, model.symbol) == asked), served[0])
        columns = self._predictor.spec(origin.symbol, origin.source).columns
        if asked == (origin.source, origin.symbol) and set(request["features"]) == set(columns):
            return request
        ones = dict.fromkeys(columns, 1.0)
        return {"symbol": origin.symbol, "source": origin.source, "features": ones}

    @bentoml.on_shutdown
    def stop(self) -> None:
        """Stop watching the registry."""
        self._stop.set()

    @bentoml.api(output_spec=OneAnswer)
    async def predict(self, symbol: str, features: dict[str, Value], source: str | None = None) -> Any:
        """Predict one row of a symbol. Send every column of its model by name, null where a value is missing."""
        try:
            answer = _answer(OneAnswer, self._predictor.predict(symbol, features, source))
            self._request = {"symbol": answer.symbol, "source": answer.source, "features": features}
            return answer
        except MikrobotError as error:
            return _refusal(error)

    @bentoml.api(output_spec=OneAnswer)
    async def shadow(self, symbol: str, features: dict[str, Value], source: str | None = None) -> Any:
        """Predict one row with the challenger of the symbol; 404 if there is none."""
        try:
            return _answer(OneAnswer, self._challenger.predict(symbol, features, source))
        except ServingError:
            return _no_challenger()
        except MikrobotError as error:
            return _refusal(error)

    @bentoml.api(output_spec=ManyAnswers)
    def predict_batch(
        self,
        symbol: str,
        columns: list[str],
        rows: Rows,
        source: str | None = None,
    ) -> Any:
        """Predict many rows of a symbol. Send its columns in any order, and each row's values in the same order."""
        try:
            return _answer(ManyAnswers, self._predictor.predict_many(symbol, columns, rows, source))
        except MikrobotError as error:
            return _refusal(error)

    @pages.get("/models")
    def models(self) -> Any:
        """List the model or baseline that serves each source and symbol."""
        return [asdict(origin) for origin in self._predictor.served()]

    @pages.get("/", include_in_schema=False)
    def api_page(self) -> Any:
        """Return the API page."""
        return HTMLResponse(api_page.HTML)

    @pages.get("/docs.json", include_in_schema=False)
    def specification(self) -> Any:
        """Return the OpenAPI document; its example is the latest successful request, or a row of ones."""
        generated = Predictions.openapi_spec.asdict()  # type: ignore[attr-defined]  # the decorator makes it a service
        served = self._predictor.served()
        if not served:
            return JSONResponse(api_page.specification(generated, "no model yet", None))
        title = "; ".join(f"{origin.symbol}: {origin}" for origin in served)
        return JSONResponse(api_page.specification(generated, title, self._example(served)))

    @pages.api_route("/reports/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
    async def reports(self, path: str, request: Request) -> Any:
        """Return a file of the reports folder; 404 for anything else."""
        return await self._reports.get_response(path, request.scope)

    @pages.get("/model")
    def model(self, symbol: str | None = None, source: str | None = None) -> Any:
        """Return the spec of the model that serves a symbol: its columns, training span and metrics."""
        try:
            return Response(self._predictor.spec(symbol, source).to_json(), media_type="application/json")
        except MikrobotError as error:
            return _refusal(error)

    @pages.get("/challenger")
    def challenger(self, symbol: str | None = None, source: str | None = None) -> Any:
        """Return the spec of the challenger of a symbol; 404 if there is none."""
        try:
            return Response(self._challenger.spec(symbol, source).to_json(), media_type="application/json")
        except (ScopeError, ServingError):
            return _no_challenger()


Predictions.add_asgi_middleware(refusals.BoundedBodies)  # type: ignore[attr-defined]  # the same
Predictions.add_asgi_middleware(refusals.OneLineRefusals)  # type: ignore[attr-defined]  # the same
Predictions.add_asgi_middleware(data_metrics.DataMetrics, home=configuration.load().home)  # type: ignore[attr-defined]  # the same

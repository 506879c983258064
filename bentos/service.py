"""The prediction service: the champion over HTTP.

``python -m bentoml serve bentos.service:Predictions``. One row or a batch in, probabilities out;
ready once a champion is warm. Watches the registry and changes to a new champion between two
requests; while the registry is away it serves on with the model it has.
"""

import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from threading import Event, Thread
from typing import Annotated, Any, Literal

import bentoml
from fastapi import FastAPI
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from mikrobot import settings as configuration
from mikrobot import telemetry
from mikrobot.domain.errors import FeatureMismatch, MikrobotError, ServingError
from mikrobot.serving.predictor import Predictor

WATCH_SECONDS = 2.0
"""Between two looks at the champion alias: how long a promotion takes to be served."""

MAXIMUM_ROWS = 10_000
"""Rows that a batch may hold, so that no request holds the service for seconds."""

Value = Annotated[float, Field(strict=True, allow_inf_nan=False)] | None
Chance = Annotated[float, Field(ge=0, le=1)] | None
Bounds = tuple[float, float] | None
Saying = Literal["breaks", "holds", "abstains"] | None
Message = MutableMapping[str, Any]


class OneAnswer(BaseModel, from_attributes=True):
    """Probability of a break upwards and downwards, its bounds, and what is said; null where no level stands."""

    model: str
    version: str
    source: str
    feature_hash: str
    trained_until: datetime
    probability_up: Chance
    probability_down: Chance
    interval_up: Bounds
    interval_down: Bounds
    says_up: Saying
    says_down: Saying
    swing: int


class ManyAnswers(BaseModel, from_attributes=True):
    """Probabilities, bounds and sayings by row, in the order of the rows; null where no level stands."""

    model: str
    version: str
    source: str
    feature_hash: str
    trained_until: datetime
    probability_up: list[Chance]
    probability_down: list[Chance]
    interval_up: list[Bounds]
    interval_down: list[Bounds]
    says_up: list[Saying]
    says_down: list[Saying]


class OneLineRefusals:
    """Middleware: a body that BentoML refuses is answered with one line, like every other refusal."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        """Pass everything on but the answers that list validation errors."""
        refused = False

        async def passed_on(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] == 400:
                refused = True
            elif refused:
                await JSONResponse({"error": _one_line(json.loads(message["body"]))}, 400)(scope, receive, send)
            else:
                await send(message)

        await self._app(scope, receive, passed_on)


def _one_line(refusal: dict[str, Any]) -> str:
    found = [f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in refusal.get("detail", ())]
    return "; ".join(found[:5]) or str(refusal["error"])


def _refusal(error: MikrobotError) -> JSONResponse:
    status = {FeatureMismatch: 422, ServingError: 503}.get(type(error), 500)
    return JSONResponse({"error": str(error)}, status)


pages = FastAPI(openapi_url=None)


@bentoml.service(
    name="predictions",
    workers=1,
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": "."},  # a third of a request went into spans that nobody collects
)
@bentoml.asgi_app(pages)
class Predictions:
    """Predicts breaks of structure from feature rows, with the champion of the registry."""

    def __init__(self) -> None:
        from mikrobot.models.registry import Registry  # here, since BentoML's supervisor imports this module too

        settings = configuration.load()
        telemetry.configure(settings.log_level)
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # the watch itself says, once, that the registry is away
        registry = Registry(settings.mlflow_url)
        self._predictor = Predictor(registry)
        self._challenger = Predictor(registry, alias="challenger", stays=False)
        self._stop = Event()
        for predictor in (self._predictor, self._challenger):
            Thread(target=predictor.watch, args=(WATCH_SECONDS, self._stop), daemon=True).start()

    def __is_ready__(self) -> bool:
        """Tell /readyz whether a champion is warm."""
        return self._predictor.ready

    @bentoml.on_shutdown
    def stop(self) -> None:
        """Stop watching the registry."""
        self._stop.set()

    @bentoml.api(output_spec=OneAnswer)
    async def predict(self, features: dict[str, Value]) -> Any:
        """Predict one row: every column of the model by name, null where a value is missing."""
        try:
            return OneAnswer.model_validate(self._predictor.predict(features))
        except MikrobotError as error:
            return _refusal(error)

    @bentoml.api(output_spec=OneAnswer)
    async def shadow(self, features: dict[str, Value]) -> Any:
        """Predict one row with the challenger; 503 where there is none."""
        try:
            return OneAnswer.model_validate(self._challenger.predict(features))
        except MikrobotError as error:
            return _refusal(error)

    @bentoml.api(output_spec=ManyAnswers)
    def predict_batch(
        self, columns: list[str], rows: Annotated[list[list[Value]], Field(max_length=MAXIMUM_ROWS)]
    ) -> Any:
        """Predict many rows: the columns of the model in any order, and each row's values in that order."""
        try:
            return ManyAnswers.model_validate(self._predictor.predict_many(columns, rows))
        except MikrobotError as error:
            return _refusal(error)

    @pages.get("/model")
    def model(self) -> Any:
        """Return the contract of the model served: its columns, source, training span and metrics."""
        try:
            return Response(self._predictor.contract.to_json(), media_type="application/json")
        except MikrobotError as error:
            return _refusal(error)

    @pages.get("/challenger")
    def challenger(self) -> Any:
        """Return the contract of the challenger, or 404 where there is none."""
        if not self._challenger.ready:
            return JSONResponse({"error": "there is no challenger"}, 404)
        return Response(self._challenger.contract.to_json(), media_type="application/json")


Predictions.add_asgi_middleware(OneLineRefusals)

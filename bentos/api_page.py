"""The API page: Swagger UI with working example requests, and the OpenAPI document behind it.

BentoML's own page loads a tag manager and badges from other hosts, which no setting disables.
This page loads the same scripts from the service itself. BentoML does not describe mounted routes, so this module does.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from bentos import open_inference, requests
from bentos.refusals import ARROW, JSON
from mikrobot.models.catalog import MODELS

HTML = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Mikrobot predictions</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="./static_content/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="./static_content/swagger-ui-bundle.js" charset="UTF-8"></script>
<script src="./static_content/swagger-ui-standalone-preset.js" charset="UTF-8"></script>
<script src="./static_content/swagger-initializer.js" charset="UTF-8"></script>
</body>
</html>
"""

DESCRIPTION = """Predicted probabilities of a break of the level above and the level below within the model's horizon,
and of the outcomes of the other kinds of models.

`GET /model` returns the spec of the model: its columns, its source and its metrics. `mikrobot predict --example`
prints a request with the newest feature row of a symbol."""

_NO_BRACES = str.maketrans({"{": None, "}": None, "/": "_"})

COMPONENTS = "#/components/schemas/{model}"

ROUTES: dict[str, tuple[str, type[BaseModel], type[BaseModel]]] = {
    "/predict": ("Predict one row of a symbol with the traded model.", requests.OneRow, requests.OneAnswer),
    "/predict/{model}": ("Predict one row of a symbol with a kind of model.", requests.OneRow, requests.OneAnswer),
    "/predict_all": (
        "Predict one row, with the columns of all models together, with every model that serves the symbol.",
        requests.OneRow,
        requests.AllAnswers,
    ),
    "/shadow": (
        "Predict one row with the challenger of the symbol; 404 if there is none.",
        requests.OneRow,
        requests.OneAnswer,
    ),
    "/predict_batch": ("Predict many rows of a symbol.", requests.ManyRows, requests.ManyAnswers),
    "/predict_batch/{model}": (
        "Predict many rows of a symbol with a kind of model.",
        requests.ManyRows,
        requests.ManyAnswers,
    ),
    "/v2/models/{model}/infer": (
        "Predict rows with the served version, by the Open Inference Protocol.",
        open_inference.Inference,
        open_inference.Inferred,
    ),
    "/v2/models/{model}/versions/{version}/infer": (
        "Predict rows with a loaded version, by the Open Inference Protocol.",
        open_inference.Inference,
        open_inference.Inferred,
    ),
}
"""Summary, body and answer of each route that predicts."""

ARROW_ROUTES = ("/predict_arrow", "/predict_arrow/{model}")

REFUSALS = {
    "400": "The body is not of the form of the endpoint; the error names the field.",
    "404": "No model was trained on the symbol, or there is no such kind of model, version or path.",
    "409": "A worker cannot load what the registry names, and serves its former version.",
    "413": "The body is too large.",
    "415": "The body is of another media type.",
    "422": "Names or values of the features do not fit the model.",
    "503": "No model is served yet.",
}

PAGE_REFUSALS = ("404", "409", "503")
ROUTE_REFUSALS = ("400", "404", "413", "415", "422", "503")

Request = Mapping[str, Any]


def specification(
    generated: dict[str, Any], pages: Mapping[str, Any], version: str, examples: Mapping[str, Request]
) -> dict[str, Any]:
    """Return the OpenAPI document of the service.

    Parameters
    ----------
    generated : dict
        The document that BentoML generates.
    pages : mapping
        The paths that FastAPI generates for the pages.
    version : str
        Versions of the served models.
    examples : mapping of str to mapping
        Valid request body by path; empty while no model is served.
    """
    title = {"title": "Mikrobot predictions", "version": version, "description": DESCRIPTION}
    schemas: dict[str, Any] = {}
    routes = {
        path: {"post": _operation(path, *route, schemas=schemas, example=examples.get(path))}
        for path, route in ROUTES.items()
    }
    routes |= {path: {"post": _arrow(path)} for path in ARROW_ROUTES}
    components = generated.get("components", {})
    components = components | {"schemas": components.get("schemas", {}) | schemas}
    return generated | {
        "info": title, "paths": {**generated["paths"], **_refusing(pages), **routes}, "components": components
    }  # fmt: skip


def _refusing(pages: Mapping[str, Any]) -> dict[str, Any]:
    """Return the paths of the pages with their refusals in place of FastAPI's, which no page answers with."""
    return {
        path: {
            method: operation | {"responses": {"200": operation["responses"]["200"], **_refusals(*PAGE_REFUSALS)}}
            for method, operation in operations.items()
        }
        for path, operations in pages.items()
    }


def examples(row: Request, others: Mapping[str, Request], everything: Request) -> dict[str, Request]:
    """Return a valid request body of each path.

    Parameters
    ----------
    row : mapping
        A request for one row of the traded model.
    others : mapping of str to mapping
        One for each other kind of model that is served.
    everything : mapping
        One for all models of a scope.
    """
    other = next(iter(others.values()), row)
    return {
        "/predict": row,
        "/shadow": row,
        "/predict_all": everything,
        "/predict_batch": _batch(row),
        "/predict/{model}": other,
        "/predict_batch/{model}": _batch(other),
        "/v2/models/{model}/infer": _inference(other),
        "/v2/models/{model}/versions/{version}/infer": _inference(other),
    }


def _batch(row: Request) -> dict[str, Any]:
    features = row["features"]
    scope = {name: value for name, value in row.items() if name in ("symbol", "source")}
    return scope | {"columns": list(features), "rows": [list(features.values())]}


def _inference(row: Request) -> dict[str, Any]:
    scope = {name: value for name, value in row.items() if name in ("symbol", "source")}
    inputs = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]} for name, value in row["features"].items()
    ]
    return {"parameters": scope, "inputs": inputs}


def _arrow(path: str) -> dict[str, Any]:
    """Describe a route for Arrow streams, which have no schema in OpenAPI."""
    stream = {ARROW: {"schema": {"type": "string", "format": "binary"}}}
    query = [
        {"name": name, "in": "query", "required": name == "symbol", "schema": {"type": "string"}}
        for name in ("symbol", "source")
    ]
    return {
        "summary": "Predict the rows of an Arrow IPC stream, whose columns are those of the model.",
        "operationId": path.strip("/").translate(_NO_BRACES),
        "tags": ["Predictions"],
        "parameters": query + _in_path(path),
        "requestBody": {"required": True, "content": stream},
        "responses": {"200": {"description": "Success", "content": stream}, **_refusals(*ROUTE_REFUSALS)},
    }


def _in_path(path: str) -> list[dict[str, Any]]:
    schemas = {"model": {"type": "string", "enum": list(MODELS)}, "version": {"type": "string"}}
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in schemas.items()
        if f"{{{name}}}" in path
    ]


def _refusals(*statuses: str) -> dict[str, Any]:
    refused = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
    return {status: {"description": REFUSALS[status], "content": {JSON: {"schema": refused}}} for status in statuses}


def _operation(
    path: str, summary: str, body: type[BaseModel], answer: type[BaseModel], *, schemas: dict[str, Any],
    example: Request | None,
) -> dict[str, Any]:  # fmt: skip
    content = {"schema": _schema(body, schemas)} | ({} if example is None else {"example": example})
    return {
        "summary": summary,
        "operationId": path.strip("/").translate(_NO_BRACES),
        "tags": ["Predictions"],
        "parameters": _in_path(path),
        "requestBody": {"required": True, "content": {JSON: content}},
        "responses": {
            "200": {"description": "Success", "content": {JSON: {"schema": _schema(answer, schemas)}}},
            **_refusals(*ROUTE_REFUSALS),
        },
    }


def _schema(model: type[BaseModel], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a body; those that it refers to are added to `schemas`."""
    schema = model.model_json_schema(ref_template=COMPONENTS)
    schemas |= schema.pop("$defs", {})
    return schema

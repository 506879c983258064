"""The API page: Swagger UI with working example requests.

BentoML's own page loads a tag manager and badges from other hosts, which no setting disables.
This page loads the same scripts from the service itself.
"""

from collections.abc import Mapping
from typing import Any

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

DESCRIPTION = """Predicted probabilities of a break of the level above and the level below within the model's horizon.

`GET /model` returns the spec of the model: its columns, its source and its metrics. `mikrobot predict --example`
prints a request with the newest feature row of a symbol."""

Request = Mapping[str, Any]


def specification(generated: dict[str, Any], version: str, row: Request | None) -> dict[str, Any]:
    """Return BentoML's OpenAPI document with our description and a working example of each request.

    Parameters
    ----------
    generated : dict
        The OpenAPI document that BentoML generates.
    version : str
        Version of the served model.
    row : mapping or None
        A valid request body of ``/predict``; None while no model is served.
    """
    title = {"title": "Mikrobot predictions", "version": version, "description": DESCRIPTION}
    examples = {} if row is None else {"/predict": row, "/shadow": row, "/predict_batch": _batch(row)}
    paths = {path: _with_example(item, examples.get(path)) for path, item in generated["paths"].items()}
    return generated | {"info": title, "paths": paths}


def _batch(row: Request) -> dict[str, Any]:
    features = row["features"]
    rest = {name: value for name, value in row.items() if name != "features"}
    return rest | {"columns": list(features), "rows": [list(features.values())]}


def _with_example(item: dict[str, Any], example: Request | None) -> dict[str, Any]:
    if example is None:
        return item
    request = item["post"]["requestBody"]
    content = {kind: described | {"example": example} for kind, described in request["content"].items()}
    return item | {"post": item["post"] | {"requestBody": request | {"content": content}}}

"""The API page: it loads nothing from other hosts, and its examples are valid requests."""

import re

from bentos.api_page import ARROW_ROUTES, HTML, ROUTES, examples, specification

GENERATED = {
    "openapi": "3.0.2",
    "info": {"version": "None", "description": "![badge](https://img.shields.io/badge)"},
    "paths": {"/livez": {"get": {}}},
}
PAGES = {"/models": {"get": {"responses": {"200": {"description": "Success"}, "422": {"description": "FastAPI's"}}}}}
ROW = {"symbol": "EURUSD", "features": {"m1_rsi_14": 50.0, "m1_ema_9": None}, "source": "replay"}
OTHER = {"symbol": "EURUSD", "features": {"m1_atr_14": 1.0}}
BATCH = {"symbol": "EURUSD", "source": "replay", "columns": ["m1_rsi_14", "m1_ema_9"], "rows": [[50.0, None]]}


def test_the_page_loads_nothing_from_another_host():
    assert re.findall(r"(?:https?:)?//[^\s\"']+", HTML) == []
    assert "img.shields.io" not in str(specification(GENERATED, PAGES, "bos 1", {}))


def test_each_request_has_an_example_of_its_models():
    paths = specification(GENERATED, PAGES, "bos 1", examples(ROW, {"nowcast": OTHER}, ROW))["paths"]
    given = {
        path: item["post"]["requestBody"]["content"]["application/json"]["example"]
        for path, item in paths.items()
        if "post" in item and path not in ARROW_ROUTES
    }
    inference = {
        "parameters": {"symbol": "EURUSD"},
        "inputs": [{"name": "m1_atr_14", "shape": [1], "datatype": "FP64", "data": [1.0]}],
    }
    assert given == {
        "/predict": ROW,
        "/shadow": ROW,
        "/predict_all": ROW,
        "/predict_batch": BATCH,
        "/predict/{model}": OTHER,
        "/predict_batch/{model}": {"symbol": "EURUSD", "columns": ["m1_atr_14"], "rows": [[1.0]]},
        "/v2/models/{model}/infer": inference,
        "/v2/models/{model}/versions/{version}/infer": inference,
    }
    assert paths["/livez"] == {"get": {}}


def test_a_page_lists_its_own_refusals_in_place_of_those_of_the_framework():
    responses = specification(GENERATED, PAGES, "bos 1", {})["paths"]["/models"]["get"]["responses"]
    assert sorted(responses) == ["200", "404", "409", "503"]
    assert responses["200"] == {"description": "Success"}
    assert responses["404"]["content"]["application/json"]["schema"]["required"] == ["error"]


def test_without_a_model_the_routes_are_described_without_an_example():
    described = specification(GENERATED, PAGES, "no model yet", {})
    assert set(described["paths"]) == {"/livez", "/models", *ROUTES, *ARROW_ROUTES}
    for path in ROUTES:
        assert "example" not in described["paths"][path]["post"]["requestBody"]["content"]["application/json"]


def test_every_schema_that_is_referred_to_is_part_of_the_document():
    described = specification(GENERATED, PAGES, "no model yet", {})
    names = set(re.findall(r"#/components/schemas/(\w+)", str(described)))
    assert names
    assert names <= set(described["components"]["schemas"])

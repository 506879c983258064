"""The API page: it loads nothing from other hosts, and its examples are valid requests."""

import re

from bentos.api_page import HTML, specification

GENERATED = {
    "openapi": "3.0.2",
    "info": {"version": "None", "description": "![badge](https://img.shields.io/badge)"},
    "paths": {
        "/predict": {"post": {"requestBody": {"content": {"application/json": {"schema": {}}}}}},
        "/predict_batch": {"post": {"requestBody": {"content": {"application/json": {"schema": {}}}}}},
        "/livez": {"get": {}},
    },
}
ROW = {"symbol": "EURUSD", "features": {"m1_rsi_14": 50.0, "m1_ema_9": None}}


def test_the_page_loads_nothing_from_another_host():
    assert re.findall(r"(?:https?:)?//[^\s\"']+", HTML) == []
    assert "img.shields.io" not in str(specification(GENERATED, "bos 1", ROW))


def test_each_request_has_an_example_with_the_same_row():
    paths = specification(GENERATED, "bos 1", ROW)["paths"]
    examples = {
        path: item["post"]["requestBody"]["content"]["application/json"]["example"]
        for path, item in paths.items()
        if "post" in item
    }
    batch = {"symbol": "EURUSD", "columns": ["m1_rsi_14", "m1_ema_9"], "rows": [[50.0, None]]}
    assert examples == {"/predict": ROW, "/predict_batch": batch}
    assert paths["/livez"] == {"get": {}}


def test_without_a_model_there_is_no_example():
    assert specification(GENERATED, "no model yet", None)["paths"] == GENERATED["paths"]

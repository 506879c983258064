"""Schemathesis derives requests from the OpenAPI document, valid and invalid; none may break its contract."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mikrobot.models.catalog import MODELS
from mikrobot.settings import Settings
from mikrobot.stack.prediction_notice import notify

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
)


@pytest.mark.parametrize(
    ("phases", "examples"),
    [("examples,fuzzing", 5), pytest.param("examples,coverage,fuzzing", 200, marks=pytest.mark.soak)],
)
def test_no_request_breaks_the_contract_of_the_openapi_document(
    stage: Any, state: Settings, tmp_path: Path, phases: str, examples: int
) -> None:
    """A refusal is a 4xx that the document lists, with one JSON object that names the error; never a 5xx."""
    service = stage.service
    for kind in MODELS:
        if stage.version(kind) is None:
            stage.registry.promote(kind, stage.registered(kind=kind).spec.version, "for the test")
    notify(Settings(home=state.home, bento_port=service.port))
    command = [
        *(Path(sys.executable).with_name("st"), "run", f"http://127.0.0.1:{service.port}/docs.json"),
        *("--auth", ":".join(service.login), "--checks", ",".join(CHECKS), "--phases", phases),
        *("--max-examples", str(examples), "--seed", "1", "--workers", "2", "--continue-on-failure"),
        *("--suppress-health-check", "all", "--request-timeout", "30"),
        *("--exclude-path-regex", "arrow"),  # Arrow streams have no schema in OpenAPI
    ]
    tested = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert tested.returncode == 0, tested.stdout[-8000:] + tested.stderr[-2000:]

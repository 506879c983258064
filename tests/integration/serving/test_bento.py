"""`bentoml build`: the bento has all that the service imports, and its Dockerfile is the one of the documents."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("bento")
    return os.environ | {
        "BENTOML_HOME": str(home / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "MIKROBOT_HOME": str(home / "state"),
    }


@pytest.fixture(scope="module")
def bento(environment: dict[str, str]) -> Path:
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag", str(ROOT)]
    built = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT)
    version = built.stdout.strip().rpartition(":")[2]
    return Path(environment["BENTOML_HOME"]) / "bentos" / "predictions" / version


def test_the_service_is_imported_from_the_bento_alone(bento: Path, environment: dict[str, str]) -> None:
    folders = [bento / "src", bento / "src" / "src"]
    script = "import mikrobot, bentos.__main__, bentos.service as s; print(mikrobot.__file__, s.__file__)"
    imported = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | {"PYTHONPATH": os.pathsep.join(map(str, folders))},
        capture_output=True,
        text=True,
        check=True,
        cwd=bento.parent,
    )
    assert all(Path(place).is_relative_to(bento) for place in imported.stdout.split())


def test_the_dockerfile_of_the_documents_is_the_generated_one(bento: Path) -> None:
    generated = (bento / "env" / "docker" / "Dockerfile").read_text()
    assert (ROOT / "docs" / "serving" / "Dockerfile").read_text() == generated
    assert "ARG PYTHONPATH=/home/bentoml/bento/src:/home/bentoml/bento/src/src" in generated

"""docker-compose.yml holds no password, publishes nothing beyond this machine, and starts no web service unguarded."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from mikrobot.settings import Settings
from mikrobot.stack.service_table import ROOT, environment, services

TEXT = (ROOT / "docker-compose.yml").read_text()
CONTAINERS: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
WEB = ("prefect", "mlflow", "bento")


def test_every_variable_is_required() -> None:
    """`${NAME:?text}` ends docker compose with the text if the variable is unset or empty."""
    references = re.findall(r"\$\{([^}]*)\}", TEXT)
    assert references
    assert [reference for reference in references if not re.fullmatch(r"[A-Z_]+:\?.+", reference)] == []


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_secret_is_a_reference_and_never_written_down(name: str) -> None:
    variables: dict[str, str] = CONTAINERS[name].get("environment", {})
    secrets = {key: value for key, value in variables.items() if re.search("PASSWORD|SECRET|TOKEN|AUTH", key)}
    assert secrets
    assert all(value.startswith(f"${{{key}:?") for key, value in secrets.items())
    assert "TRUST" not in TEXT.upper()


@pytest.mark.parametrize("name", CONTAINERS)
def test_its_ports_are_published_on_this_machine_only(name: str) -> None:
    assert [port for port in CONTAINERS[name]["ports"] if not port.startswith("127.0.0.1:")] == []
    assert "network_mode" not in CONTAINERS[name]


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_web_service_in_it_would_run_behind_the_guard(name: str, tmp_path: Any) -> None:
    """The images of Prefect, MLflow and BentoML start servers that answer everybody."""
    container = CONTAINERS[name]
    started = f"{name} {container.get('image', '')} {container.get('command', '')}"
    for service in filter(started.__contains__, WEB):
        module = services(Settings(home=tmp_path))[service].command[2]
        assert ["python", "-m", module] == container["command"][:3]


def test_the_address_in_its_first_lines_is_that_of_the_published_server(tmp_path: Any) -> None:
    (written,) = re.findall(r"MIKROBOT_DATABASE_URL=(\S+)", TEXT)
    (port,) = CONTAINERS["timescaledb"]["ports"]
    url = urlsplit(written.replace("$POSTGRES_PASSWORD", "0a1b"))
    settings = Settings(home=tmp_path, database_url=url.geturl())
    assert (url.scheme, url.username, url.password) == ("postgresql", "postgres", "0a1b")
    assert f"{url.hostname}:{url.port}" == port.rpartition(":")[0]
    variables = environment(settings)
    assert variables["MIKROBOT_DATABASE_URL"] == f"postgresql://127.0.0.1:{url.port}/postgres"
    assert variables["POSTGRES_PASSWORD"] == ""

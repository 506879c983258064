"""Other users of the machine and other web pages reach no service: they neither read nor change anything."""

import asyncio
import base64
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from mikrobot.store import web_access

READS = [
    ("prefect", "/"), ("prefect", "/docs"), ("prefect", "/ui-settings"), ("prefect", "/api/docs"),
    ("prefect", "/api/admin/settings"), ("prefect", "/api/admin/version"), ("prefect", "/api/openapi.json"),
    ("prefect", "/api/deployments/name/retrain/retrain"), ("prefect", "/v2/"),
    ("mlflow", "/"), ("mlflow", "/version"), ("mlflow", "/api/2.0/mlflow/experiments/get?experiment_id=0"),
    ("mlflow", "/ajax-api/2.0/mlflow/experiments/get?experiment_id=0"), ("mlflow", "/graphql"),
    ("mlflow", "/api/2.0/mlflow-artifacts/artifacts"), ("mlflow", "/get-artifact?path=x&run_uuid=x"),
    ("bento", "/"), ("bento", "/models"), ("bento", "/model"), ("bento", "/challenger"), ("bento", "/docs.json"),
    ("bento", "/schema.json"), ("bento", "/metrics"), ("bento", "/reports/last/report.html"), ("bento", "/missing"),
]  # fmt: skip
CHANGES = [
    ("prefect", "POST", "/api/flows/", {"name": "theirs"}),
    ("prefect", "POST", "/api/deployments/filter", {}),
    ("prefect", "POST", "/api/variables/", {"name": "theirs", "value": 1}),
    ("prefect", "DELETE", "/api/flows/00000000-0000-0000-0000-000000000000", None),
    ("mlflow", "POST", "/api/2.0/mlflow/experiments/create", {"name": "theirs"}),
    ("mlflow", "POST", "/api/2.0/mlflow/registered-models/alias", {"name": "bos", "alias": "champion", "version": "1"}),
    ("mlflow", "PUT", "/api/2.0/mlflow-artifacts/artifacts/theirs.txt", {"any": "content"}),
    ("mlflow", "DELETE", "/api/2.0/mlflow/registered-models/alias", {"name": "bos", "alias": "champion"}),
    ("bento", "POST", "/predict", {"symbol": "EURUSD", "features": {}}),
    ("bento", "POST", "/predict_batch", {"symbol": "EURUSD", "columns": [], "rows": []}),
    ("bento", "POST", "/shadow", {"symbol": "EURUSD", "features": {}}),
]
HEALTH = [("prefect", "/api/health"), ("mlflow", "/health"), ("bento", "/livez"), ("bento", "/healthz")]
SOCKETS = ["/api/events/in", "/api/events/out", "/api/logs/out", "/api/task_runs/subscriptions/scheduled"]
DEPLOYMENT = "/api/deployments/name/retrain/retrain"


def url(stack: Any, service: str, path: str) -> str:
    return f"http://127.0.0.1:{stack.ports[service]}{path}"


def ask(stack: Any, service: str, method: str, path: str, **given: Any) -> httpx.Response:
    return httpx.request(method, url(stack, service, path), timeout=30, trust_env=False, **given)


def login(stack: Any, service: str) -> tuple[str, str]:
    return web_access.login(stack.settings, service)


@pytest.mark.parametrize(("service", "path"), READS)
def test_without_the_password_nothing_is_read(stack: Any, service: str, path: str) -> None:
    answer = ask(stack, service, "GET", path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize(("service", "method", "path", "body"), CHANGES)
def test_without_the_password_nothing_is_changed(stack: Any, service: str, method: str, path: str, body: Any) -> None:
    assert ask(stack, service, method, path, json=body).status_code == 401
    assert ask(stack, service, method, path, json=body, auth=("mikrobot", "guessed")).status_code == 401


@pytest.mark.parametrize(("service", "path"), HEALTH)
def test_everybody_may_read_that_a_service_runs(stack: Any, service: str, path: str) -> None:
    assert ask(stack, service, "GET", path).status_code == 200


@pytest.mark.parametrize("service", web_access.SERVICES)
@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}])
def test_another_web_page_is_refused_even_with_the_password(stack: Any, service: str, headers: dict[str, str]) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        answer = ask(stack, service, method, "/", auth=login(stack, service), headers=headers)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("service", web_access.SERVICES)
def test_no_service_allows_every_origin(stack: Any, service: str) -> None:
    own = {"Origin": f"http://127.0.0.1:{stack.ports[service]}"}
    answer = ask(stack, service, "GET", "/", auth=login(stack, service), headers=own)
    assert answer.status_code == 200
    assert answer.headers.get("access-control-allow-origin", "") != "*"


@pytest.mark.parametrize("service", web_access.SERVICES)
def test_the_password_of_one_service_does_not_open_another(stack: Any, service: str) -> None:
    for other in set(web_access.SERVICES) - {service}:
        assert ask(stack, service, "GET", "/", auth=login(stack, other)).status_code == 401


async def joined(address: str, token: str | None, headers: dict[str, str]) -> bool:
    """Return True if a WebSocket of Prefect accepts a token, or answers at all without the handshake."""
    try:
        async with connect(address, subprotocols=["prefect"], additional_headers=headers) as socket:
            await socket.send(json.dumps({"type": "auth", "token": token}))
            return json.loads(await socket.recv())["type"] == "auth_success"
    except (ConnectionClosed, InvalidStatus):
        return False


@pytest.mark.parametrize("path", SOCKETS)
def test_a_web_socket_opens_with_the_password_only(stack: Any, path: str) -> None:
    address, token = url(stack, "prefect", path).replace("http", "ws", 1), ":".join(login(stack, "prefect"))
    evil = {"Origin": "http://evil.example"}
    assert asyncio.run(joined(address, None, {})) is False
    assert asyncio.run(joined(address, "mikrobot:guessed", {})) is False
    assert asyncio.run(joined(address, token, evil)) is False
    assert asyncio.run(joined(address, token, {})) is True


def test_the_flows_of_the_stack_still_reach_their_deployments(stack: Any) -> None:
    assert ask(stack, "prefect", "GET", DEPLOYMENT, auth=login(stack, "prefect")).status_code == 200
    process = stack.run("retrain", "--reason", "a test of the password")
    assert process.returncode == 0, process.stderr
    assert "/runs/flow-run/" in process.stdout


def test_the_page_of_links_signs_in(stack: Any) -> None:
    page = (stack.home / "pages.html").read_text()
    for service in web_access.SERVICES:
        user, password = login(stack, service)
        link = f"http://{user}:{password}@127.0.0.1:{stack.ports[service]}/sign-in"
        assert link in page
        answer = httpx.get(link, follow_redirects=False)
        assert answer.headers["location"] == f"http://127.0.0.1:{stack.ports[service]}/"


def test_prefects_own_page_does_not_ask_for_the_password_again(stack: Any) -> None:
    assert ask(stack, "prefect", "GET", "/ui-settings", auth=login(stack, "prefect")).json()["auth"] is None


def test_no_password_is_printed_logged_or_an_argument_of_a_process(stack: Any) -> None:
    passwords = [login(stack, service)[1] for service in web_access.SERVICES]
    passwords += [
        base64.b64encode(":".join(login(stack, service)).encode()).decode() for service in web_access.SERVICES
    ]
    shown = [stack.run(*words).stdout for words in (["status"], ["status", "--json"], ["doctor"])]
    shown += [path.read_text(errors="replace") for path in (stack.home / "logs").iterdir()]
    shown += [" ".join(process.cmdline()) for process in stack.processes()]
    assert [password for password in passwords if any(password in text for text in shown)] == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("name", ["pages.html", *(f"secrets/web_{service}" for service in web_access.SERVICES)])
def test_another_user_reads_no_password(stack: Any, name: str) -> None:
    """The folders above a state folder may be closed by chance; so the file lies in one that is not."""
    lying_open = Path(tempfile.mkdtemp())
    lying_open.chmod(0o755)
    copy = shutil.copy2(stack.home / name, lying_open / "copy")
    command = ["/bin/cat", str(copy)]
    process = subprocess.run(command, user=65534, group=65534, extra_groups=[], cwd="/", capture_output=True)
    shutil.rmtree(lying_open)
    assert process.returncode != 0
    assert process.stdout == b""

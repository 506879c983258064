"""The guard before a small application: who passes, and what everybody else is answered."""

import base64
from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from mikrobot.stack.guard import Guard

LOGIN = ("mikrobot", "right")
HOST = "127.0.0.1:4200"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


async def hello(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


def client(service: str = "prefect", host: str = "127.0.0.1", *, checks_sockets: bool = False) -> TestClient:
    app = Starlette(
        routes=[
            Route("/{path:path}", lambda request: PlainTextResponse("in"), methods=METHODS),
            WebSocketRoute("/socket", hello),
        ]
    )
    return TestClient(Guard(app, service, host, login=LOGIN, checks_sockets=checks_sockets), base_url=f"http://{HOST}")


def test_the_owner_passes() -> None:
    assert client().get("/x", auth=LOGIN).text == "in"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "authorization",
    [
        None, "", "Basic", "Basic ", "Basic !!!", "Bearer right", "basic bWlrcm9ib3Q6cmlnaHQ",
        *(f"Basic {base64.b64encode(text).decode()}" for text in (b"mikrobot:wrong", b"a:right", b"mikrobot:", b"x")),
    ],
)  # fmt: skip
def test_nobody_else_passes_and_a_browser_asks_for_the_password(method: str, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = client().request(method, "/x", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert "right" not in answer.text


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("prefect", "/api/health"),
        ("prefect", "/api/ready"),
        ("mlflow", "/health"),
        ("bento", "/livez"),
        ("bento", "/readyz"),
    ],
)
def test_health_needs_no_password_and_takes_only_reads(service: str, path: str) -> None:
    assert client(service).get(path).text == "in"
    assert client(service).head(path).status_code == 200
    assert client(service).post(path).status_code == 401
    assert client(service).get(f"{path}/").status_code == 401
    assert client(service).get(f"/x{path}").status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4200", "127.0.0.1.evil.example", "10.0.0.1:4200", ""])
@pytest.mark.parametrize("path", ["/x", "/api/health"])
def test_another_host_is_refused_even_with_the_password(host: str, path: str) -> None:
    assert client().get(path, auth=LOGIN, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:4200", "LOCALHOST", "127.0.0.1:9999"])
def test_every_name_of_loopback_passes(host: str) -> None:
    assert client().get("/x", auth=LOGIN, headers={"Host": host}).status_code == 200


def test_a_service_on_all_addresses_is_called_by_any_address_and_by_no_other_name() -> None:
    everywhere = client(host="0.0.0.0")
    assert everywhere.get("/x", auth=LOGIN, headers={"Host": "192.168.1.5:4200"}).status_code == 200
    assert everywhere.get("/x", headers={"Host": "192.168.1.5:4200"}).status_code == 401
    assert everywhere.get("/x", auth=LOGIN, headers={"Host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:9999", "http://localhost:4200", "null", "", "127.0.0.1:4200"]
)
def test_another_web_page_is_refused_even_with_the_password(origin: str) -> None:
    assert client().get("/x", auth=LOGIN, headers={"Origin": origin}).status_code == 403
    assert client().options("/x", headers={"Origin": origin}).status_code == 403


def test_the_page_of_the_service_itself_passes() -> None:
    headers = {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
    assert client().post("/x", auth=LOGIN, headers=headers).status_code == 200


@pytest.mark.parametrize(("mode", "dest"), [("no-cors", "image"), ("navigate", "iframe"), ("no-cors", "script")])
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_nothing_is_embedded_in_another_page(site: str, mode: str, dest: str) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    assert client().get("/x", auth=LOGIN, headers=headers).status_code == 403


def test_a_link_on_another_page_opens() -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client().get("/x", auth=LOGIN, headers=headers).status_code == 200


def test_the_link_that_signs_in_leads_to_the_first_page_without_the_password_in_its_address() -> None:
    answer = client().get("/sign-in", auth=LOGIN, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"http://{HOST}/")
    assert client().get("/sign-in", follow_redirects=False).status_code == 401


def connects(guarded: TestClient, **given: object) -> bool:
    try:
        with guarded.websocket_connect(f"ws://{HOST}/socket", **given) as socket:
            return socket.receive_text() == "hello"
    except WebSocketDisconnect:
        return False


def header(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"mikrobot:{password}".encode()).decode()}


@pytest.mark.parametrize(
    ("make", "headers", "expected"),
    [
        (client, header("right"), True),
        (client, header("wrong"), False),
        (client, {}, False),
        (lambda: client(checks_sockets=True), {}, True),
        (lambda: client(checks_sockets=True), {"Origin": "http://evil.example"}, False),
        (lambda: client(checks_sockets=True), {"Host": "evil.example"}, False),
    ],
)
def test_a_web_socket(make: Callable[[], TestClient], headers: dict[str, str], expected: bool) -> None:
    assert connects(make(), headers=headers) is expected

"""The client of the tracking server's REST API, with a real MLflow server and with servers that fail."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mikrobot.domain.errors import ModelError, ServiceError
from mikrobot.models.tracking import mlflow
from mikrobot.models.tracking_server import TrackingServer

Answer = tuple[int, str]
ALIASES = json.dumps({"registered_model": {"aliases": [{"alias": "champion", "version": "3"}]}})


@pytest.fixture(scope="module")
def named(mlflow_uri: str) -> str:
    """Name of a registered model with three versions without artefacts."""
    client = mlflow.MlflowClient(mlflow_uri)
    client.create_registered_model("plain")
    for number in (1, 2, 3):
        run = client.create_run("0").info
        client.create_model_version("plain", f"{run.artifact_uri}/model", run.run_id, {"note": f"the {number}."})
    return "plain"


@pytest.fixture
def server(mlflow_uri: str) -> TrackingServer:
    return TrackingServer(mlflow_uri)


@pytest.fixture
def answering() -> Iterator[Callable[..., TrackingServer]]:
    """A factory of clients of a server with scripted responses, the last one repeated."""
    running: list[HTTPServer] = []

    def make(*answers: Answer) -> TrackingServer:
        left = list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = left.pop(0) if len(left) > 1 else left[0]
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        running.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=running[-1].serve_forever, daemon=True).start()
        return TrackingServer(f"http://127.0.0.1:{running[-1].server_port}")

    yield make
    for server in running:
        server.shutdown()
        server.server_close()


def test_versions_are_what_the_mlflow_library_lists(server: TrackingServer, named: str) -> None:
    server.set_alias(named, "champion", "2")
    server.set_tag(named, "2", "note", "a 'quoted' & long one")
    client = mlflow.MlflowClient(server.url)
    versions = server.versions(named)
    assert [version.version for version in versions] == ["3", "2", "1"]
    for version in versions:
        library = client.get_model_version(named, version.version)
        assert version == server.version(named, version.version)
        assert (dict(version.tags), version.run_id) == (library.tags, library.run_id or "")
        assert list(version.aliases) == list(library.aliases)
    assert versions[1].aliases == ("champion",)
    server.remove_alias(named, "champion")
    assert server.aliases(named) == {}


@pytest.mark.parametrize("number", ["9", "1x", ""])
def test_a_version_that_does_not_exist_is_a_model_error(server: TrackingServer, named: str, number: str) -> None:
    for call in (
        lambda: server.version(named, number),
        lambda: server.set_tag(named, number, "key", "value"),
        lambda: server.set_alias(named, "champion", number),
    ):
        with pytest.raises(ModelError, match=f"^there is no version {number} of model plain; see `mikrobot models"):
            call()


def test_a_file_that_does_not_exist_is_a_model_error(server: TrackingServer, named: str) -> None:
    location = server.model_location(named, "1", "no version")
    with pytest.raises(ModelError, match=r"^version 1 lost its files; see `mikrobot models list`$"):
        server.file(location, "model.onnx", "version 1 lost its files")


def test_artefacts_that_the_server_does_not_keep_are_refused(server: TrackingServer) -> None:
    with pytest.raises(ServiceError, match="its artefacts are at file:///tmp/mine, expected mlflow-artifacts:/"):
        server.file("file:///tmp/mine", "model.onnx", "absent")


def test_all_pages_of_the_versions_are_read(answering: Callable[..., TrackingServer]) -> None:
    pages = [
        json.dumps(
            {"model_versions": [{"name": "bos", "version": "2", "creation_timestamp": 1}], "next_page_token": "more"}
        ),
        json.dumps({"model_versions": [{"name": "bos", "version": "3", "creation_timestamp": 2}]}),
    ]
    versions = answering((200, pages[0]), (200, pages[1]), (200, ALIASES)).versions("bos")
    assert [(version.version, version.aliases) for version in versions] == [("3", ("champion",)), ("2", ())]


def test_an_overloaded_server_is_asked_again(answering: Callable[..., TrackingServer]) -> None:
    assert answering((503, "busy"), (500, "{}"), (200, ALIASES)).aliases("bos") == {"champion": "3"}


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((500, '{"error_code": "INTERNAL_ERROR", "message": "no such table\\nTraceback"}'), "500: no such table;"),
        ((404, '{"detail": "Not Found"}'), 'status 404: {"detail": "Not Found"};'),
        ((200, "<html>\nsome page</html>"), "expected JSON from registered-models/get, found '<html>.*';"),
        ((200, "[1]"), r"expected JSON from registered-models/get, found '\[1\]';"),
    ],
)
def test_a_server_that_fails_is_one_line(
    answering: Callable[..., TrackingServer], answer: Answer, problem: str
) -> None:
    with pytest.raises(ServiceError, match=problem + " check that it runs") as raised:
        answering(answer).aliases("bos")
    assert "\n" not in str(raised.value)

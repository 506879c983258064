"""Answers of the tracking server on disk: the latest one is given while the server is down, and nothing else."""

from pathlib import Path

import httpx
import pytest

from mikrobot.domain.errors import ServiceError
from mikrobot.models import kept_answers
from mikrobot.models.kept_answers import KeepingTransport, KeptTransport
from mikrobot.models.tracking_server import TrackingServer

URL = "http://127.0.0.1:5500"
ALIASES = {"registered_model": {"aliases": [{"alias": "champion-replay-EURUSD", "version": "3"}]}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def status() -> list[int]:
    return [200]


@pytest.fixture
def server(folder: Path, status: list[int]) -> TrackingServer:
    """A tracking server that knows one model and one file, and fails with `status`."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("model.onnx"):
            return httpx.Response(status[0], content=b"\x00graph\n\xff")
        return httpx.Response(status[0], json=ALIASES)

    return TrackingServer(URL, transport=KeepingTransport(httpx.MockTransport(answer), folder))


def test_what_was_answered_is_answered_again_without_the_server(server: TrackingServer, folder: Path) -> None:
    kept = TrackingServer(URL, transport=KeptTransport(folder))
    with pytest.raises(ServiceError, match=r"no answer to .* is kept"):
        kept.aliases("bos")
    for source in (server, kept):
        assert source.aliases("bos") == {"champion-replay-EURUSD": "3"}
        assert source.file("mlflow-artifacts:/7", "model.onnx", "absent") == b"\x00graph\n\xff"
    with pytest.raises(ServiceError, match=r"no answer to .* is kept"):
        kept.aliases("nowcast")
    with pytest.raises(ServiceError, match=r"no answer to .* is kept"):
        kept.file("mlflow-artifacts:/8", "model.onnx", "absent")


def test_an_error_is_passed_on_and_not_kept(server: TrackingServer, folder: Path, status: list[int]) -> None:
    status[0] = 400
    with pytest.raises(ServiceError):
        server.aliases("bos")
    assert list(folder.iterdir()) == []


def test_only_the_latest_answers_are_kept(
    server: TrackingServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_answers, "KEPT", 3)
    for number in range(6):
        server.file(f"mlflow-artifacts:/{number}", "model.onnx", "absent")
    assert len(list(folder.iterdir())) == 3
    kept = TrackingServer(URL, transport=KeptTransport(folder))
    assert kept.file("mlflow-artifacts:/5", "model.onnx", "absent") == b"\x00graph\n\xff"


def test_a_folder_that_cannot_be_written_keeps_nothing_and_fails_nothing(server: TrackingServer, folder: Path) -> None:
    folder.rmdir()
    folder.write_text("a file")
    assert server.aliases("bos") == {"champion-replay-EURUSD": "3"}

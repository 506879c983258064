"""Signed lists of files: every change of a file, of the list or of the key is found."""

import json
from pathlib import Path

import pytest

from mikrobot.domain.errors import ModelError
from mikrobot.models.signatures import Signer, Verifier

FILES = {"model.onnx": b"a graph" * 20, "extra_files/curves.json": b'{"calibration": []}'}


@pytest.fixture
def signer() -> Signer:
    return Signer("a secret of this state folder")


@pytest.fixture
def verifier(signer: Signer, tmp_path: Path) -> Verifier:
    path = tmp_path / "models.pub"
    path.write_text(signer.public_key)
    return Verifier(path)


def test_the_files_that_were_signed_pass_in_whole_and_in_part(signer: Signer, verifier: Verifier) -> None:
    signed = signer.sign(FILES)
    verifier.check(signed, FILES)
    verifier.check(signed, {"model.onnx": FILES["model.onnx"]})


@pytest.mark.parametrize("position", range(0, 140, 7))
def test_a_changed_byte_of_a_file_is_found(signer: Signer, verifier: Verifier, position: int) -> None:
    content = bytearray(FILES["model.onnx"])
    content[position] ^= 1
    with pytest.raises(ModelError, match=r"model\.onnx is not the file that the training signed"):
        verifier.check(signer.sign(FILES), {"model.onnx": bytes(content)})


def test_a_changed_list_is_found(signer: Signer, verifier: Verifier) -> None:
    signed = json.loads(signer.sign(FILES))
    signed["files"]["model.onnx"] = json.loads(signer.sign({"model.onnx": b"another graph"}))["files"]["model.onnx"]
    with pytest.raises(ModelError, match="its signature is not of the key"):
        verifier.check(json.dumps(signed).encode(), {"model.onnx": b"another graph"})


def test_a_file_that_was_not_signed_is_found(signer: Signer, verifier: Verifier) -> None:
    with pytest.raises(ModelError, match="extra is not the file"):
        verifier.check(signer.sign(FILES), {"extra": b""})


@pytest.mark.parametrize("signed", [b"", b"[]", b"{}", b'{"files": {}, "signature": "????"}', b'{"files": 3}', b"\xff"])
def test_what_is_no_signed_list_is_refused(verifier: Verifier, signed: bytes) -> None:
    with pytest.raises(ModelError, match="its signature is not of the key"):
        verifier.check(signed, {})


def test_the_key_of_another_state_folder_is_refused(verifier: Verifier) -> None:
    with pytest.raises(ModelError, match="another state folder trained it"):
        verifier.check(Signer("another secret").sign(FILES), FILES)


def test_without_a_public_key_nothing_is_accepted(signer: Signer, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"its signature is not of the key in .*nowhere"):
        Verifier(tmp_path / "nowhere").check(signer.sign(FILES), FILES)

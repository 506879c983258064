"""Signed lists of files: every change of a file, of the list or of the key is found."""

import json
from pathlib import Path

import pytest

from mikrobot.domain.errors import ModelError
from mikrobot.models.signatures import Signer, Verifier

WINDOW = '{"until": "2026-05-05T00:00:00+00:00", "true": [5, 5], "false": [5, 5]}'
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


def test_a_list_is_that_of_its_version_alone(signer: Signer, verifier: Verifier) -> None:
    signed = signer.sign(FILES)
    seal = signer.seal("bos", "3", signed)
    verifier.check_seal("bos", "3", signed, seal)
    others = [("bos", "4", signed), ("retest", "3", signed), ("bos", "3", signer.sign({}))]
    for name, version, listed in others:
        with pytest.raises(ModelError, match="not signed for this version"):
            verifier.check_seal(name, version, listed, seal)
    with pytest.raises(ModelError, match="not signed for this version"):
        verifier.check_seal("bos", "3", signed, Signer("another secret").seal("bos", "3", signed))


def test_a_window_is_that_of_its_version_alone(signer: Signer, verifier: Verifier) -> None:
    tag = signer.sign_window("bos", "3", WINDOW)
    assert verifier.window("bos", "3", tag) == WINDOW
    for version, changed in [("4", tag), ("3", tag.replace("5", "6", 1)), ("3", WINDOW), ("3", tag + " ")]:
        with pytest.raises(ModelError, match="its rolling window was not signed for this version"):
            verifier.window("bos", version, changed)
    with pytest.raises(ModelError, match="its rolling window was not signed for this version"):
        verifier.window("bos", "3", Signer("another secret").sign_window("bos", "3", WINDOW))


def test_a_signature_of_one_thing_is_none_of_another(signer: Signer, verifier: Verifier) -> None:
    signed = signer.sign(FILES)
    seal = signer.seal("bos", "3", signed)
    with pytest.raises(ModelError, match="its rolling window was not signed"):
        verifier.window("bos", "3", f"{seal} {signed.decode()}")


def test_without_a_public_key_nothing_is_accepted(signer: Signer, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"its signature is not of the key in .*nowhere"):
        Verifier(tmp_path / "nowhere").check(signer.sign(FILES), FILES)

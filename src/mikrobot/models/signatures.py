"""Signatures of registered models: a training signs the files of its model, and whoever loads them checks them first.

Three things are signed with the Ed25519 key of a state folder, which the model registry never sees: the list of the
files' hashes, the version that the list belongs to, and the rolling window of a version. A model is refused if its
files, its version or its window were changed in the registry, or if another state folder registered it. Aliases and
the other tags of a version are not signed: a client that may write them can choose among the signed versions.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mikrobot.domain.errors import ModelError

SIGNED = "extra_files/signed.json"
"""Path of the signed list among the files of a version; MLflow puts extra files into a folder."""

SEAL = "signature"
"""Tag of a version: the signature of its name, its number and its signed list."""


class Signer:
    """Signs lists of files.

    Parameters
    ----------
    secret : str
        From it, the private key is derived.
    """

    def __init__(self, secret: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(secret.encode()).digest())

    @property
    def public_key(self) -> str:
        """The key that `Verifier` needs, base64."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, files: Mapping[str, bytes]) -> bytes:
        """Return the signed list of files, as JSON.

        Parameters
        ----------
        files : mapping of str to bytes
            Content by path within the model.
        """
        listed = {path: _sha256(content) for path, content in sorted(files.items())}
        signature = base64.b64encode(self._key.sign(_statement(listed))).decode()
        return json.dumps({"files": listed, "signature": signature}, indent=1).encode()

    def seal(self, name: str, version: str, signed: bytes) -> str:
        """Return the signature that binds a signed list to its version, base64."""
        return base64.b64encode(self._key.sign(_sealed(name, version, signed))).decode()

    def sign_window(self, name: str, version: str, window: str) -> str:
        """Return a window of a version with its signature, as one line."""
        signature = base64.b64encode(self._key.sign(_rolled(name, version, window))).decode()
        return f"{signature} {window}"


class Verifier:
    """Checks files against a signed list.

    Parameters
    ----------
    public_key : Path
        File with the public key of the state folder; read at each check, since the first training writes it.
    """

    def __init__(self, public_key: Path) -> None:
        self._path = public_key

    def check(self, signed: bytes, files: Mapping[str, bytes]) -> None:
        """Check the signature of a list, and that each file is the listed one.

        Parameters
        ----------
        signed : bytes
            Output of `Signer.sign`.
        files : mapping of str to bytes
            Content by path; a part of the list.

        Raises
        ------
        ModelError
            If the signature is not of this key, or a file is another one than was signed.
        """
        listed = self._listed(signed)
        for path, content in files.items():
            if listed.get(path) != _sha256(content):
                raise ModelError(f"{path} is not the file that the training signed")

    def check_seal(self, name: str, version: str, signed: bytes, seal: str) -> None:
        """Check that a signed list belongs to a version.

        Raises
        ------
        ModelError
            If it was signed for another version, or by another key.
        """
        try:
            self._verify(seal, _sealed(name, version, signed))
        except _FORGED as error:
            raise ModelError("its files were not signed for this version") from error

    def window(self, name: str, version: str, tag: str) -> str:
        """Return the window of a version without its signature, which has been checked.

        Parameters
        ----------
        name, version : str
        tag : str
            Output of `Signer.sign_window`.

        Raises
        ------
        ModelError
            If it was signed for another version, or by another key.
        """
        signature, _, window = tag.partition(" ")
        try:
            self._verify(signature, _rolled(name, version, window))
        except _FORGED as error:
            raise ModelError(
                "its rolling window was not signed for this version (the monitor flow stores another)"
            ) from error
        return window

    def _listed(self, signed: bytes) -> dict[str, str]:
        foreign = f"its signature is not of the key in {self._path}: another state folder trained it, or it was changed"
        try:
            value = json.loads(signed)
            listed = dict(value["files"])
            self._verify(value["signature"], _statement(listed))
        except _FORGED as error:
            raise ModelError(foreign) from error
        return listed

    def _verify(self, signature: str, statement: bytes) -> None:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(self._path.read_text(), validate=True))
        key.verify(base64.b64decode(signature, validate=True), statement)


_FORGED = (OSError, ValueError, KeyError, TypeError, binascii.Error, InvalidSignature)
"""Errors of a signature that does not verify, that cannot be read, or whose key cannot be."""


def _statement(listed: Mapping[str, str]) -> bytes:
    """Return the bytes that are signed for a list of hashes."""
    return b"mikrobot model\n" + json.dumps(listed, sort_keys=True, separators=(",", ":")).encode()


def _sealed(name: str, version: str, signed: bytes) -> bytes:
    """Return the bytes that are signed to bind a signed list to a version."""
    return b"mikrobot version\n" + json.dumps([name, version, _sha256(signed)]).encode()


def _rolled(name: str, version: str, window: str) -> bytes:
    """Return the bytes that are signed for a window of a version."""
    return b"mikrobot window\n" + json.dumps([name, version, window]).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

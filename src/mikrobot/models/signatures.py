"""Signatures of registered models: a training signs the files of its model, and whoever loads them checks them first.

The list of the files' hashes is signed with the Ed25519 key of a state folder, which the model registry never sees.
A model whose files were changed in the registry, or which another state folder registered, is refused. Tags and
aliases of a version are not signed.
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

    def _listed(self, signed: bytes) -> dict[str, str]:
        foreign = f"its signature is not of the key in {self._path}: another state folder trained it, or it was changed"
        try:
            value = json.loads(signed)
            listed, signature = dict(value["files"]), base64.b64decode(value["signature"], validate=True)
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(self._path.read_text(), validate=True))
            key.verify(signature, _statement(listed))
        except (OSError, ValueError, KeyError, TypeError, binascii.Error, InvalidSignature) as error:
            raise ModelError(foreign) from error
        return listed


def _statement(listed: Mapping[str, str]) -> bytes:
    """Return the bytes that are signed for a list of hashes."""
    return b"mikrobot model\n" + json.dumps(listed, sort_keys=True, separators=(",", ":")).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

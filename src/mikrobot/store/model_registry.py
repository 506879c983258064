"""The model registry of a state folder, with the keys that sign its models and check their signatures."""

import os
from pathlib import Path

import httpx

from mikrobot.models.kept_answers import KeptTransport
from mikrobot.models.registry import Registry
from mikrobot.models.signatures import Signer, Verifier
from mikrobot.settings import Settings
from mikrobot.store import web_access
from mikrobot.store.postgres.passwords import password


def open_registry(
    settings: Settings, *, signing: bool = False, transport: httpx.BaseTransport | None = None
) -> Registry:
    """Return the registry of a state folder.

    Parameters
    ----------
    settings : Settings
    signing : bool
        To register models, not only to load them; makes the key on first use.
    transport : httpx.BaseTransport, optional
        See `mikrobot.models.tracking_server`.

    Raises
    ------
    OSError
        If `signing`, and the folder of the secrets cannot be written.
    """
    public_key = settings.home / "secrets" / "models.pub"
    signer = _signer(settings, public_key) if signing else None
    login = web_access.login(settings, "mlflow")
    return Registry(settings.mlflow_url, Verifier(public_key), signer, login=login, transport=transport)


def kept_folder(settings: Settings) -> Path:
    """Return the folder in which the prediction service keeps the answers of the registry."""
    return settings.home / "bentoml" / "kept"


def open_kept_registry(settings: Settings) -> Registry:
    """Return the registry as the prediction service saw it last, read from the files that it keeps."""
    return open_registry(settings, transport=KeptTransport(kept_folder(settings)))


def _signer(settings: Settings, public_key: Path) -> Signer:
    signer = Signer(password(settings.home, "models"))
    if not public_key.exists():
        fresh = public_key.with_suffix(f".{os.getpid()}")
        fresh.write_text(signer.public_key)
        fresh.replace(public_key)
    return signer

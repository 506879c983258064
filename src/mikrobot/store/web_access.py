"""The user and the password of each web service of a state folder: Prefect, MLflow and the prediction service.

Each service has a password of its own, in a file of mode 0600 in ``home/secrets``, so that a client of the predictions
cannot change flows or models. Does not check a request: `stack.guard` does.
"""

from pathlib import Path

from mikrobot.domain.errors import StoreError
from mikrobot.settings import Settings
from mikrobot.store.postgres.passwords import password

USER = "mikrobot"

SERVICES = ("prefect", "mlflow", "bento")

Login = tuple[str, str]
"""User and password, as `httpx` takes them."""


def login(settings: Settings, service: str) -> Login:
    """Return the user and the password of a service; generate the password on first use.

    Raises
    ------
    StoreError
        If the file of the password cannot be read or written, is empty, or is no text.
    """
    try:
        return USER, password(settings.home, _name(service))
    except OSError as error:
        raise StoreError(
            f"the password in {password_file(settings, service)} cannot be used ({error.strerror}); "
            "make that folder readable and writable, or set MIKROBOT_HOME to another folder"
        ) from error


def password_file(settings: Settings, service: str) -> Path:
    """Return the path of a service's password."""
    return settings.home / "secrets" / _name(service)


def _name(service: str) -> str:
    """Return the file name, which differs from that of the database role of the same service."""
    return f"web_{service}"

"""The notice to the prediction service that the registry has changed, after which no former version answers."""

import httpx

from mikrobot.domain.errors import ServingError
from mikrobot.settings import Settings
from mikrobot.store import web_access

TIMEOUT_S = 60.0


def notify(settings: Settings) -> None:
    """Return once every worker of the prediction service serves what the registry names.

    A service that does not run needs no notice: it looks at the registry when it starts.

    Raises
    ------
    ServingError
        If a worker cannot load a version, and serves its former one; or if the service does not answer in time.
    """
    place = f"the prediction service at {settings.bento_url}"
    try:
        login = web_access.login(settings, "bento")
        answer = httpx.post(f"{settings.bento_url}/refresh", auth=login, timeout=TIMEOUT_S, trust_env=False)
    except httpx.ConnectError:
        return
    except httpx.HTTPError as error:
        raise ServingError(f"{place} did not confirm the change ({type(error).__name__}); see its log") from error
    if answer.is_error:
        raise ServingError(f"{place} does not serve all that the registry names: {answer.text[:500]}")

"""The page of links to the web services: opened from the file, it signs the browser in.

A link with a password is never printed or passed as an argument, which other users of the machine can read; it is in
a file of mode 0600 in the state folder. Does not serve the page.
"""

import os
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment

from mikrobot.domain.errors import StoreError
from mikrobot.settings import Settings
from mikrobot.stack.guard import SIGN_IN
from mikrobot.store import web_access

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="UTF-8">
<meta name="referrer" content="no-referrer">
<title>Mikrobot</title>
<style>
body { font: 16px/1.6 system-ui, sans-serif; max-width: 44em; margin: 3em auto; padding: 0 1em }
dt { font-weight: bold } dd { margin: 0 0 1em }
</style>
<h1>Mikrobot</h1>
<dl>
{%- for page in pages %}
<dt><a href="{{ page.link }}">{{ page.name }}</a></dt><dd>{{ page.content }}</dd>
{%- endfor %}
</dl>
<p>The links sign you in. They work while the stack is up: <code>mikrobot up</code> starts it. If a browser asks
nevertheless, the user is <code>{{ user }}</code> and the passwords are in <code>{{ files }}</code>.</p>
</html>
"""

CONTENT = {
    "prefect": "Flows: every run with its log, its tables and its reports",
    "mlflow": "Models: the training runs and the registered versions",
    "bento": "Predictions: call the serving model from the page of its API",
    "evidently": "Drift: snapshots of the distributions of each symbol, compared over time",
}


def path(settings: Settings) -> Path:
    """Return the path of the page."""
    return settings.home / "pages.html"


def write(settings: Settings) -> None:
    """Write the page, so that nobody else can read it.

    Raises
    ------
    StoreError
        If a password cannot be used, or the state folder cannot be written.
    """
    urls = {"prefect": settings.prefect_url, "mlflow": settings.mlflow_url, "bento": settings.bento_url}
    urls |= {"evidently": settings.evidently_url} if settings.evidently else {}
    pages = [
        {"name": name, "content": CONTENT[name], "link": _signing_in(urls[name], web_access.login(settings, name))}
        for name in urls
    ]
    page = Environment(autoescape=True).from_string(PAGE)
    text = page.render(pages=pages, user=web_access.USER, files=settings.home / "secrets" / "web_*")
    try:
        _replace(path(settings), text)
    except OSError as error:
        raise StoreError(
            f"{path(settings)} cannot be written ({error.strerror}); "
            "make that folder writable, or set MIKROBOT_HOME to another folder"
        ) from error


def _replace(page: Path, text: str) -> None:
    fresh = page.with_suffix(f".{os.getpid()}")
    with open(fresh, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
    fresh.replace(page)


def _signing_in(url: str, login: web_access.Login) -> str:
    """Return the address that signs in, with the user and the password."""
    return url.replace("://", f"://{':'.join(quote(part, safe='') for part in login)}@") + SIGN_IN

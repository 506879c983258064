"""The guard of the web services: an ASGI middleware that answers only to the owner of the state folder.

Refuses with 403 what another web page sends, recognised by the headers Host, Origin and Sec-Fetch-Site, and with 401
what has not the user and password of the service. Browsers ask for both; a health check needs neither. Authentication
cannot be switched off, on whichever address a service listens.
"""

import base64
import hmac
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import AddressValueError, IPv4Address
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from mikrobot import settings as configuration
from mikrobot.domain.errors import MikrobotError
from mikrobot.store import web_access
from mikrobot.store.web_access import Login

HEALTH = {
    "prefect": frozenset({"/api/health", "/api/ready"}),
    "mlflow": frozenset({"/health"}),
    "bento": frozenset({"/livez", "/readyz", "/healthz"}),
    "evidently": frozenset({"/api/version"}),
}
"""Paths of each service that anybody may read: they reveal only that it runs."""

SIGN_IN = "/sign-in"
"""Path that leads to the first page. A link with user and password goes here, since browsers refuse the requests of a
script on a page whose own address has them; after the redirect the address has none, and the browser knows both."""

ANY_ADDRESS = "0.0.0.0"  # noqa: S104, compared with the setting

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Guard:
    """Middleware that passes on the requests of the owner, and refuses all others.

    Parameters
    ----------
    app : ASGI application
    service : str
        Key of `HEALTH`.
    host : str
        Address that the service listens on.
    login : tuple of str
        User and password.
    checks_sockets : bool
        Whether the application itself checks the password of a WebSocket, in its first message.
    """

    def __init__(self, app: App, service: str, host: str, *, login: Login, checks_sockets: bool = False) -> None:
        self._app = app
        self._service = service
        self._checks_sockets = checks_sockets
        self._names = {host.lower(), "localhost", "127.0.0.1", socket.gethostname().lower()}
        self._any_address = host == ANY_ADDRESS
        self._expected = b"Basic " + base64.b64encode(":".join(login).encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on or refuse a request; a refused WebSocket is closed before it is accepted."""
        answer = None if scope["type"] == "lifespan" else self._answer(scope)
        if answer is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _answer(self, scope: Scope) -> Response | None:
        """Return the answer to a request that is not passed on; None for all others."""
        headers = Headers(raw=scope["headers"])
        if foreign := self._foreign(headers):
            return PlainTextResponse(f"{foreign}\n", 403)
        if self._knows_password(headers):
            return RedirectResponse(f"http://{headers['host']}/", 303) if scope["path"] == SIGN_IN else None
        if self._is_open(scope):
            return None
        ask = {"WWW-Authenticate": f'Basic realm="Mikrobot {self._service}", charset="UTF-8"'}
        place = f"secrets/web_{self._service} in the state folder"
        return PlainTextResponse(f"give the user mikrobot and the password in {place}\n", 401, ask)

    def _foreign(self, headers: Headers) -> str:
        """Return the reason why a request is from another site; empty if it is from this one, or from a program."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_own(hosts[0].partition(":")[0].lower()):
            return "Host: not a name of this service"
        if any(origin.partition("://")[2] != hosts[0] for origin in headers.getlist("origin")):
            return "Origin: another web page"
        if headers.get("sec-fetch-site") in {"cross-site", "same-site"} and not _is_followed_link(headers):
            return "Sec-Fetch-Site: embedded in another web page"
        return ""

    def _is_own(self, name: str) -> bool:
        """Return True for the names of the service; on all addresses, any address, since none can be rebound by DNS."""
        return name in self._names or (self._any_address and _is_address(name))

    def _is_open(self, scope: Scope) -> bool:
        if scope["type"] == "websocket":
            return self._checks_sockets
        return scope["method"] in {"GET", "HEAD"} and scope["path"] in HEALTH[self._service]

    def _knows_password(self, headers: Headers) -> bool:
        return hmac.compare_digest(headers.get("authorization", "").encode("latin-1"), self._expected)


def own_login(service: str) -> Login:
    """Return the user and the password of the service that this process serves; end it with one line if there is none.

    The state folder is that of the settings.
    """
    try:
        return web_access.login(configuration.load(), service)
    except MikrobotError as error:
        raise SystemExit(f"error: {error}") from error


def _is_followed_link(headers: Headers) -> bool:
    return (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")


def _is_address(name: str) -> bool:
    try:
        IPv4Address(name)
    except AddressValueError:
        return False
    return True

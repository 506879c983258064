"""Answers of the tracking server that are kept on disk, from which a champion is loaded while the server is down.

Only files with the signature of the state folder are loaded, from wherever they come; this module checks nothing.
"""

import hashlib
import os
from pathlib import Path

import httpx

from mikrobot.runtime import SystemClock

KEPT = 400
"""Number of answers that are kept, the latest ones; a version needs six."""

FRESH_S = 3600.0
"""Age from which an answer that is given again is marked as a late one."""

_KIND = "content-type"


class KeepingTransport(httpx.BaseTransport):
    """Passes on requests, and keeps each answer to a GET.

    Parameters
    ----------
    transport : httpx.BaseTransport
    folder : Path
        Where the answers are kept; it is made if it does not exist.
    """

    def __init__(self, transport: httpx.BaseTransport, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._transport = transport
        self._folder = folder

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer of the server."""
        response = self._transport.handle_request(request)
        if request.method != "GET" or response.status_code != httpx.codes.OK:
            return response
        content = response.read()
        response.close()
        kind = response.headers.get(_KIND, "")
        self._keep(_path(self._folder, request), kind.encode() + b"\n" + content)
        return httpx.Response(response.status_code, headers={_KIND: kind}, content=content)

    def close(self) -> None:
        """Close the transport."""
        self._transport.close()

    def _keep(self, path: Path, content: bytes) -> None:
        """Write an answer that differs from the kept one; while the disk is full or read-only, none is kept."""
        try:
            if path.exists() and path.read_bytes() == content:
                if SystemClock().now().timestamp() - path.stat().st_mtime > FRESH_S:
                    os.utime(path)
                return
            fresh = path.with_suffix(f".{os.getpid()}")
            fresh.write_bytes(content)
            fresh.replace(path)
            by_age = sorted(self._folder.iterdir(), key=lambda kept: kept.stat().st_mtime)
            for old in by_age[:-KEPT]:
                old.unlink()
        except OSError:
            return


class KeptTransport(httpx.BaseTransport):
    """Answers with what a `KeepingTransport` kept in a folder; anything else fails as a server that is down."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the kept answer.

        Raises
        ------
        httpx.ConnectError
            If none is kept.
        """
        try:
            kind, _, content = _path(self._folder, request).read_bytes().partition(b"\n")
        except OSError as error:
            raise httpx.ConnectError(f"no answer to {request.url.path} is kept", request=request) from error
        return httpx.Response(httpx.codes.OK, headers={_KIND: kind.decode()}, content=content)


def _path(folder: Path, request: httpx.Request) -> Path:
    return folder / hashlib.sha256(str(request.url.raw_path).encode()).hexdigest()

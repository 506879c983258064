"""The RPyC server of the stand-in, on loopback.

It gives out the module of the stand-in as a bridge does, and nothing else: no text is evaluated, no other module can be
had, and only the attributes that a reader of bars needs can be read. The only module that imports the server of RPyC.
"""

import logging
import socket
from contextlib import suppress
from threading import Thread
from typing import Any

import rpyc
from rpyc.core.protocol import DEFAULT_CONFIG
from rpyc.utils.server import ThreadedServer

from mikrobot.domain.errors import ServiceError
from mikrobot.market.local_terminal.faults import FAULTS
from mikrobot.market.local_terminal.module import StandIn
from mikrobot.market.local_terminal.structures import AccountInfo, SymbolInfo, TerminalInfo, Tick

HOST = "127.0.0.1"

PACKAGE = "MetaTrader5"

_READ = frozenset(
    (
        *(name for name in vars(StandIn) if not name.startswith("_")),
        *(name for kind in (AccountInfo, SymbolInfo, TerminalInfo, Tick) for name in kind._fields),
        *("tobytes", "dtype", "descr", "names", "size", "shape"),
    )
)
"""Attributes that a client may read."""


class TerminalService(rpyc.Service):  # type: ignore[misc]  # rpyc ships no types
    """What a client of the stand-in can call.

    Parameters
    ----------
    module : StandIn
    """

    def __init__(self, module: StandIn) -> None:
        self._module = module

    def exposed_getmodule(self, name: str) -> StandIn:
        """Return the module of MetaTrader 5, as `rpyc_classic` does.

        Raises
        ------
        ModuleNotFoundError
            For another one.
        """
        if name != PACKAGE:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return self._module

    def exposed_fault(self, name: str, count: int = 1) -> None:
        """Request a fault.

        Raises
        ------
        ValueError
            If there is none of that name.
        """
        if name not in FAULTS:
            raise ValueError(f"there is no fault {name!r}; the faults are {', '.join(FAULTS)}")
        self._module.faults.request(name, count)

    def exposed_end(self, name: str) -> None:
        """End a fault that lasts."""
        self._module.faults.end(name)


class _Server(ThreadedServer):  # type: ignore[misc]  # rpyc ships no types
    """A server for which a client that has gone is no error."""

    def _serve_client(self, sock: socket.socket, credentials: object) -> None:
        with suppress(EOFError, OSError):
            super()._serve_client(sock, credentials)


class TerminalServer:
    """Serves a stand-in on a port of loopback, in threads of its own."""

    def __init__(self) -> None:
        self._server: Any = None

    def start(self, module: StandIn, port: int) -> int:
        """Serve a module; return the port.

        Parameters
        ----------
        module : StandIn
        port : int
            0 takes a free one.

        Raises
        ------
        ServiceError
            If the port is taken.
        """
        config = {"safe_attrs": DEFAULT_CONFIG["safe_attrs"] | _READ, "include_local_traceback": False}
        try:
            self._server = _Server(
                TerminalService(module), hostname=HOST, port=port, protocol_config=config, logger=_silent()
            )
        except OSError as error:
            raise ServiceError(f"port {port} of {HOST} is taken; give another one with --port") from error
        self._server.listener.listen()  # its own thread does so too late for a client that gets the port now
        Thread(target=self._server.start, daemon=True, name="local-terminal").start()
        return int(self._server.port)

    def drop(self) -> None:
        """End the connections of all clients."""
        for client in set(self._server.clients):
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.close()


def _silent() -> logging.Logger:
    """Return a logger that writes nothing: what clients ask wrongly is answered to them."""
    logger = logging.getLogger("mikrobot.local_terminal")
    logger.setLevel(logging.CRITICAL + 1)
    return logger

"""Opens the module of MetaTrader 5: the package on Windows, elsewhere that of another Python over RPyC.

With `timed_stream` the only module that imports either. The other side is a plain `rpyc_classic`: of its service only
`getmodule` is called, with a constant name; no text is evaluated there. This side offers the other one nothing.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mikrobot.domain.errors import SettingsError
from mikrobot.market.mt5.codes import TerminalLost, first_line

LOOPBACK = "127.0.0.1"

PACKAGE = "MetaTrader5"

_CONNECT_S = 5.0
"""Seconds within which a connection must be made; the timeout of the settings is that of an answer."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The module, and where it is.

    Attributes
    ----------
    module : module, or a reference to one
    place : str
        For messages.
    close : callable
        Ends the connection; the terminal and what others do with it go on.
    """

    module: Any
    place: str
    close: Callable[[], None]


def open_module(host: str | None, port: int, timeout_s: float) -> Opened:
    """Return the module of MetaTrader 5.

    Parameters
    ----------
    host : str or None
        Of the bridge; None: on Windows the package of this Python, elsewhere a bridge on this machine.
    port : int
    timeout_s : float
        Seconds within which each answer of a bridge must arrive.

    Raises
    ------
    TerminalLost
        If the bridge does not answer.
    SettingsError
        If a package is missing, or what answers is no bridge.
    """
    if host is None and sys.platform == "win32":
        return _of_this_python()
    return _over_bridge(host or LOOPBACK, port, timeout_s)


def _of_this_python() -> Opened:
    try:
        import MetaTrader5
    except ImportError as error:
        raise SettingsError(
            f"the package {PACKAGE} is missing ({error}); install it with `pip install {PACKAGE}`"
        ) from error
    return Opened(MetaTrader5, "the terminal of this machine", lambda: None)


def _over_bridge(host: str, port: int, timeout_s: float) -> Opened:
    try:
        from rpyc.core.service import VoidService
        from rpyc.utils.factory import connect_stream

        from mikrobot.market.mt5.timed_stream import TimedStream
    except ImportError as error:
        raise SettingsError(f"the package rpyc is missing ({error}); install it with `pip install rpyc`") from error
    place = f"the RPyC bridge at {host}:{port}"
    try:
        stream = TimedStream.connect(host, port, timeout=min(timeout_s, _CONNECT_S), attempts=1, nodelay=True)
    except OSError as error:
        raise TerminalLost(
            f"{place} cannot be reached ({first_line(error)}); start it next to the terminal, see docs/metatrader.md, "
            "or correct MIKROBOT_MT5_HOST and MIKROBOT_MT5_PORT"
        ) from error
    stream.sock.settimeout(timeout_s)
    connection = connect_stream(stream, VoidService, {"sync_request_timeout": timeout_s})

    def close() -> None:
        stream.close()  # a connection that is closed first waits for an answer of the other side
        connection.close()

    try:
        return Opened(_module_of(connection.root), place, close)
    except ImportError as error:
        close()
        raise SettingsError(
            f"the Python behind {place} has no package {PACKAGE}; install it there: `pip install {PACKAGE}`"
        ) from error
    except Exception as error:  # whatever answers on that port
        close()
        raise TerminalLost(
            f"{place} does not answer as a bridge ({type(error).__name__}: {first_line(error)}); "
            "start `rpyc_classic` on that port, see docs/metatrader.md"
        ) from error


def _module_of(root: Any) -> Any:
    """Return the module that a server gives out, or the server itself if it has the functions of the module."""
    try:
        getmodule = root.getmodule
    except AttributeError:
        return root
    return getmodule(PACKAGE)

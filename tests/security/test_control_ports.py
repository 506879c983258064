"""No TCP port of the stack runs commands: only the services themselves listen."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import psutil
import zmq

from tests.ports import HOST

ASKED = {"id": "test", "command": "options", "properties": {"name": "service"}}
"""A command of circus that changes nothing; a server that answers it also runs the others, as `set` of its program."""


def listening(stack: Any) -> Iterator[tuple[str, int]]:
    """Yield the address and port of every listening socket of the home's processes."""
    for process in stack.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    yield connection.laddr.ip, connection.laddr.port


def runs_commands(port: int) -> bool:
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(f"tcp://{HOST}:{port}")
        socket.send_json(ASKED)
        return bool(socket.poll(3_000)) and "status" in json.loads(socket.recv())


def test_only_the_services_listen_and_on_their_host_only(stack: Any) -> None:
    sockets = set(listening(stack))
    others = {port: runs_commands(port) for _, port in sockets if port not in stack.ports.values()}
    assert others == {}
    assert {host for host, _ in sockets} == {HOST}
    assert {port for _, port in sockets} == set(stack.ports.values())

"""No TCP port of the stack runs commands: besides the services, only the flow server listens, to its own runs."""

import contextlib
import json
import socket
from typing import Any

import psutil
import zmq

from mikrobot.live import pid_records
from tests.ports import HOST

ASKED = {"id": "test", "command": "options", "properties": {"name": "service"}}
"""A command of circus that changes nothing; a server that answers it also runs the others, as `set` of its program."""

TOKEN = b"0" * 32
"""A guess of the token with which a flow run introduces itself to Prefect's flow server."""


def listening(stack: Any) -> dict[tuple[str, int], int]:
    """Return the process of every address and port that the home's processes listen on."""
    sockets = {}
    for process in stack.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    sockets[connection.laddr.ip, connection.laddr.port] = process.pid
    return sockets


def runs_commands(port: int) -> bool:
    with zmq.Context() as context, context.socket(zmq.DEALER) as asking:
        asking.setsockopt(zmq.LINGER, 0)
        asking.connect(f"tcp://{HOST}:{port}")
        asking.send_json(ASKED)
        return bool(asking.poll(3_000)) and "status" in json.loads(asking.recv())


def answer_to_a_stranger(port: int) -> bytes:
    with socket.create_connection((HOST, port), timeout=60) as stranger:
        stranger.sendall(TOKEN + b"\n")
        return stranger.recv(1)


def test_only_the_services_listen_and_on_their_host_only(stack: Any) -> None:
    sockets = listening(stack)
    flows = pid_records.find("flows", stack.home)
    assert {host for host, _ in sockets} == {HOST}
    assert {port for _, port in sockets} >= set(stack.ports.values())
    assert {pid for (_, port), pid in sockets.items() if port not in stack.ports.values()} <= {flows.pid}


def test_no_other_port_takes_commands(stack: Any) -> None:
    others = [port for _, port in listening(stack) if port not in stack.ports.values()]
    assert [port for port in others if runs_commands(port)] == []
    assert [port for port in others if answer_to_a_stranger(port)] == []

"""TCP ports for the services that tests start."""

import contextlib
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack

HOST = "127.0.0.1"
# Below the ports that systems give to clients, so that no connection takes one before its service starts.
RANGE = (15_000, 32_000)


@contextlib.contextmanager
def reserved_ports(count: int) -> Iterator[list[int]]:
    """Lend TCP ports that nothing listens on and that no other caller is lent meanwhile.

    The mark of a lent port is the UDP port of the same number: the system lets one process bind it,
    and frees it when that process ends, however it ends.
    """
    with ExitStack() as marks:
        yield [_reserve(marks) for _ in range(count)]


def _reserve(marks: ExitStack) -> int:
    while True:
        port = random.SystemRandom().randrange(*RANGE)
        mark = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError), socket.socket() as probe:
            mark.bind((HOST, port))
            probe.bind((HOST, port))
            marks.enter_context(mark)
            return port
        mark.close()

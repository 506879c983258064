"""Websocket servers for the benchmarks of streams, each in a process: one sends on request, one all at once."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from threading import Thread
from time import perf_counter
from types import TracebackType

from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve


class StreamServer:
    """Sends what it is given to one client, from a process of its own, whose threads take no time of ours.

    A client is named by the first part of the path that it asks for, as ``stream`` for ``/stream?streams=...``.
    """

    def __init__(self) -> None:
        self.url = ""

    def __enter__(self) -> "StreamServer":
        """Start it."""
        command = [sys.executable, "-m", __name__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.url = self._line()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.communicate()

    def await_clients(self, number: int) -> None:
        """Wait until so many more clients are connected."""
        for _ in range(number):
            self._line()

    def send(self, message: bytes, client: str) -> None:
        """Send a message, which has no line break, to a client."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"%b %b\n" % (client.encode(), message))
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()


@contextmanager
def bare(url: str, load: Callable[[bytes], object]) -> Iterator["SimpleQueue[tuple[float, object]]"]:
    """Receive by websockets alone, in a thread; yield the queue of the times of receipt and the loaded messages."""
    received: SimpleQueue[tuple[float, object]] = SimpleQueue()
    loop = asyncio.new_event_loop()

    async def read() -> None:
        async with connect(url, compression=None, max_size=None, proxy=None) as socket:
            async for message in socket:
                received.put((perf_counter(), load(message if isinstance(message, bytes) else message.encode())))

    task = loop.create_task(read())
    thread = Thread(target=lambda: loop.run_until_complete(asyncio.wait([task])), daemon=True)
    thread.start()
    try:
        yield received
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()


@contextmanager
def sender(messages: Sequence[bytes]) -> Iterator[str]:
    """Run a server in a process of its own that sends all messages to each client; yield its address."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "messages"
        path.write_bytes(b"\n".join(messages))
        process = subprocess.Popen([sys.executable, "-m", __name__, path], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.communicate()


@asynccontextmanager
async def _listening(accept: Callable[[ServerConnection], object]) -> AsyncIterator[Server]:
    async with serve(accept, "127.0.0.1", 0, compression=None) as server:  # type: ignore[arg-type]
        yield server


def _address(server: Server) -> str:
    return f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def _send_on_request() -> None:
    clients: dict[str, ServerConnection] = {}

    async def accept(client: ServerConnection) -> None:
        assert client.request is not None
        name = client.request.path.lstrip("/").partition("?")[0]
        clients[name] = client
        print(name, flush=True)
        await client.wait_closed()

    async with _listening(accept) as server:
        print(_address(server), flush=True)
        requests = asyncio.StreamReader(limit=2**20)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
        async for request in requests:
            name, _, message = request.decode().strip().partition(" ")
            await clients[name].send(message)


async def _send_all(path: Path) -> None:
    messages = path.read_text().splitlines()

    async def accept(client: ServerConnection) -> None:
        for message in messages:
            await client.send(message)
        await client.wait_closed()

    async with _listening(accept) as server:
        print(_address(server), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_send_all(Path(sys.argv[1])) if len(sys.argv) > 1 else _send_on_request())

"""Websocket servers on loopback for the benchmarks of streams: one sends on request, one sends all at once."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from threading import Event, Thread
from types import TracebackType

from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve

from mikrobot.runtime import SystemClock


class StreamServer:
    """Sends to all clients what it is given, from a thread of its own."""

    def __init__(self) -> None:
        self.url = ""
        self._clients: list[ServerConnection] = []
        self._started = Event()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    def __enter__(self) -> "StreamServer":
        """Start it."""
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop it."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def await_clients(self, number: int) -> None:
        """Wait until so many clients are connected."""
        while len(self._clients) < number:
            SystemClock().sleep(0.001)

    def send(self, message: bytes) -> None:
        """Send a message to every client."""
        self._loop.call_soon_threadsafe(self._send, message.decode())

    def _send(self, message: str) -> None:
        for client in self._clients:
            self._loop.create_task(client.send(message))

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        async with _listening(self._accept) as server:
            self.url = _address(server)
            self._started.set()
            await self._over.wait()

    async def _accept(self, client: ServerConnection) -> None:
        self._clients.append(client)
        await client.wait_closed()


@contextmanager
def bare(url: str, load: Callable[[bytes], object]) -> Iterator["SimpleQueue[object]"]:
    """Receive by websockets alone, in a thread; yield the queue of the loaded messages."""
    received: SimpleQueue[object] = SimpleQueue()
    loop = asyncio.new_event_loop()

    async def read() -> None:
        async with connect(url, compression=None, max_size=None, proxy=None) as socket:
            async for message in socket:
                received.put(load(message if isinstance(message, bytes) else message.encode()))

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
    asyncio.run(_send_all(Path(sys.argv[1])))

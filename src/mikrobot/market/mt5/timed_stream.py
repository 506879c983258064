"""A socket of RPyC whose half message does not block for ever. Imported only when a bridge is opened."""

import socket

from rpyc.core.stream import SocketStream


class TimedStream(SocketStream):  # type: ignore[misc]  # rpyc ships no types
    """A stream that ends once the rest of a message does not arrive within the timeout of its socket.

    That of the package waits for ever.
    """

    def read(self, count: int) -> bytes:
        """Read exactly that many bytes.

        Raises
        ------
        EOFError
            If the connection ends, or nothing arrives within the timeout.
        """
        content = bytearray()
        while len(content) < count:
            try:
                part = self.sock.recv(min(self.MAX_IO_CHUNK, count - len(content)))
            except OSError as error:
                self.close()
                raise EOFError(str(error)) from error
            if not part:
                self.close()
                raise EOFError("connection closed by peer")
            content += part
            if hasattr(socket, "TCP_QUICKACK"):  # else each answer waits some 40 ms for the acknowledgement before it
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return bytes(content)

"""A cable to a Kafka broker, whose clients connect to the address that the broker's answers name."""

import socket
import struct

from dev.cable import Cable

_HOST = b"127.0.0.1"
_LENGTH = 4  # bytes before every message that say how long it is


class KafkaCable(Cable):
    """Whoever bootstraps at it stays on it: in the broker's answers its address is the cable's."""

    def __init__(self, broker_port: int) -> None:
        super().__init__(broker_port)
        # As the protocol writes a broker's address; both are equally long, so that no length changes.
        self._theirs, self._ours = (_HOST + struct.pack(">i", port) for port in (broker_port, self.port))

    def _read(self, source: socket.socket) -> bytes:
        if source.getpeername() != self._server:
            return super()._read(source)
        length = _exactly(source, _LENGTH)
        message = _exactly(source, struct.unpack(">i", length)[0]) if length else b""
        return length + message.replace(self._theirs, self._ours)


def _exactly(source: socket.socket, size: int) -> bytes:
    """So many bytes; none when the connection ends before."""
    data = bytearray()
    while len(data) < size:
        part = source.recv(size - len(data))
        if not part:
            return b""
        data += part
    return bytes(data)

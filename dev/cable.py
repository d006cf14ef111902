"""A TCP proxy to a server that can be cut, hung and mended: how a test cuts one process off from one server."""

import socket
import threading
from contextlib import suppress
from typing import Literal

from dev.testbed import free_port


class Cable:
    """Forwards connections to a server on this machine. Cut, it refuses them; hung, it accepts them and never answers.

    Lost, it leaves connections open and forwards nothing on them any more, even when it is mended: a server that
    vanished without closing its connections.
    """

    def __init__(self, server_port: int) -> None:
        self._server = ("127.0.0.1", server_port)
        self.port = free_port()
        self._state: Literal["whole", "cut", "hung", "lost"] = "whole"
        self.broken = 0  # ends of connections that were open when it was cut or hung
        self._open: set[socket.socket] = set()
        self._silent: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._listen()

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Break open connections and refuse new ones."""
        self._state = "cut"
        listener, self._listener = self._listener, None
        if listener is not None:
            # Wakes the thread that waits for connections; closing alone would leave it and the port in use.
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            self._silent.clear()
        self._break()

    def hang(self) -> None:
        """Break open connections, accept new ones and never answer."""
        self._state = "hung"
        self._break()
        self._listen()

    def lose(self) -> int:
        """Forward nothing more on open connections, accept new ones and never answer; answers how many were open."""
        with self._lock:
            self._state = "lost"
            self._silent |= self._open
            lost = len(self._silent)
        self._listen()
        return lost

    def mend(self) -> None:
        """Forward new connections again."""
        self._break()
        self._state = "whole"
        self._listen()

    def _listen(self) -> None:
        if self._listener is not None:
            return
        listener = socket.create_server(("127.0.0.1", self.port))
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(near)
                if self._state == "lost":
                    self._silent.add(near)
            if self._state == "whole":
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._server, timeout=10)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        with self._lock:
            self._open.add(far)
            if near in self._silent:
                self._silent.add(far)
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=self._copy, args=(source, target), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := self._read(source):
                if source not in self._silent:
                    target.sendall(data)
        if source not in self._silent:  # the other end of a silent connection stays open
            self._close(target)
        self._close(source)

    def _read(self, source: socket.socket) -> bytes:
        """The next bytes to forward; none when the connection has ended."""
        return source.recv(65536)

    def _break(self) -> None:
        with self._lock:
            ends = self._open - self._silent
            self.broken += len(ends)
        for end in ends:
            self._close(end)

    def _close(self, end: socket.socket) -> None:
        with self._lock:
            self._open.discard(end)
            self._silent.discard(end)
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()

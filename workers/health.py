"""Whether a process that serves no requests does its work: its loops turn, also while a server is away."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Longer than any one turn of a loop: a store that hangs is given up before, and waited for at most 15 s.
_LONGEST_TURN_SECONDS = 120.0


class Health:
    """The loops of this process, each with the moment of its last turn; one that has not begun is not healthy yet."""

    def __init__(self, *loops: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turned: dict[str, float | None] = dict.fromkeys(loops)

    def beat(self, loop: str) -> Callable[[], None]:
        """What a loop calls at each turn."""

        def turn() -> None:
            self._turned[loop] = self._clock()

        return turn

    def standing(self) -> list[str]:
        """The loops that do not turn."""
        oldest = self._clock() - _LONGEST_TURN_SECONDS
        return [loop for loop, turned in self._turned.items() if turned is None or turned < oldest]


@contextmanager
def serving(health: Health, address: str | None) -> Iterator[None]:
    """Answer `GET /healthz` at this address; nothing without one."""
    if address is None:
        yield
        return
    host, _, port = address.rpartition(":")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            standing = health.standing()
            known = self.path == "/healthz"
            status = HTTPStatus.SERVICE_UNAVAILABLE if standing else HTTPStatus.OK
            body = f"{'not turning: ' + ', '.join(standing) if standing else 'ok'}\n".encode()
            self.send_response(status if known else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Length", str(len(body) if known else 0))
            self.end_headers()
            if known:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Asked every few seconds; nobody wants to read that."""

    with ThreadingHTTPServer((host, int(port)), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()

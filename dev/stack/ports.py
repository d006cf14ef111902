"""Which ports of this machine are free, and where a second stack finds room beside the first."""

import re
import socket

HOST = "127.0.0.1"
_STEP = 1000
_STEPS = 10
_PORT = re.compile(r"^([A-Z_]+_PORT)=(\d+)$", re.MULTILINE)


def is_free(number: int) -> bool:
    """True when a server could listen on this port now."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((HOST, number))
        except (OSError, OverflowError):  # taken, or beyond the last port there is
            return False
    return True


def make_room(settings: str) -> tuple[str, int]:
    """An environment file's text with every port raised by the same amount, the least that finds all of them free."""
    numbers = [int(match.group(2)) for match in _PORT.finditer(settings)]
    rooms = (rise for rise in range(0, _STEP * _STEPS, _STEP) if all(is_free(number + rise) for number in numbers))
    rise = next(rooms, 0)
    return _PORT.sub(lambda match: f"{match.group(1)}={int(match.group(2)) + rise}", settings), rise

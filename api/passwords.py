"""Passwords: hashed slowly on purpose, few at once, and as long for a stranger as for a customer."""

import threading

from pwdlib.hashers.argon2 import Argon2Hasher

_AT_ONCE = 2  # at the recommended costs each takes 64 MiB and a core for a tenth of a second


class Passwords:
    """Argon2id with pwdlib's recommended costs, but for the memory, which is a setting."""

    def __init__(self, memory_kib: int) -> None:
        self._hasher = Argon2Hasher(memory_cost=memory_kib)
        self._slots = threading.BoundedSemaphore(_AT_ONCE)
        self._nobodys_hash = self._hasher.hash("no account has this password")

    def hash(self, password: str) -> str:
        """The hash to keep."""
        with self._slots:
            return self._hasher.hash(password)

    def matches(self, password: str, kept_hash: str | None) -> bool:
        """Whether the password is the one kept; None, for no such account, is False after the same time."""
        with self._slots:
            matches = self._hasher.verify(password, kept_hash or self._nobodys_hash)
        return matches and kept_hash is not None

    def renewed(self, password: str, kept_hash: str) -> str | None:
        """The same password's hash at today's costs, None when the one that is kept has them already."""
        return self.hash(password) if self._hasher.check_needs_rehash(kept_hash) else None

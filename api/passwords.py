"""Passwords: hashed slowly on purpose, few at once, and as long for a stranger as for a customer."""

import threading

from pwdlib import PasswordHash

_AT_ONCE = 2  # each takes 64 MiB and a core for a tenth of a second


class Passwords:
    """Argon2id with pwdlib's recommended costs."""

    def __init__(self) -> None:
        self._hasher = PasswordHash.recommended()
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._nobodys_hash = self._hasher.hash("no account has this password")

    def hash(self, password: str) -> str:
        """The hash to keep."""
        with self._turns:
            return self._hasher.hash(password)

    def matches(self, password: str, kept_hash: str | None) -> bool:
        """Whether the password is the one kept; None, for no such account, is False after the same time."""
        with self._turns:
            matches = self._hasher.verify(password, kept_hash or self._nobodys_hash)
        return matches and kept_hash is not None

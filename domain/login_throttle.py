"""How long one must wait before trying a password again."""

LONGEST_PAUSE_SECONDS = 900
FORGOTTEN_AFTER_SECONDS = 3600
"""Failures are counted until none has happened for so long."""


def pause_seconds(failures: int, free: int) -> int:
    """The pause after so many failures in a row, of which the first `free` cost nothing: 1, 2, 4 … 900 seconds."""
    over = failures - free
    return 0 if over <= 0 else min(LONGEST_PAUSE_SECONDS, 1 << min(over - 1, 20))

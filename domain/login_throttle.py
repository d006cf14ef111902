"""The pause before another password attempt."""

LONGEST_PAUSE_SECONDS = 900
FORGOTTEN_AFTER_SECONDS = 3600
"""Failures are forgotten when none has happened for this long."""


def pause_seconds(failures: int, free: int) -> int:
    """The pause after this many failures in a row, without one for the first `free`: 1, 2, 4 … 900 seconds."""
    over = failures - free
    return 0 if over <= 0 else min(LONGEST_PAUSE_SECONDS, 1 << min(over - 1, 20))

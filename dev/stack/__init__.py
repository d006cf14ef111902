"""The whole stack on one machine: containers where an engine answers, otherwise real servers as native processes.

`python -m dev.stack up` for people, `ensure_servers()` and `dev.stack.control` for tests.
"""

from pathlib import Path

# Imported inside the functions, because every server's own start imports this module.


def ensure_servers() -> dict[str, int]:
    """Servers and simulators are up when this returns; answers the process ids of those it had to start."""
    from dev.stack.lifecycle import ensure_servers as ensure

    return ensure()


def test_server_path() -> Path:
    """The time-skipping Temporal test server as one program, for `test_server_existing_path`."""
    from dev.stack.jars import test_server_path as path

    return path()


# pytest would otherwise collect it as a test wherever it is imported.
test_server_path.__test__ = False  # type: ignore[attr-defined]

"""Where the native stack keeps its files: servers in a cache outside the project, state inside `.state/`."""

import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path

from platformdirs import user_cache_path

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".state"
LOGS = STATE / "logs"
RUN = STATE / "run"
VENV_BIN = Path(sys.prefix) / "bin"

# A unix socket's address holds 108 bytes (104 on macOS), and supervisord first binds a longer temporary name.
_LONGEST_SOCKET = 90


class StackError(Exception):
    """An error that the user can correct; its message is one sentence that says how."""


def is_root() -> bool:
    """True where servers that refuse root (Elasticsearch) need a user of their own."""
    return os.geteuid() == 0


def cache() -> Path:
    """Built and downloaded servers, shared by every clone of this project of this user."""
    return user_cache_path("order-engine")


def shared_cache() -> Path:
    """The same for servers run as another user, who cannot look into root's home."""
    return Path("/var/cache/order-engine") if is_root() else cache()


def _project_key() -> str:
    return hashlib.sha256(str(ROOT).encode()).hexdigest()[:10]


def unprivileged_state() -> Path:
    """A state folder another user can reach: inside `.state` unless a parent folder (such as /root) is closed."""
    folder = STATE / "elasticsearch"
    closed = [parent for parent in ROOT.parents if not parent.stat().st_mode & stat.S_IXOTH]
    if not ROOT.stat().st_mode & stat.S_IXOTH:
        closed.append(ROOT)
    return Path("/var/lib") / f"order-engine-{_project_key()}" if is_root() and closed else folder


def socket_path(name: str) -> Path:
    """A unix socket inside `.state`, or in a private folder under the temporary one when the project's path is long."""
    inside = RUN / f"{name}.sock"
    if len(str(inside).encode()) <= _LONGEST_SOCKET:
        return inside
    folder = Path(tempfile.gettempdir()) / f"order-engine-{os.geteuid()}-{_project_key()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise StackError(f"{folder} belongs to another user; remove it or set TMPDIR to a folder of your own.")
    return folder / f"{name}.sock"

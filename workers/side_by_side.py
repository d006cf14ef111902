"""Threads of one process that stand and fall together."""

import threading
from collections.abc import Sequence

import structlog

log = structlog.get_logger(__name__)


def run_side_by_side(threads: Sequence[threading.Thread], stop: threading.Event) -> None:
    """Run them until they have ended; raises SystemExit(1) when one of them failed.

    A thread that fails stops the others, so that the process ends and is restarted: one that went on with a part of
    its work would look healthy.
    """
    failed: list[str] = []

    def fail(hook: threading.ExceptHookArgs) -> None:
        part = hook.thread.name if hook.thread else "unknown"
        log.error("a part of this process failed", part=part, exc_info=hook.exc_value)
        failed.append(part)
        stop.set()

    before, threading.excepthook = threading.excepthook, fail
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        threading.excepthook = before
    if failed:
        raise SystemExit(1)

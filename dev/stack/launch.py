"""`python -m dev.stack.launch NAME`: prepares one server's folder, then becomes that server.

What a container's entrypoint does: every preparation is skipped when done, so a restart is only the server's own start.
"""

import argparse
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from dev.stack import elasticsearch_files, go_programs, jars, mysql_server, packages
from dev.stack.environment import port, settings
from dev.stack.paths import STATE, StackError, is_root, socket_path
from dev.stack.versions import KAFKA, MONGO_SERVER, STRIPE_MOCK, TEMPORAL

HOST = "127.0.0.1"
_SQL_MODES = (
    "ONLY_FULL_GROUP_BY",
    "STRICT_TRANS_TABLES",
    "NO_ZERO_IN_DATE",
    "NO_ZERO_DATE",
    "ERROR_FOR_DIVISION_BY_ZERO",
    "NO_ENGINE_SUBSTITUTION",
)


def _folder(name: str) -> Path:
    folder = STATE / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def mysql() -> list[str]:
    """MySQL where it is chosen, else MariaDB: both with the modes and collation of production."""
    user = "root" if is_root() else os.environ.get("USER", str(os.geteuid()))
    grants = STATE / "run" / "mysql-init.sql"
    grants.touch(mode=0o600)
    grants.write_text(_grants(settings()["MYSQL_PASSWORD"]))
    command, data = _mysql_itself(user) if mysql_server.chosen() else _mariadb(user)
    return [
        *command,
        f"--user={user}",
        f"--datadir={data}",
        f"--socket={socket_path('mysql')}",
        f"--pid-file={data / 'mysql.pid'}",
        f"--bind-address={HOST}",
        f"--port={port('MYSQL_PORT')}",
        f"--init-file={grants}",
        "--skip-name-resolve",
        "--max-connections=300",
        "--transaction-isolation=READ-COMMITTED",
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_unicode_ci",
        "--default-time-zone=+00:00",
        f"--sql-mode={','.join(_SQL_MODES)}",
    ]


def _mysql_itself(user: str) -> tuple[list[str], Path]:
    # A folder that a newer server has opened is refused by an older one.
    data = STATE / f"mysql-{mysql_server.server()[1]}"
    if not data.exists():
        mysql_server.install(data, user)
    return mysql_server.start_command(), data


def _mariadb(user: str) -> tuple[list[str], Path]:
    data = STATE / "mysql"
    if not data.exists():
        _install_mariadb(data, user)
    return [packages.find("mariadbd"), "--no-defaults"], data


def _install_mariadb(data: Path, user: str) -> None:
    partial = data.with_name("mysql.partial")
    shutil.rmtree(partial, ignore_errors=True)
    command = [packages.find("mariadb-install-db"), "--no-defaults", f"--user={user}", f"--datadir={partial}"]
    subprocess.run([*command, "--auth-root-authentication-method=socket", "--skip-test-db"], check=True)
    partial.rename(data)


def _grants(password: str) -> str:
    """Run at every start, so that a new MYSQL_PASSWORD takes effect; `orders%` gives tests databases of their own."""
    quoted = password.replace("\\", "\\\\").replace("'", "\\'")
    lines = ["CREATE DATABASE IF NOT EXISTS orders CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;"]
    for host in ("%", "localhost"):
        lines.append(f"CREATE USER IF NOT EXISTS 'orders'@'{host}' IDENTIFIED BY '{quoted}';")
        lines.append(f"ALTER USER 'orders'@'{host}' IDENTIFIED BY '{quoted}';")
        lines.append(f"GRANT ALL PRIVILEGES ON `orders%`.* TO 'orders'@'{host}';")
    if mysql_server.chosen():
        # It is made without a password, which MariaDB's, known by its socket, does without.
        lines.append("ALTER USER 'root'@'localhost' ACCOUNT LOCK;")
    return "\n".join(lines) + "\n"


def mongo() -> list[str]:
    """A server of the MongoDB protocol that keeps its data in a file."""
    file = _folder("mongo") / "carts.mv"
    script = Path(__file__).with_name("mongo_server.py")
    return [sys.executable, str(script), HOST, str(port("MONGO_PORT")), str(file), jars.class_path(MONGO_SERVER)]


def redis() -> list[str]:
    """Redis, saving now and then: losing it loses nothing but speed."""
    fixed = ["--daemonize", "no", "--appendonly", "no", "--save", "60", "1"]
    where = ["--bind", HOST, "--port", str(port("REDIS_PORT")), "--dir", str(_folder("redis"))]
    return [packages.find("redis-server"), *where, *fixed]


def elasticsearch() -> list[str]:
    """The real Elasticsearch, as a user of its own where this is root."""
    return elasticsearch_files.prepare(HOST, port("ELASTICSEARCH_PORT"), port("ELASTICSEARCH_TRANSPORT_PORT"))


def kafka() -> list[str]:
    """One Kafka broker that is its own controller."""
    folder = _folder("kafka")
    properties = folder / "server.properties"
    properties.write_text(_kafka_properties(folder / "data"))
    # The quick compiler alone: it is ready in two thirds of the time.
    command = [jars.java(), "-Xms256m", "-Xmx256m", "-XX:TieredStopAtLevel=1"]
    command += ["-Dorg.apache.logging.log4j.level=WARN", "-cp", jars.class_path(KAFKA)]
    if not (folder / "data" / "meta.properties").exists():
        identity = secrets.token_urlsafe(16)
        formatting = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "--cluster-id", identity]
        subprocess.run([*command, *formatting, "--config", str(properties)], check=True)
    return [*command, "kafka.Kafka", str(properties)]


def _kafka_properties(data: Path) -> str:
    broker, controller = port("KAFKA_PORT"), port("KAFKA_CONTROLLER_PORT")
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "listeners": f"PLAINTEXT://{HOST}:{broker},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{broker}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        # Fifty partitions each are for a cluster; here they only cost files and start-up time.
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 8,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        # A killed broker may come back only when its old session is over.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def temporal() -> list[str]:
    """Temporal and its Web UI in one process.

    With its defaults the development server does a third of the work and every hop waits 50 ms; the flags put that
    right. WAL with NORMAL survives a killed server; a power cut may lose the last commits (production runs on MySQL).
    """
    command = [str(go_programs.program_path(TEMPORAL)), "server", "start-dev", "--ip", HOST, "--log-level", "warn"]
    command += ["--port", str(port("TEMPORAL_PORT")), "--ui-port", str(port("TEMPORAL_UI_PORT"))]
    command += ["--namespace", settings()["TEMPORAL_NAMESPACE"]]
    command += ["--db-filename", str(_folder("temporal") / "temporal.db")]
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
        command += ["--sqlite-pragma", pragma]
    for value in (
        "history.transferProcessorMaxPollRPS=1000",
        "history.timerProcessorMaxPollRPS=1000",
        'history.timerProcessorMaxTimeShift="10ms"',
        "matching.numTaskqueueReadPartitions=1",
        "matching.numTaskqueueWritePartitions=1",
        "system.enableActivityEagerExecution=true",
    ):
        command += ["--dynamic-config-value", value]
    return command


def stripe_mock() -> list[str]:
    """Stripe's own mock: it checks requests against the official description of the API."""
    plain, encrypted = port("STRIPE_MOCK_PORT"), port("STRIPE_MOCK_HTTPS_PORT")
    program = str(go_programs.program_path(STRIPE_MOCK))
    return [program, "-http-addr", f"{HOST}:{plain}", "-https-addr", f"{HOST}:{encrypted}"]


SERVERS: dict[str, Callable[[], list[str]]] = {
    "mysql": mysql,
    "mongo": mongo,
    "redis": redis,
    "elasticsearch": elasticsearch,
    "kafka": kafka,
    "temporal": temporal,
    "stripe-mock": stripe_mock,
}


def main() -> None:
    """Prepare and become the server named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m dev.stack.launch", description=__doc__)
    parser.add_argument("name", choices=SERVERS)
    name = parser.parse_args().name
    try:
        command = SERVERS[name]()
    except StackError as error:
        sys.exit(str(error))
    print(f"starting {name}", flush=True)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()

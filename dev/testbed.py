"""A private order engine beside the development one: same servers, own database, namespace, prefix and ports.

Tests and benchmarks use it, so that neither disturbs the stack a developer is looking at. Its processes are the
console scripts of production, started with another environment; they can be killed and started again by name.
"""

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from string import Template

import httpx2
import sqlalchemy as sa
from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import AdminClient
from dotenv import dotenv_values
from elasticsearch import Elasticsearch

from adapters.collation import COLLATION
from adapters.kafka import kafka_config
from adapters.settings import Settings
from dev.places import Place
from dev.stack.environment import settings
from dev.stack.paths import ROOT
from temporal_clients.connection import connect_temporal
from workers.schedules import SCHEDULES

_PR_SET_PDEATHSIG = 1
_READY_SECONDS = 60

COMMANDS = {
    "mail": [sys.executable, "-m", "dev.mail"],
    "payment-simulator": [sys.executable, "-m", "dev.payment_simulator"],
    "carrier-simulator": [sys.executable, "-m", "dev.carrier_simulator"],
    "supplier-simulator": [sys.executable, "-m", "dev.supplier_simulator"],
    "api": [sys.executable, "-m", "api.main"],
    "order-worker": [sys.executable, "-m", "workers.orders"],
    "faulty-worker": [sys.executable, "-m", "dev.fault_matrix.worker"],
    "notification-worker": [sys.executable, "-m", "workers.notifications"],
    "relay": [sys.executable, "-m", "workers.relay"],
    "search-indexer": [sys.executable, "-m", "workers.indexer"],
}
_PORTS = ("API_PORT", "SMTP_PORT", "MAIL_UI_PORT", "PAYMENT_SIMULATOR_PORT", "CARRIER_SIMULATOR_PORT")
_HEALTH = {
    "mail": "MAIL_UI_PORT",
    "payment-simulator": "PAYMENT_SIMULATOR_PORT",
    "carrier-simulator": "CARRIER_SIMULATOR_PORT",
    "api": "API_PORT",
}


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def testbed_environment(place: Place) -> dict[str, str]:
    """The development environment, with all that keeps state replaced by the testbed's own."""
    written = {name: value or "" for name, value in dotenv_values(ROOT / ".env.example", interpolate=False).items()}
    # What the running servers were started with: `.env`, or this process's own environment.
    current = settings()
    servers = {
        name: current.get(name) or value
        for name, value in written.items()
        if name in {"MYSQL", "MYSQL_PASSWORD"} or (name.endswith("_PORT") and value.isdigit())
    }
    ports = {name: str(free_port()) for name in _PORTS}
    # Filled in here and not by dotenv, so that every address built from a port follows the private one.
    known = written | servers | ports
    filled = {name: Template(value).safe_substitute(known) for name, value in known.items()}
    private = {
        "ORDERS_ENVIRONMENT": "test",
        "ORDERS_NAME_PREFIX": f"test{place.number}-",
        "ORDERS_MYSQL_URL": filled["ORDERS_MYSQL_URL"].replace("/orders?", f"/orders_test{place.number}?"),
        "ORDERS_MONGO_DATABASE": f"orders_test{place.number}",
        "ORDERS_REDIS_URL": filled["ORDERS_REDIS_URL"].replace("/0", f"/{place.number}"),
        "ORDERS_AUTH_KEYS_DIR": str(place.state / "keys"),
        "ORDERS_LOG_FORMAT": "json",
        # All tests are one client; those about limits start an API of their own.
        "ORDERS_RATE_LIMIT": "1000000/minute",
        "ORDERS_RATE_LIMIT_SENSITIVE": "1000000/minute",
        "ORDERS_LOGIN_FAILURES_PER_ADDRESS": "1000000",
        # Thousands of tests have a customer of their own; those about what a password costs start an API of their own.
        "ORDERS_PASSWORD_MEMORY_KIB": "64",
        # On a busy machine a checkout takes long, and a token of one test module has to outlast it.
        "ORDERS_CHECKOUT_ANSWER_SECONDS": "20",
        "ORDERS_ACCESS_TOKEN_SECONDS": "3600",
        "TEMPORAL_NAMESPACE": f"orders-test{place.number}",
        "PAYMENT_SIMULATOR_DB": str(place.state / "payments.sqlite3"),
        "CARRIER_SIMULATOR_DB": str(place.state / "carrier.sqlite3"),
        "MAIL_DB": str(place.state / "mail.sqlite3"),
        "CARRIER_STEP_SECONDS": "0.2",
    }
    return filled | private


def _end_with_parent() -> None:
    """Have the kernel end this process when the one that started it is gone, however it went (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Testbed:
    """The processes of a private engine."""

    __test__ = False

    place: Place
    environment: dict[str, str]
    settings: Settings
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @classmethod
    def create(cls) -> "Testbed":
        """An empty engine: fresh database, everything else as `order-admin setup` makes it."""
        place = Place.take()
        for old in [*place.state.glob("*.sqlite3*"), *place.state.glob("*.log")]:
            old.unlink()
        environment = testbed_environment(place)
        os.environ.update(environment)
        bed = cls(place, environment, Settings(_env_file=None))
        bed._empty_database()
        bed._empty_search()
        bed._empty_topics()
        bed.run([sys.executable, "-m", "workers.admin", "setup"])
        asyncio.run(bed._pause_schedules())
        return bed

    def run(self, command: list[str]) -> str:
        """Run a command in the testbed's environment; raises RuntimeError with its output when it fails."""
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def start(self, *names: str, **environment: str) -> None:
        """Start processes side by side and wait until they answer; one that runs already is left alone.

        `order-worker#2` is one more order-worker.
        """
        for name in names:
            self._launch(name, environment)
        for name in names:
            if name in _HEALTH:
                self._wait_until_healthy(name, self.url(_HEALTH[name]))

    def _launch(self, name: str, environment: dict[str, str]) -> None:
        if name in self.processes and self.processes[name].poll() is None:
            return
        self._spawn(name, COMMANDS[name.partition("#")[0]], environment)

    def _spawn(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        log = (self.place.state / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **self.environment, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call, between fork and exec
        )

    @contextmanager
    def another_api(self, **environment: str) -> Iterator[str]:
        """One more API on the same stores, with another environment; its address, for the length of the block."""
        port = str(free_port())
        name, address = f"api-{port}", f"http://127.0.0.1:{port}"
        self._spawn(name, COMMANDS["api"], {"ORDERS_API_PORT": port, **environment})
        try:
            self._wait_until_healthy(name, address)
            yield address
        finally:
            self.stop(name)

    @contextmanager
    def another(self, name: str) -> Iterator[str]:
        """One more of a process that listens on no port; its name, for the length of the block."""
        copy = f"{name}-{free_port()}"
        self._spawn(copy, COMMANDS[name], {})
        try:
            yield copy
        finally:
            if copy in self.processes:
                self.stop(copy)

    def kill(self, name: str) -> None:
        """End a process as a power cut would."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self, name: str) -> int:
        """Ask a process to end, wait for it, answer its exit status."""
        (status,) = self.stop_all(name)
        return status

    def stop_all(self, *names: str) -> list[int]:
        """The same, side by side."""
        processes = [self.processes.pop(name) for name in names]
        for process in processes:
            process.terminate()
        return [process.wait(timeout=45) for process in processes]

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """For the length of the block, this process does not run; afterwards again, if it did before."""
        ran = name in self.processes
        if ran:
            self.stop(name)
        try:
            yield
        finally:
            if ran:
                self.start(name)

    def close(self) -> None:
        """End everything this testbed started."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=45)
            except subprocess.TimeoutExpired:
                process.kill()
        self.processes.clear()
        self.place.lock.close()

    def url(self, port_name: str) -> str:
        """The address of one of the testbed's HTTP services."""
        return f"http://127.0.0.1:{self.environment[port_name]}"

    async def _pause_schedules(self) -> None:
        """A scheduled workflow would interfere with a test; tests start those they need themselves."""
        client = await connect_temporal(self.settings)
        for row in SCHEDULES:
            await client.get_schedule_handle(f"{self.settings.name_prefix}{row.id}").pause(note="a testbed")

    def _empty_database(self) -> None:
        url = sa.make_url(self.settings.mysql_url.get_secret_value())
        server = sa.create_engine(url.set(database="information_schema"), isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE IF EXISTS `{url.database}`"))
            connection.execute(sa.text(f"CREATE DATABASE `{url.database}` CHARACTER SET utf8mb4 COLLATE {COLLATION}"))
        server.dispose()

    def _empty_search(self) -> None:
        """An index left by an earlier run holds later versions of what the new database counts from 1."""
        with Elasticsearch(self.settings.elasticsearch_url, request_timeout=30) as search:
            for name in search.indices.get(index=f"{self.settings.name_prefix}*"):
                search.indices.delete(index=name, ignore_unavailable=True)

    def _empty_topics(self) -> None:
        """Events of earlier engines of this place are not for this one; reading them again would delay its own."""
        admin, prefix = AdminClient(kafka_config(self.settings, {})), self.settings.name_prefix
        topics = {
            name: topic for name, topic in admin.list_topics(timeout=30).topics.items() if name.startswith(prefix)
        }
        ends = [
            TopicPartition(name, number, OFFSET_END) for name, topic in topics.items() for number in topic.partitions
        ]
        for emptied in admin.delete_records(ends).values() if ends else ():
            emptied.result()

    def _wait_until_healthy(self, name: str, base: str) -> None:
        address = f"{base}/healthz"
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if self.processes[name].poll() is not None:
                raise RuntimeError(f"{name} ended while starting; see {self.place.state / name}.log")
            try:
                if httpx2.get(address, timeout=2).status_code == httpx2.codes.OK:
                    return
            except httpx2.HTTPError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"{name} does not answer at {address}; see {self.place.state / name}.log")

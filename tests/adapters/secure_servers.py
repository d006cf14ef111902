"""Servers as a managed service offers them: with TLS that is checked and a password or key that is asked for."""

import asyncio
import os
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from dev.stack import jars, packages
from dev.stack.paths import is_root
from dev.stack.versions import KAFKA
from dev.testbed import free_port

USER, PASSWORD = "orders", "s3cure-and-long"
_START_SECONDS = 240


@dataclass(frozen=True)
class Authority:
    """A certificate authority that no system trusts, and what it has issued for this machine."""

    ca_file: Path
    certificate: Path
    key: Path

    @classmethod
    def create(cls, folder: Path) -> "Authority":
        folder.mkdir()
        folder.chmod(0o755)
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1", "localhost")
        files = cls(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")
        authority.cert_pem.write_to_path(str(files.ca_file))
        files.certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        # The one form of a key that all servers here read.
        key = load_pem_private_key(issued.private_key_pem.bytes(), password=None)
        files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return files

    def server_context(self, *, ask_for_certificate: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        if ask_for_certificate:
            context.load_verify_locations(self.ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@contextmanager
def running(command: list[str], log: Path, answers: Callable[[], object]) -> Iterator[None]:
    """A server for the length of the block, which begins once it answers; it ends with the block."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _succeeds(answers):
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(60)


def _succeeds(answers: Callable[[], object]) -> bool:
    with suppress(Exception):  # each client has errors of its own, and all of them mean "not yet"
        answers()
        return True
    return False


def redis_command(authority: Authority, folder: Path, port: int) -> list[str]:
    """Redis with TLS alone, and no user but the one of the ACL."""
    configuration = folder / "redis.conf"
    configuration.write_text(
        f"bind 127.0.0.1\nport 0\ntls-port {port}\ntls-cert-file {authority.certificate}\n"
        f"tls-key-file {authority.key}\ntls-ca-cert-file {authority.ca_file}\ntls-auth-clients no\n"
        f'save ""\ndir {folder}\nuser default off\nuser {USER} on >{PASSWORD} ~* &* +@all\n'
    )
    return [packages.find("redis-server"), str(configuration)]


def mysql_command(authority: Authority, folder: Path, port: int) -> list[str]:
    """MariaDB that refuses whoever comes without TLS."""
    data, user = folder / "mysql", "root" if is_root() else os.environ.get("USER", str(os.geteuid()))
    command = [packages.find("mariadb-install-db"), "--no-defaults", f"--user={user}", f"--datadir={data}"]
    _run([*command, "--auth-root-authentication-method=socket", "--skip-test-db"])
    grants = folder / "grants.sql"
    grants.write_text(
        "CREATE DATABASE orders CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;\n"
        f"CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL;\nGRANT ALL ON orders.* TO '{USER}'@'%';\n"
    )
    options = {
        "user": user,
        "datadir": data,
        "socket": folder / "mysql.sock",
        "pid-file": folder / "mysql.pid",
        "bind-address": "127.0.0.1",
        "port": port,
        "init-file": grants,
        "require-secure-transport": "ON",
        "ssl-ca": authority.ca_file,
        "ssl-cert": authority.certificate,
        "ssl-key": authority.key,
    }
    named = [f"--{name}={value}" for name, value in options.items()]
    return [packages.find("mariadbd"), "--no-defaults", "--skip-name-resolve", *named]


def kafka_command(authority: Authority, folder: Path, port: int) -> list[str]:
    """A broker whose clients come with SASL_SSL, by PLAIN or by SCRAM-SHA-512."""
    keystore, inner, controller = folder / "keystore.pem", free_port(), free_port()
    keystore.write_bytes(authority.key.read_bytes() + authority.certificate.read_bytes())
    login, listener = "org.apache.kafka.common.security", "listener.name.sasl_ssl"
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"SASL_SSL://127.0.0.1:{port},PLAINTEXT://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"SASL_SSL://127.0.0.1:{port},PLAINTEXT://127.0.0.1:{inner}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": keystore,
        f"{listener}.plain.sasl.jaas.config": f'{login}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
        f"{listener}.scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        "log.dirs": folder / "kafka",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
    }
    properties = folder / "server.properties"
    properties.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    java = [jars.java(), "-Xms128m", "-Xmx256m", "-XX:TieredStopAtLevel=1"]
    java += ["-Dorg.apache.logging.log4j.level=WARN", "-cp", jars.class_path(KAFKA)]
    scram = f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"
    formatting = ["kafka.tools.StorageTool", "format", "--cluster-id", "c2VjdXJlLXNlcnZlci0xMg", "--add-scram", scram]
    _run([*java, *formatting, "--config", str(properties)])
    return [*java, "kafka.Kafka", str(properties)]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@contextmanager
def tls_before(context: ssl.SSLContext, target: int) -> Iterator[int]:
    """TLS in front of a server of this machine that has none; answers the port."""
    loop = asyncio.new_event_loop()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while received := await reader.read(65536):
                writer.write(received)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks))
        loop.close()


class _KeyedGate(BaseHTTPRequestHandler):
    """Passes requests with the right API key on to an HTTP server of this machine."""

    protocol_version = "HTTP/1.1"
    target: int
    key: str

    def __getattr__(self, name: str) -> Callable[[], None]:
        """One answer for the methods of HTTP, which the base class looks up as `do_GET` and so on."""
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        status, headers, body = self._forwarded()
        self.send_response(status)
        for name in {"content-type", "x-elastic-product"} & headers.keys():
            self.send_header(name, headers[name])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _forwarded(self) -> tuple[int, dict[str, str], bytes]:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != f"ApiKey {self.key}":
            return 401, {"x-elastic-product": "Elasticsearch"}, b"{}"
        passed = {name: value for name in ("Content-Type", "Accept") if (value := self.headers.get(name))}
        url = f"http://127.0.0.1:{self.target}{self.path}"
        request = urllib.request.Request(url, sent or None, passed, method=self.command)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, _lower(answer.headers), answer.read()
        except HTTPError as refusal:
            return refusal.code, _lower(refusal.headers), refusal.read()

    def log_message(self, *_: object) -> None:
        """Nothing: the test says what went wrong."""


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@contextmanager
def keyed_http_before(context: ssl.SSLContext, target: int, key: str) -> Iterator[int]:
    """HTTPS in front of an HTTP server, for those alone who send this API key; answers the port."""
    gate = type("Gate", (_KeyedGate,), {"target": target, "key": key})
    with ThreadingHTTPServer(("127.0.0.1", 0), gate) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@contextmanager
def mail_server(context: ssl.SSLContext, received: list[Envelope]) -> Iterator[int]:
    """SMTP with TLS from the first byte and a login that is required; answers the port."""

    class Handler:
        async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
            received.append(envelope)
            return "250 Ok"

    def log_in(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, sent: object) -> AuthResult:
        expected = LoginPassword(USER.encode(), PASSWORD.encode())
        return AuthResult(success=sent == expected)

    controller = Controller(
        Handler(),
        hostname="127.0.0.1",
        port=free_port(),
        ssl_context=context,
        authenticator=log_in,
        auth_required=True,
        auth_require_tls=False,  # it means STARTTLS, which has no place here
    )
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()

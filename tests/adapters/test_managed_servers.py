"""The engine's own clients on servers that demand TLS and credentials; what cannot be had here, down to its bytes."""

import asyncio
import base64
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

import elasticsearch
import pytest
import redis
import sqlalchemy as sa
from aiosmtpd.smtp import Envelope
from confluent_kafka.admin import AdminClient
from dotenv import dotenv_values
from pymongo.errors import ServerSelectionTimeoutError

from adapters.aws import msk_token
from adapters.carts.signals import CartSignals
from adapters.connections import connect, create_engine
from adapters.events import EventConsumer, EventPublisher, EventsUndelivered, ensure_topics
from adapters.kafka import kafka_config
from adapters.mail.mailer import Mailer
from adapters.mysql import migrate
from adapters.redis_pipeline import RedisPipeline
from adapters.search.products import ProductSearch
from adapters.settings import Settings
from adapters.topic_tail import TopicTail
from dev.stack.environment import port
from dev.stack.paths import ROOT
from dev.testbed import free_port
from dev.topics import messages_of
from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from domain.outside_errors import Unavailable
from schemas.events import ORDERS_TOPIC, OrderStatusChanged
from schemas.search import ProductQuery
from tests.adapters.conftest import Configure
from tests.adapters.secure_servers import (
    PASSWORD,
    USER,
    Authority,
    kafka_command,
    keyed_http_before,
    mail_server,
    mysql_command,
    redis_command,
    running,
    tls_before,
)

pytestmark = pytest.mark.usefixtures("bed")  # the shared servers run
REGION = "eu-central-1"
T = TypeVar("T")


def test_mysql_that_requires_tls(
    authority: Authority, stranger: Authority, configure: Configure, tmp_path: Path
) -> None:
    number = free_port()
    url = f"mysql+pymysql://{USER}:{PASSWORD}@127.0.0.1:{number}/orders?charset=utf8mb4"
    safe = configure(ORDERS_MYSQL_URL=url, ORDERS_MYSQL_TLS="true", ORDERS_MYSQL_CA_FILE=authority.ca_file)
    engine = create_engine(safe, pool_size=2)
    with running(mysql_command(authority, tmp_path, number), tmp_path / "log", lambda: engine.connect().close()):
        migrate.upgrade(safe)
        with engine.connect() as connection:
            cipher = connection.execute(sa.text("SHOW STATUS LIKE 'Ssl_cipher'")).one()[1]
            assert cipher
            assert connection.execute(sa.text("SELECT count(*) FROM orders")).scalar_one() == 0
        for ca_file in (stranger.ca_file, ""):  # the system's own authorities issued nothing for this machine
            unknown = configure(ORDERS_MYSQL_URL=url, ORDERS_MYSQL_TLS="true", ORDERS_MYSQL_CA_FILE=ca_file)
            with pytest.raises(sa.exc.OperationalError, match="certificate verify failed"):
                create_engine(unknown, pool_size=1).connect()
        engine.dispose()


def test_mysql_without_tls_is_refused_where_tls_is_asked_for(configure: Configure) -> None:
    current = dotenv_values(ROOT / ".env")["MYSQL_PASSWORD"]
    url = f"mysql+pymysql://orders:{current}@127.0.0.1:{port('MYSQL_PORT')}/orders"
    create_engine(configure(ORDERS_MYSQL_URL=url), pool_size=1).connect().close()
    with pytest.raises(sa.exc.OperationalError, match="SSL"):
        create_engine(configure(ORDERS_MYSQL_URL=url, ORDERS_MYSQL_TLS="true"), pool_size=1).connect()


async def test_redis_with_tls_and_acl(authority: Authority, configure: Configure, tmp_path: Path) -> None:
    number = free_port()
    urls = [f"rediss://{USER}:{word}@127.0.0.1:{number}/0" for word in (PASSWORD, "wrong")]
    safe, wrong = (configure(ORDERS_REDIS_URL=url, ORDERS_REDIS_CA_FILE=authority.ca_file) for url in urls)
    untrusted = configure(ORDERS_REDIS_URL=urls[0])
    with (
        connect(safe, pool_size=1) as stores,
        connect(wrong, pool_size=1) as refused,
        connect(untrusted, pool_size=1) as suspicious,
        running(redis_command(authority, tmp_path, number), tmp_path / "log", stores.redis.ping),
    ):
        assert await _in_pipeline(safe, "GETSET", "cart", "kept") in (None, "kept")
        assert await _in_pipeline(safe, "GET", "cart") == "kept"
        changed = asyncio.Event()
        signals = CartSignals(safe.redis_address, lambda _: changed.set())
        await signals.watch("user:1")
        listening = asyncio.create_task(signals.listen())
        await changed.wait()
        listening.cancel()
        assert isinstance(_failure(refused.redis.ping), redis.AuthenticationError)
        assert "certificate verify failed" in str(_failure(suspicious.redis.ping))


async def _in_pipeline(settings: Settings, *command: str) -> object:
    """Again while a busy machine takes longer than the client waits."""
    pipeline = RedisPipeline(settings.redis_address)
    while True:
        with suppress(redis.ConnectionError):
            answer: object = await pipeline.execute(*command)
            await pipeline.close()
            return answer
        await asyncio.sleep(0.1)


def _failure(call: Callable[[], object]) -> Exception:
    """How it fails, unless that is by a time-out."""
    while True:
        try:
            pytest.fail(f"it does not fail: {call()}")
        except redis.TimeoutError:
            continue
        except redis.RedisError as error:
            return error


@pytest.fixture(scope="module")
def broker(
    authority: Authority, configure: Configure, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, object]]:
    """The variables with which a client is let in."""
    number, folder = free_port(), tmp_path_factory.mktemp("kafka")
    variables = {
        "ORDERS_KAFKA_BOOTSTRAP": f"127.0.0.1:{number}",
        "ORDERS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "ORDERS_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "ORDERS_KAFKA_USERNAME": USER,
        "ORDERS_KAFKA_PASSWORD": PASSWORD,
        "ORDERS_KAFKA_CA_FILE": authority.ca_file,
    }
    admin = AdminClient(kafka_config(configure(**variables), {"log_level": 0}))
    command = kafka_command(authority, folder, number)
    with running(command, folder / "log", lambda: admin.list_topics(timeout=5)):
        yield variables


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_kafka_with_sasl_ssl(broker: dict[str, object], configure: Configure, mechanism: str) -> None:
    prefix = f"{mechanism.lower()}-"
    settings = configure(**broker | {"ORDERS_KAFKA_SASL_MECHANISM": mechanism, "ORDERS_NAME_PREFIX": prefix})
    topic, stop, seen = f"{prefix}{ORDERS_TOPIC}", threading.Event(), threading.Event()
    assert topic in ensure_topics(settings)
    tail = threading.Thread(target=TopicTail(settings, topic, lambda _: seen.set()).follow, args=[stop])
    tail.start()
    try:
        publisher, event = EventPublisher(settings, topic), _event()
        publisher.publish([event])
        while not seen.wait(1):  # it may have begun to follow after the one before
            publisher.publish([event])
    finally:
        stop.set()
        tail.join()
    consumer = EventConsumer(settings, f"{prefix}group", [topic], OrderStatusChanged)
    delivery = next(found for _ in range(120) if (found := consumer.poll(1)) is not None)
    consumer.commit(delivery)
    consumer.close()
    assert delivery.event == event
    assert next(messages_of(settings, topic)).key() == event.order_id.encode()


def test_kafka_refuses_another_password(
    broker: dict[str, object], configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.events._DELIVERY_SECONDS", 2.0)
    with pytest.raises(EventsUndelivered):
        EventPublisher(configure(**broker | {"ORDERS_KAFKA_PASSWORD": "wrong"}), "any").publish([_event()])


def test_elasticsearch_with_an_api_key(authority: Authority, configure: Configure) -> None:
    alias = f"managed-{uuid.uuid4().hex}"
    with keyed_http_before(authority.server_context(), port("ELASTICSEARCH_PORT"), "bWluZTprZXk=") as number:
        variables = {
            "ORDERS_ELASTICSEARCH_URL": f"https://127.0.0.1:{number}",
            "ORDERS_ELASTICSEARCH_CA_FILE": authority.ca_file,
        }
        with connect(configure(**variables, ORDERS_ELASTICSEARCH_API_KEY="bWluZTprZXk="), pool_size=1) as stores:
            client = stores.elasticsearch.options(request_timeout=60)
            search = ProductSearch(client, alias)
            _until_answered(search.ensure_index)
            assert _until_answered(lambda: search.search(ProductQuery(q="lamp"))).items == []
            for name in client.indices.get(index=f"{alias}*"):
                client.indices.delete(index=name)
        with (
            connect(configure(**variables), pool_size=1) as stores,
            pytest.raises(elasticsearch.AuthenticationException),
        ):
            _until_answered(stores.elasticsearch.info)


def _until_answered(call: Callable[[], T]) -> T:
    """Again while a busy machine takes longer than the client waits."""
    while True:
        with suppress(elasticsearch.ConnectionTimeout):
            return call()


def test_mongo_with_tls(authority: Authority, stranger: Authority, configure: Configure) -> None:
    with tls_before(authority.server_context(), port("MONGO_PORT")) as number:
        url = f"mongodb://127.0.0.1:{number}/?directConnection=true"
        with connect(configure(ORDERS_MONGO_URL=url, ORDERS_MONGO_CA_FILE=authority.ca_file), pool_size=1) as stores:
            assert stores.mongo.client.admin.command("ping")["ok"] == 1
            assert not stores.mongo.client.options.retry_writes
        untrusted = configure(
            ORDERS_MONGO_URL=url, ORDERS_MONGO_CA_FILE=stranger.ca_file, ORDERS_MONGO_RETRY_WRITES="true"
        )
        with connect(untrusted, pool_size=1) as stores:
            assert stores.mongo.client.options.retry_writes
            with pytest.raises(ServerSelectionTimeoutError, match="certificate verify failed"):
                stores.mongo.client.admin.command("ping")


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_mail_with_tls_from_the_first_byte(authority: Authority, configure: Configure) -> None:
    received: list[Envelope] = []
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "shop@shop.example", "customer@shop.example", "Order 1"
    with mail_server(authority.server_context(), received) as number:
        variables = {
            "SMTP_PORT": number,
            "SMTP_TLS": "true",
            "SMTP_USERNAME": USER,
            "SMTP_PASSWORD": PASSWORD,
            "SMTP_CA_FILE": authority.ca_file,
        }
        Mailer(configure(**variables)).send(message)
        assert received[0].rcpt_tos == ["customer@shop.example"]
        with pytest.raises(Unavailable):
            Mailer(configure(**variables | {"SMTP_CA_FILE": ""})).send(message)
    assert len(received) == 1


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials as AWS gives them to a machine; nobody checks them here."""
    for name, value in {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s3cure"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("role")
def test_a_connection_to_rds_carries_a_signed_token(authority: Authority, configure: Configure) -> None:
    settings = configure(
        ORDERS_MYSQL_URL="mysql+pymysql://orders@shop.abc.eu-central-1.rds.amazonaws.com:3306/orders",
        ORDERS_MYSQL_TLS="true",
        ORDERS_MYSQL_CA_FILE=authority.ca_file,
        ORDERS_MYSQL_IAM="true",
        AWS_REGION=REGION,
    )
    engine, passwords = create_engine(settings, pool_size=1), []

    @sa.event.listens_for(engine, "do_connect")
    def look(_dialect: object, _record: object, _arguments: object, options: dict[str, str]) -> None:
        passwords.append(options["password"])
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        engine.connect()
    address, _, query = passwords[0].partition("/?")
    signed = parse_qs(query)
    assert address == "shop.abc.eu-central-1.rds.amazonaws.com:3306"
    assert (signed["Action"], signed["DBUser"]) == (["connect"], ["orders"])
    assert signed["X-Amz-Credential"][0].endswith(f"/{REGION}/rds-db/aws4_request")
    assert signed["X-Amz-Signature"]


@pytest.mark.usefixtures("role")
def test_a_client_of_msk_asks_for_a_signed_token(configure: Configure) -> None:
    settings = configure(
        ORDERS_KAFKA_BOOTSTRAP="127.0.0.1:1",
        ORDERS_KAFKA_SECURITY_PROTOCOL="SASL_SSL",
        ORDERS_KAFKA_SASL_MECHANISM="AWS_MSK_IAM",
        AWS_REGION=REGION,
    )
    config = kafka_config(settings, {"log_level": 0})
    assert config["sasl.mechanism"] == "OAUTHBEARER"
    asked, made = threading.Event(), config["oauth_cb"]

    def note(argument: str) -> tuple[str, float]:
        asked.set()
        token: tuple[str, float] = made(argument)
        return token

    client = AdminClient(config | {"oauth_cb": note})
    while not asked.is_set():
        client.poll(0.1)
    token, expires = msk_token(REGION, "")
    url = urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    assert url.hostname == f"kafka.{REGION}.amazonaws.com"
    assert parse_qs(url.query)["Action"] == ["kafka-cluster:Connect"]
    assert 600 < expires - datetime.now(UTC).timestamp() <= 900


def _event() -> OrderStatusChanged:
    return OrderStatusChanged(
        event_id=str(uuid.uuid4()),
        order_id=str(uuid.uuid4()),
        seq=1,
        type="order.confirmed",
        status=OrderStatus.CONFIRMED,
        payment_status=PaymentStatus.AUTHORIZED,
        fulfilment_status=FulfilmentStatus.UNFULFILLED,
        actor="system",
        occurred_at=datetime(2026, 11, 23, 12, 30, tzinfo=UTC),
        data={},
    )

"""Every store of a process, opened and closed in one place."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import sqlalchemy as sa
from elasticsearch import Elasticsearch
from pymongo import MongoClient
from pymongo.database import Database
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy.engine.interfaces import DBAPIConnection

from adapters.aws import sign_in_with_iam
from adapters.collation import COLLATION
from adapters.settings import Settings


@dataclass(frozen=True)
class Connections:
    """The open clients. All of them are thread-safe and connect on first use."""

    settings: Settings
    engine: sa.Engine
    mongo: Database[dict[str, Any]]
    redis: redis.Redis
    elasticsearch: Elasticsearch


# A statement that waits for a lock is refused before its connection is given up, which is before the activity that
# runs it is (`workflows/options.py`, 20 s): so nothing goes on in the store for which nobody waits any more.
_LOCK_WAIT_SECONDS = 5
READ_SECONDS = 15
# What is held for a moment beside the threads: health, metrics.
OVERFLOW = 4
# A change of the schema waits for those who use its table, and everybody else waits behind it: it soon lets them by.
_DDL_LOCK_WAIT_SECONDS = 2


def create_engine(settings: Settings, pool_size: int) -> sa.Engine:
    """The engine of this process; `pool_size` is how many threads use it, so that none waits for a connection."""
    return _engine(settings, pool_size, READ_SECONDS, _LOCK_WAIT_SECONDS)


def create_migration_engine(settings: Settings) -> sa.Engine:
    """For changes of the schema, which take as long as they take: the server would go on with one that is given up."""
    return _engine(settings, 2, None, _DDL_LOCK_WAIT_SECONDS)


def _engine(settings: Settings, pool_size: int, read_seconds: int | None, lock_wait_seconds: int) -> sa.Engine:
    waits = f"innodb_lock_wait_timeout={lock_wait_seconds}, lock_wait_timeout={lock_wait_seconds}"
    engine = sa.create_engine(
        settings.mysql_url.get_secret_value(),
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_recycle=300,
        pool_size=pool_size,
        max_overflow=OVERFLOW,
        pool_timeout=10,
        connect_args={
            "connect_timeout": 5,
            "read_timeout": read_seconds,
            "write_timeout": read_seconds,
            "init_command": f"SET time_zone='+00:00', {waits}",
            **_mysql_tls(settings),
        },
    )
    sa.event.listen(engine, "connect", _state_collation)
    if settings.mysql_iam:
        sign_in_with_iam(engine, settings.aws_region)
    return engine


def _state_collation(connection: DBAPIConnection, _record: object) -> None:
    """The dialect names the character set alone as it connects, which stands for another collation on each server."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"SET NAMES utf8mb4 COLLATE {COLLATION}")


def _mysql_tls(settings: Settings) -> dict[str, ssl.SSLContext]:
    """A context of its own makes the driver refuse a server without TLS; by itself it would go on in plain text."""
    return {"ssl": ssl.create_default_context(cafile=settings.mysql_ca_file)} if settings.mysql_tls else {}


def _given(**options: Path | None) -> dict[str, Any]:
    """Those that are set: a client takes an option about TLS as the wish for it."""
    return {name: str(value) for name, value in options.items() if value is not None}


@contextmanager
def connect(settings: Settings, pool_size: int) -> Iterator[Connections]:
    """Open every store for the length of the block; they are closed in reverse, also when the block fails."""
    with ExitStack() as stack:
        engine = create_engine(settings, pool_size)
        stack.callback(engine.dispose)
        mongo: MongoClient[dict[str, Any]] = MongoClient(
            settings.mongo_url.get_secret_value(),
            tz_aware=True,
            serverSelectionTimeoutMS=1000,
            timeoutMS=3000,
            retryWrites=settings.mongo_retry_writes,
            **_given(tlsCAFile=settings.mongo_ca_file),
        )
        stack.callback(mongo.close)
        cache = redis.Redis.from_url(
            settings.redis_address,
            socket_timeout=1,
            socket_connect_timeout=1,
            decode_responses=True,
            # Once more, for a connection that a restarted server has forgotten; callers that must have an answer retry.
            retry=Retry(NoBackoff(), 1),
        )
        stack.callback(cache.close)
        search = Elasticsearch(
            settings.elasticsearch_url,
            api_key=key.get_secret_value() if (key := settings.elasticsearch_api_key) else None,
            **_given(ca_certs=settings.elasticsearch_ca_file),
            request_timeout=5,
            # Once more, for a connection that a restarted server has closed.
            max_retries=1,
            retry_on_timeout=False,
            # As many as may be busy at once; those past it would be opened again for each request.
            connections_per_node=32,
        )
        stack.callback(search.close)
        yield Connections(settings, engine, mongo[settings.mongo_database], cache, search)

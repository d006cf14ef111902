"""Every store of a process, opened and closed in one place."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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

from adapters.aws import sign_in_with_iam
from adapters.settings import Settings


@dataclass(frozen=True)
class Connections:
    """The open clients. All of them are thread-safe and connect on first use."""

    settings: Settings
    engine: sa.Engine
    mongo: Database[dict[str, Any]]
    redis: redis.Redis
    elasticsearch: Elasticsearch


def create_engine(settings: Settings, pool_size: int) -> sa.Engine:
    """The engine of this process; `pool_size` is how many threads use it, so that none waits for a connection."""
    engine = sa.create_engine(
        settings.mysql_url.get_secret_value(),
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_recycle=300,
        pool_size=pool_size,
        max_overflow=4,
        pool_timeout=10,
        connect_args={
            "connect_timeout": 5,
            "read_timeout": 30,
            "write_timeout": 30,
            "init_command": "SET time_zone='+00:00'",
            **_mysql_tls(settings),
        },
    )
    if settings.mysql_iam:
        sign_in_with_iam(engine, settings.aws_region)
    return engine


def _mysql_tls(settings: Settings) -> dict[str, ssl.SSLContext]:
    """A context of its own makes the driver refuse a server without TLS; by itself it would go on in plain text."""
    return {"ssl": ssl.create_default_context(cafile=settings.mysql_ca_file)} if settings.mysql_tls else {}


def _given(**options: Path | None) -> dict[str, Any]:
    """Those that are set: a client takes an option about TLS as the wish for it."""
    return {name: str(value) for name, value in options.items() if value is not None}


@contextmanager
def connect(settings: Settings, pool_size: int = 40) -> Iterator[Connections]:
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

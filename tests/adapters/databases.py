"""Databases that a test has for itself."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from pydantic import SecretStr

from adapters.collation import COLLATION
from adapters.settings import Settings


@contextmanager
def own_database(settings: Settings, name: str) -> Iterator[Settings]:
    """The settings of an empty database, which is dropped afterwards."""
    url = sa.make_url(settings.mysql_url.get_secret_value())
    own = url.set(database=f"{url.database}_{name}")
    server = sa.create_engine(url.set(database=""), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE IF EXISTS {own.database}"))
        connection.execute(sa.text(f"CREATE DATABASE {own.database} CHARACTER SET utf8mb4 COLLATE {COLLATION}"))
    yield settings.model_copy(update={"mysql_url": SecretStr(own.render_as_string(hide_password=False))})
    with server.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {own.database}"))
    server.dispose()

"""How Alembic runs here: on the connection `adapters.mysql.migrate` hands over, else on the one of the settings."""

import sqlalchemy as sa
from alembic import context

from adapters.connections import create_migration_engine
from adapters.mysql.migrations.ddl import Interrupted
from adapters.mysql.tables import catalog, identity, orders, payments, shared, stock  # noqa: F401 - they fill it
from adapters.mysql.tables.schema import metadata
from adapters.settings import load_settings


def _run(connection: sa.Connection) -> None:
    first = Interrupted()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        transaction_per_migration=True,
        on_version_apply=first.is_over,
        interrupted=first,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    context.configure(dialect_name="mysql", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif (given := context.config.attributes.get("connection")) is not None:
    _run(given)
else:
    engine = create_migration_engine(load_settings())
    with engine.connect() as own:
        _run(own)
    engine.dispose()

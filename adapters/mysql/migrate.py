"""Bring a database to the newest schema; the revisions ship in the wheel beside this module."""

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from adapters.connections import create_migration_engine
from adapters.settings import Settings

_LOCK = "order-engine-migrate"
_LOCK_SECONDS = 120


def upgrade(settings: Settings) -> tuple[str | None, str | None]:
    """Run every revision still missing and answer (revision before, revision now); one process at a time does it.

    A revision that was interrupted is run again. Raises TimeoutError when another process holds the lock for two
    minutes, or a transaction a table for as long.
    """
    engine = create_migration_engine(settings)
    try:
        return _upgrade(engine)
    finally:
        engine.dispose()


def _upgrade(engine: sa.Engine) -> tuple[str | None, str | None]:
    config = alembic_config()
    with engine.connect() as guard:
        # The lock belongs to its connection, so it is released when a process dies in the middle.
        if guard.scalar(sa.text("SELECT GET_LOCK(:name, :seconds)"), {"name": _LOCK, "seconds": _LOCK_SECONDS}) != 1:
            raise TimeoutError(f"another process has been migrating for {_LOCK_SECONDS} s")
        try:
            with engine.connect() as connection:
                before = MigrationContext.configure(connection).get_current_revision()
                connection.rollback()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                connection.commit()
        finally:
            guard.execute(sa.text("SELECT RELEASE_LOCK(:name)"), {"name": _LOCK})
    return before, ScriptDirectory.from_config(config).get_current_head()


def alembic_config() -> Config:
    """Alembic's configuration, without an ini file to find."""
    config = Config()
    config.set_main_option("script_location", "adapters.mysql:migrations")
    config.set_main_option("path_separator", "os")
    return config

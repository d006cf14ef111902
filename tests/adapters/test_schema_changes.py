"""Changes of the schema while orders are taken: they outlast every time-out, harm nobody, and can be made again."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from adapters import connections as adapters_connections
from adapters.connections import READ_SECONDS, create_engine
from adapters.mysql import migrate
from adapters.mysql.migrate import alembic_config, upgrade
from adapters.settings import Settings
from tests.adapters.databases import own_database
from workflows.options import STORE, STORE_AWAY

_PAUSE_SECONDS = 0.05
AddRevision = Callable[[str], str]
_REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = {name!r}, {before!r}, None, None


def upgrade():
    {body}
"""


@pytest.fixture(scope="module")
def shop(settings: Settings) -> Iterator[Settings]:
    """Of a database of its own that has every revision."""
    with own_database(settings, "changes") as own:
        upgrade(own)
        yield own


@pytest.fixture
def engine(shop: Settings) -> Iterator[sa.Engine]:
    engine = create_engine(shop, 4)
    yield engine
    with engine.begin() as connection:
        head = ScriptDirectory.from_config(alembic_config()).get_current_head()
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :head"), {"head": head})
    engine.dispose()


@pytest.fixture
def add_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AddRevision:
    """Revisions after the newest, as the next release brings them."""

    def config() -> Config:
        made = alembic_config()
        ours = ScriptDirectory.from_config(made).versions
        made.set_main_option("version_locations", f"{ours}:{tmp_path}")
        return made

    monkeypatch.setattr(migrate, "alembic_config", config)

    def add(body: str) -> str:
        before = ScriptDirectory.from_config(config()).get_current_head()
        name = f"next{len(list(tmp_path.iterdir()))}"
        (tmp_path / f"{name}.py").write_text(_REVISION.format(name=name, before=before, body=body))
        return name

    return add


def test_one_that_takes_longer_than_any_read_is_waited_for(
    shop: Settings, engine: sa.Engine, add_revision: AddRevision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters_connections, "READ_SECONDS", 1)
    newest = add_revision('op.execute("CREATE TABLE slow AS SELECT SLEEP(3) AS waited")')
    with create_engine(shop, 1).connect() as impatient, pytest.raises(sa.exc.OperationalError):
        impatient.execute(sa.text("SELECT SLEEP(3)"))
    assert upgrade(shop)[1] == newest
    assert sa.inspect(engine).has_table("slow")


def test_one_that_has_to_wait_lets_everybody_by(shop: Settings, engine: sa.Engine, add_revision: AddRevision) -> None:
    newest = add_revision('op.add_column("warehouses", sa.Column("dock", sa.Integer()))')
    new = sa.text("INSERT INTO warehouses (code, name, country, preference) VALUES (:code, 'A', 'DE', 1)")
    with ThreadPoolExecutor(1) as pool, engine.connect() as reader:
        reader.execute(sa.text("SELECT * FROM warehouses"))  # until it commits, no column can be added
        change = pool.submit(upgrade, shop)
        for code in ("W1", "W2", "W3"):
            _until_a_change_waits(engine)
            with engine.begin() as connection:
                connection.execute(new, {"code": code})
        assert not change.done()
        reader.rollback()
        assert change.result()[1] == newest
    assert "dock" in {column["name"] for column in sa.inspect(engine).get_columns("warehouses")}


def _until_a_change_waits(engine: sa.Engine) -> None:
    waiting = sa.text("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'ALTER TABLE warehouses%'")
    while True:
        with engine.connect() as connection:
            if connection.scalar(waiting):
                return
        time.sleep(_PAUSE_SECONDS)


def test_one_that_was_interrupted_is_made_again(shop: Settings, engine: sa.Engine, add_revision: AddRevision) -> None:
    body = [
        'op.add_column("stock_rules", sa.Column("first", sa.Integer()))',
        'op.create_index("ix_second", "stock_rules", ["first"])',
        'op.create_table("third", sa.Column("id", sa.Integer(), primary_key=True))',
        'op.add_column("third", sa.Column("fourth", sa.Integer()))',
    ]
    newest = add_revision("\n    ".join(body))
    with engine.begin() as connection:  # as far as a process came that died then
        connection.execute(sa.text("ALTER TABLE stock_rules ADD COLUMN first INTEGER"))
        connection.execute(sa.text("CREATE INDEX ix_second ON stock_rules (first)"))
        connection.execute(sa.text("CREATE TABLE third (id INTEGER PRIMARY KEY)"))
    assert upgrade(shop)[1] == newest
    assert {column["name"] for column in sa.inspect(engine).get_columns("third")} == {"id", "fourth"}


def test_what_no_interruption_explains_is_refused(shop: Settings, engine: sa.Engine, add_revision: AddRevision) -> None:
    add_revision('op.add_column("stock_rules", sa.Column("fifth", sa.Integer()))')
    add_revision('op.add_column("stock_rules", sa.Column("sixth", sa.Integer()))')
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE stock_rules ADD COLUMN sixth INTEGER"))
    with pytest.raises(sa.exc.OperationalError, match="Duplicate column name 'sixth'"):
        upgrade(shop)


@pytest.mark.parametrize("name", ["innodb_lock_wait_timeout", "lock_wait_timeout"])
def test_a_lock_is_waited_for_less_than_an_answer_and_both_less_than_a_step(engine: sa.Engine, name: str) -> None:
    with engine.connect() as connection:
        wait = connection.scalar(sa.text(f"SELECT @@SESSION.{name}"))
    assert wait < READ_SECONDS
    for options in (STORE, STORE_AWAY):
        assert options["start_to_close_timeout"].total_seconds() > READ_SECONDS

"""Text means the same on every server: its collation is stated, and what is unique is told apart as Python does."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
import uuid_utils

from adapters.collation import COLLATION
from adapters.connections import Connections, create_engine
from adapters.mysql.identity.external_identities import ExternalIdentities
from adapters.mysql.identity.users import Accounts
from adapters.mysql.migrate import upgrade
from adapters.mysql.tables import catalog, identity, orders, payments, shared, stock  # noqa: F401 - they fill it
from adapters.mysql.tables.schema import metadata
from adapters.settings import Settings
from schemas.users import Role
from tests.adapters.databases import own_database
from tests.adapters.test_users import MakeAccount, new_account  # noqa: F401 - a fixture

# Two texts that differ in one way alone; to Python they are two.
PAIRS = {
    "case": ("abc", "aBc"),
    "space": ("ab", "ab "),
    "accent": ("abc", "ábc"),
    "letter": ("sß", "sss"),
    "composition": ("\u00e9", "e\u0301"),
    "emoji": ("🚚", "🛒"),
}
IN_ASCII = ("case", "space")
# The collations that MySQL and MariaDB both have do not count spaces at the end. What comes from outside has none there
# (codes, SKUs, ids and addresses have a pattern or are stripped), or is compared again where it is read (subjects).
EVERYWHERE = {"space"}
FOLDED = {
    "order_events.step": "words of ours in small letters, within one order; a change would rebuild the largest table",
    "order_events_archive.step": "as in order_events",
    "parcels.shipment_id": "ids of the carrier, random: one that differs by case alone would be refused, not mixed up",
    "prices.currency": "three capital letters, checked where they come in",
}


def _unique_texts() -> Iterator[sa.Column[str]]:
    for table in metadata.sorted_tables:
        columns = {column for index in table.indexes if index.unique for column in index.columns}
        for key in table.constraints:
            if isinstance(key, sa.PrimaryKeyConstraint | sa.UniqueConstraint):
                columns |= set(key.columns)
        yield from (column for column in table.columns if column in columns and isinstance(column.type, sa.String))


UNIQUE = {f"{column.table.name}.{column.name}": column for column in _unique_texts()}


def _collation(column: sa.Column[str]) -> str:
    return getattr(column.type, "collation", None) or COLLATION


@pytest.fixture(scope="module")
def migrated(settings: Settings) -> Iterator[sa.Engine]:
    """A migrated database that leads whatever states no collation astray."""
    with own_database(settings, "collations") as own:
        engine = create_engine(own, 1)
        with engine.connect() as connection:
            connection.execute(sa.text(f"ALTER DATABASE {engine.url.database} CHARACTER SET latin1"))
        upgrade(own)
        yield engine
        engine.dispose()


def test_every_text_column_has_the_collation_the_tables_state(migrated: sa.Engine) -> None:
    wanted = {
        (table.name, column.name): _collation(column)
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, sa.String)
    }
    query = (
        "SELECT table_name, column_name, collation_name FROM information_schema.columns WHERE table_schema = DATABASE()"
    )
    with migrated.connect() as connection:
        found = {(table, column): collation for table, column, collation in connection.execute(sa.text(query))}
    assert {name: found[name] for name in wanted} == wanted


def test_every_table_gives_it_to_columns_to_come(migrated: sa.Engine) -> None:
    query = "SELECT table_name, table_collation FROM information_schema.tables WHERE table_schema = DATABASE()"
    with migrated.connect() as connection:
        found = {name: collation for name, collation in connection.execute(sa.text(query)) if name in metadata.tables}
    assert found == dict.fromkeys(metadata.tables, COLLATION)


def test_connections_compare_by_it(connections: Connections) -> None:
    with connections.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT @@collation_connection")) == COLLATION


def _taken_for_one(connection: sa.Connection, column: sa.Column[str]) -> set[str]:
    """The kinds of difference that a unique key of this column does not see."""
    ascii_alone = getattr(column.type, "charset", None) == "ascii"
    folded = set()
    connection.execute(sa.text("DROP TEMPORARY TABLE IF EXISTS alone"))
    # A column of a query has the type and collation of the one it is of.
    source = f"SELECT `{column.name}` AS text FROM `{column.table.name}` LIMIT 0"
    connection.execute(sa.text(f"CREATE TEMPORARY TABLE alone (UNIQUE (text)) {source}"))
    for kind in IN_ASCII if ascii_alone else PAIRS:
        connection.execute(sa.text("DELETE FROM alone"))
        for text in PAIRS[kind]:
            try:
                connection.execute(sa.text("INSERT INTO alone VALUES (:text)"), {"text": text})
            except sa.exc.IntegrityError:
                folded.add(kind)
    return folded


@pytest.mark.parametrize("name", UNIQUE)
def test_unique_texts_are_told_apart_as_python_does(connections: Connections, name: str) -> None:
    wanted = set(PAIRS) if name in FOLDED else EVERYWHERE
    with connections.engine.connect() as connection:
        assert _taken_for_one(connection, UNIQUE[name]) == wanted


def test_no_reason_outlives_its_column() -> None:
    assert set(FOLDED) <= set(UNIQUE)


def test_subjects_that_differ_by_case_sign_in_to_two_accounts(
    connections: Connections,
    new_account: MakeAccount,  # noqa: F811 - the fixture
) -> None:
    accounts, identities = Accounts(connections.engine), ExternalIdentities(connections.engine)
    subject = uuid_utils.uuid7().hex
    owners = {}
    for spelling in (f"a{subject}", f"A{subject}", f"á{subject}"):
        account = new_account(None, Role.CUSTOMER)
        accounts.create(account)
        identities.link("elsewhere", spelling, account.id, account.email)
        owners[spelling] = account.id
    assert {spelling: identities.account_id("elsewhere", spelling) for spelling in owners} == owners
    assert identities.account_id("elsewhere", f"a{subject} ") is None

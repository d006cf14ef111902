"""The migrated schema is the one the code believes in."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from adapters.connections import create_engine
from adapters.mysql.migrate import alembic_config, upgrade
from adapters.mysql.tables.schema import metadata
from adapters.settings import Settings
from tests.adapters.databases import own_database


@pytest.fixture
def to_migrate(settings: Settings) -> Iterator[Settings]:
    """For a database that is empty."""
    with own_database(settings, "migrations") as own:
        yield own


@pytest.fixture
def empty(to_migrate: Settings) -> Iterator[sa.Engine]:
    """An engine on it."""
    engine = create_engine(to_migrate, 4)
    yield engine
    engine.dispose()


def _checks(engine: sa.Engine, table: str) -> set[str]:
    found = sa.inspect(engine).get_check_constraints(table)
    return {str(check["name"]) for check in found if "json_valid" not in check["sqltext"]}


def test_migrated_schema_equals_the_tables(empty: sa.Engine, to_migrate: Settings) -> None:
    upgrade(to_migrate)
    with empty.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_every_check_constraint_of_the_tables_is_in_force(empty: sa.Engine, to_migrate: Settings) -> None:
    upgrade(to_migrate)
    spell = empty.dialect.identifier_preparer.format_constraint
    for table in metadata.tables.values():
        wanted = {spell(one) for one in table.constraints if isinstance(one, sa.CheckConstraint)}
        assert wanted == _checks(empty, table.name), table.name


def test_upgrading_twice_changes_nothing(empty: sa.Engine, to_migrate: Settings) -> None:
    before, after = upgrade(to_migrate)
    assert (before, upgrade(to_migrate)) == (None, (after, after))


def test_two_processes_that_migrate_at_once_do_it_once(empty: sa.Engine, to_migrate: Settings) -> None:
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(upgrade, [to_migrate, to_migrate]))
    assert sorted(json.dumps(before) for before, _ in results) == sorted([json.dumps(results[0][1]), "null"])


def test_downgrading_leaves_no_table(empty: sa.Engine, to_migrate: Settings) -> None:
    upgrade(to_migrate)
    config = alembic_config()
    with empty.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert sa.inspect(empty).get_table_names() == ["alembic_version"]


def test_proven_addresses_have_an_owner_after_the_upgrade_and_can_go_back(empty: sa.Engine) -> None:
    config = alembic_config()
    new = "INSERT INTO users (id, email, name, created_at, email_verified_at) VALUES (:id, :email, 'A', NOW(), :at)"
    moment = "2026-01-01 00:00:00"
    rows: list[dict[str, str | None]] = [
        {"id": "1", "email": "proven@shop.example", "at": moment},
        {"id": "2", "email": "claimed@shop.example", "at": None},
        {"id": "3", "email": "3@closed.invalid", "at": None},
    ]
    with empty.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        connection.execute(sa.text(new), rows)
        connection.commit()
        command.upgrade(config, "0004")
        owners = connection.execute(sa.text("SELECT id, verified_email FROM users ORDER BY id")).all()
        assert [tuple(row) for row in owners] == [("1", "proven@shop.example"), ("2", None), ("3", None)]
        again = {"id": "4", "email": "claimed@shop.example", "at": None}
        connection.execute(sa.text(new), again)
        connection.commit()
        with pytest.raises(sa.exc.IntegrityError):
            command.downgrade(config, "0003")
        connection.execute(sa.text("DELETE FROM users WHERE id = '4'"))
        connection.commit()
        command.downgrade(config, "0003")
        connection.commit()
    assert "verified_email" not in {column["name"] for column in sa.inspect(empty).get_columns("users")}


def test_stored_words_are_renamed_by_the_upgrade_and_back_by_the_downgrade(empty: sa.Engine) -> None:
    config = alembic_config()
    order = (
        "INSERT INTO orders (id, customer_id, email, status, payment_status, fulfilment_status, currency, subtotal, "
        "shipping, tax, total, cart_id, cart_version, shipping_address, shipping_method, created_at, updated_at) "
        "VALUES ('o', 'c', 'a@shop.example', 'failed', 'voided', 'unfulfilled', 'EUR', 1, 0, 0, 1, 'k', 1, '{}', "
        "'standard', NOW(), NOW())"
    )
    event = (
        "INSERT INTO order_events (event_id, order_id, seq, step, type, status, payment_status, fulfilment_status, "
        "actor, data, occurred_at, partition_no) "
        "VALUES (:seq, 'o', :seq, :seq, :type, 'failed', 'voided', 'unfulfilled', 'system', :data, NOW(), 0)"
    )
    credit = (
        "INSERT INTO credit_entries (customer_id, currency, kind, source, target, amount, actor, idempotency_key, "
        "occurred_at) VALUES ('c', 'EUR', :kind, 'available', 'held', 1, 'system', :kind, NOW())"
    )
    difference = (
        "INSERT INTO payment_differences (live_key, kind, subject, order_id, repair, repair_amount, status, "
        "first_seen_at, last_seen_at) VALUES ('orphaned_hold::pi_1', 'orphaned_hold', 'pi_1', 'o', 'void_hold', 1, "
        "'open', NOW(), NOW())"
    )

    def words(connection: sa.Connection) -> list[list[str]]:
        events = connection.execute(sa.text("SELECT type, data FROM order_events ORDER BY seq")).all()
        kinds = connection.scalars(sa.text("SELECT kind FROM credit_entries ORDER BY id")).all()
        found = connection.execute(sa.text("SELECT live_key, kind, repair FROM payment_differences")).one()
        return [
            [row.type for row in events],
            [json.dumps(json.loads(row.data)) for row in events],
            list(kinds),
            list(found),
        ]

    with empty.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0015")
        connection.execute(sa.text(order))
        rows = [
            {"seq": 1, "type": "payment.credit_held", "data": "{}"},
            {"seq": 2, "type": "order.compensation_blocked", "data": '{"owed": ["void the payment"]}'},
        ]
        connection.execute(sa.text(event), rows)
        connection.execute(sa.text("INSERT INTO credit_accounts VALUES ('c', NOW())"))
        connection.execute(sa.text(credit), [{"kind": "hold"}, {"kind": "release"}])
        connection.execute(sa.text(difference))
        connection.commit()
        before = words(connection)
        command.upgrade(config, "0016")
        assert words(connection) == [
            ["payment.credit_authorized", "order.compensation_blocked"],
            ["{}", '{"needs_operator": ["void the payment"]}'],
            ["authorize", "void"],
            ["orphaned_authorization::pi_1", "orphaned_authorization", "void_authorization"],
        ]
        command.downgrade(config, "0015")
        assert words(connection) == before

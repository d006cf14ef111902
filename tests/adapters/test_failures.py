"""What a failed step on our own stores means: only a value they cannot take is final."""

import os
from collections.abc import Callable

import pymongo.errors
import pytest
import redis
import sqlalchemy as sa
from pydantic import BaseModel, Field

from adapters.connections import Connections
from adapters.failures import Cause, cause_of
from adapters.mysql.bounds import fitted
from adapters.mysql.tables.catalog import products
from adapters.mysql.tables.orders import orders
from adapters.mysql.tables.payments import refunds
from adapters.mysql.tables.stock import warehouses
from domain.orders import OrderStatus

TEMPORARY = """CREATE TEMPORARY TABLE bounded (
    name VARCHAR(5) CHARACTER SET utf8mb4 NOT NULL DEFAULT '', code VARCHAR(64) CHARACTER SET ascii,
    units SMALLINT CHECK (units >= 0), at DATETIME(6), required INT NOT NULL
)"""


class Limited(BaseModel):
    text: str = Field(max_length=3, default="")
    status: OrderStatus = OrderStatus.PENDING


@pytest.mark.parametrize(
    ("statement", "cause"),
    [
        ("INSERT INTO bounded (name, required) VALUES ('longer', 1)", Cause.DATA),
        ("INSERT INTO bounded (code, required) VALUES ('ü', 1)", Cause.DATA),
        ("INSERT INTO bounded (units, required) VALUES (40000, 1)", Cause.DATA),
        ("INSERT INTO bounded (units, required) VALUES (-1, 1)", Cause.DATA),
        ("INSERT INTO bounded (at, required) VALUES ('2026-02-31', 1)", Cause.DATA),
        ("INSERT INTO bounded (name) VALUES ('a')", Cause.MISTAKE),
        ("INSERT INTO bounded (name, required) VALUES ('a', NULL)", Cause.MISTAKE),
        ("INSERT INTO bounded (surname, required) VALUES ('a', 1)", Cause.MISTAKE),
        ("SELECT * FROM a_table_of_the_next_release", Cause.MISTAKE),
        ("SELEKT 1", Cause.MISTAKE),
    ],
)
def test_of_mysql(connections: Connections, statement: str, cause: Cause) -> None:
    with connections.engine.connect() as connection:
        connection.exec_driver_sql(TEMPORARY)
        with pytest.raises(sa.exc.DBAPIError) as failure:
            connection.exec_driver_sql(statement)
        connection.invalidate()
    assert cause_of(failure.value) is cause


def test_a_mysql_that_cannot_be_reached_is_away(connections: Connections) -> None:
    with pytest.raises(sa.exc.OperationalError) as failure:
        sa.create_engine(connections.engine.url.set(port=1)).connect()
    assert cause_of(failure.value) is Cause.OUTAGE


@pytest.mark.parametrize(
    ("fail", "cause"),
    [
        (lambda: Limited(text="long"), Cause.DATA),
        (lambda: Limited.model_validate({"status": "of_the_next_release"}), Cause.MISTAKE),
        (lambda: Limited.model_validate({"text": 1}), Cause.MISTAKE),
        ("\ud800".encode, Cause.DATA),
        (lambda: os.environ["A KEY OF THE NEXT RELEASE"], Cause.MISTAKE),
    ],
)
def test_of_code(fail: Callable[[], object], cause: Cause) -> None:
    with pytest.raises(Exception) as failure:  # noqa: PT011 - of any kind
        fail()
    assert cause_of(failure.value) is cause


@pytest.mark.parametrize("error", [pymongo.errors.AutoReconnect(), redis.ConnectionError(), sa.exc.TimeoutError()])
def test_other_stores_may_be_away(error: Exception) -> None:
    assert cause_of(error) is Cause.OUTAGE


@pytest.mark.parametrize("column", [orders.c.failure_code, refunds.c.failure_code, products.c.name, warehouses.c.code])
def test_what_others_write_is_cut_to_its_column(column: sa.Column[str]) -> None:
    assert isinstance(column.type, sa.String)
    assert column.type.length is not None
    text = fitted(column, "ü" * 300)
    assert len(text) == column.type.length
    assert text.isascii() is (getattr(column.type, "charset", None) == "ascii")
    assert fitted(column, "do_not_honor") == "do_not_honor"

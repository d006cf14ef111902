"""What every table shares: one metadata, one naming of constraints, one set of column types.

The SQL stays valid on MySQL 8 and MariaDB 10.11. Times are UTC, money is minor units. Ids of ours are UUIDv7
strings; keys compared byte by byte (SKUs, ids) use an ASCII binary collation, so that no two keys that look alike
are one. What `utf8mb4` compares by when it stands alone differs between servers, so the collation stands beside it.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from adapters.collation import COLLATION

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)


def key(length: int) -> sa.types.TypeEngine[str]:
    """A string that is compared byte by byte."""
    return mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")


def exact_text(length: int) -> sa.types.TypeEngine[str]:
    """Text of any script that is compared byte by byte."""
    return mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")


def table(name: str, *args: sa.schema.SchemaItem) -> sa.Table:
    """A table of ours."""
    return sa.Table(name, metadata, *args, mysql_engine="InnoDB", mysql_charset="utf8mb4", mysql_collate=COLLATION)


Uuid = key(36)
Sku = key(64)
Code = key(64)
Digest = key(64)  # SHA-256 in hexadecimal: secrets are kept only so
Amount = sa.BigInteger
Moment = mysql.DATETIME(fsp=6)
Json = sa.JSON

OUTBOX_PARTITIONS = 8  # how many relays can publish an outbox side by side; an aggregate always falls into the same one

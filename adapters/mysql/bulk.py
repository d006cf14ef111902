"""Many rows in one statement."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

_PARAMETER = re.compile(r"%\((\w+)\)s")


def insert_rows(connection: sa.Connection, statement: sa.Insert, rows: Sequence[Mapping[str, Any]]) -> None:
    """Run the INSERT for all rows, which name the same columns; nothing when there are none.

    The values go to the driver as they are, JSON as text: SQLAlchemy would look at every single one, and for an import
    of products that is a third of the time. The driver sends the rows as one statement.
    """
    if not rows:
        return
    table = statement.table
    documents = {column.name for column in table.columns if isinstance(column.type, sa.JSON)}
    text = str(statement.compile(dialect=connection.dialect, column_keys=list(rows[0])))
    names = _PARAMETER.findall(text)
    plain = [name not in documents for name in names]
    places = list(zip(names, plain, strict=True))
    values = [tuple(row[name] if is_plain else json.dumps(row[name]) for name, is_plain in places) for row in rows]
    connection.exec_driver_sql(_PARAMETER.sub("%s", text), values)

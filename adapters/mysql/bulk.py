"""Many rows in one statement."""

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

_ROW = re.compile(r"\((?:%\(\w+\)s(?:, )?)+\)")
_PARAMETER = re.compile(r"%\((\w+)\)s")
_MOST_CHARACTERS = 1_000_000  # of a statement: well below what a server takes, whatever the characters are


def insert_rows(connection: sa.Connection, statement: sa.Insert, rows: Sequence[Mapping[str, Any]]) -> None:
    """Run the INSERT for all rows, which name the same columns; nothing when there are none.

    Values become SQL by the driver's own rules and JSON becomes text, but each distinct value only once: SQLAlchemy and
    the driver would process every single one, which is a third of the time of a product import.
    """
    if not rows:
        return
    text = str(statement.compile(dialect=connection.dialect, column_keys=list(rows[0])))
    place = _ROW.search(text)
    driver = connection.connection.driver_connection
    assert place is not None
    assert driver is not None
    documents = {column.name for column in statement.table.columns if isinstance(column.type, sa.JSON)}
    columns = [(name, name in documents) for name in _PARAMETER.findall(place.group())]
    literal = functools.cache(functools.partial(driver.escape, mapping=driver.encoders))
    written = (
        f"({','.join([literal(json.dumps(row[name]) if is_json else row[name]) for name, is_json in columns])})"
        for row in rows
    )
    for values in _portions(written):
        whole = f"{text[: place.start()]}{values}{text[place.end() :]}"
        connection.exec_driver_sql(whole, execution_options={"no_parameters": True})


def _portions(written: Iterator[str]) -> Iterator[str]:
    portion: list[str] = []
    size = 0
    for row in written:
        if portion and size + len(row) > _MOST_CHARACTERS:
            yield ",".join(portion)
            portion, size = [], 0
        portion.append(row)
        size += len(row) + 1
    yield ",".join(portion)

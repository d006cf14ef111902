"""What others write may be longer than our columns: it is cut, and never the reason why an order cannot go on."""

from typing import Any

import sqlalchemy as sa


def fitted(column: sa.Column[Any], value: str) -> str:
    """So much of a text as its column holds; characters it has none for become question marks."""
    kind = column.type
    assert isinstance(kind, sa.String)
    assert kind.length is not None
    if getattr(kind, "charset", None) == "ascii":
        value = value.encode("ascii", "replace").decode()
    return value[: kind.length]

"""Which unique key a statement has violated, so that no violation is taken for another."""

import re

import sqlalchemy as sa

PRIMARY = "PRIMARY"
_DUPLICATE_ENTRY = 1062
# The last quoted word, because the value before it may hold quotes: MariaDB names the key alone ('uq_orders_id'),
# MySQL from 8.0.19 on its table as well ('orders.uq_orders_id').
_KEY = re.compile(r"'(?:[^'.]+\.)?([^'.]+)'\W*$")


def violated_key(error: sa.exc.IntegrityError) -> str | None:
    """The name of the unique key that has such a row already; None for a violation of anything else.

    Every table's primary key is `PRIMARY`: only a transaction with a single insert knows which one.
    """
    arguments = error.orig.args if error.orig is not None else ()
    if len(arguments) < 2 or arguments[0] != _DUPLICATE_ENTRY:
        return None
    named = _KEY.search(str(arguments[1]))
    return named[1] if named else None

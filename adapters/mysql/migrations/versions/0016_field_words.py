"""The field's words: a table, the kinds of store credit, event types and what needs an operator are called by them.

Data of events that no code reads again (`renewal`, the amounts of flagged webhooks) stay as they were written.

Revision ID: 0016
Revises: 0015
"""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_ID = mysql.VARCHAR(255, charset="ascii", collation="ascii_bin")
_MOMENT = mysql.DATETIME(fsp=6)
# Table and column, then each stored value and what it is called from here on.
_VALUES = {
    ("credit_entries", "kind"): {"hold": "authorize", "release": "void"},
    ("order_events", "type"): {
        "order.backorder_filled": "order.backorder_allocated",
        "payment.authorized_late": "payment.orphan_authorized",
        "payment.captured_late": "payment.orphan_captured",
        "payment.returned_late": "payment.orphan_returned",
        "payment.credit_held": "payment.credit_authorized",
        "payment.credit_released": "payment.credit_voided",
    },
    ("payment_differences", "kind"): {"orphaned_hold": "orphaned_authorization", "orphaned_charge": "orphaned_capture"},
    ("payment_differences", "repair"): {
        "void_hold": "void_authorization",
        "refund_charge": "refund_capture",
        "capture_hold": "capture_authorization",
        "look_by_hand": "manual_review",
    },
}
# A difference that is still seen is found by its kind, which its key begins with.
_LIVE_KEYS = _VALUES["payment_differences", "kind"]
# Table, column, type, nullable, comment before and after.
_COMMENTS: list[tuple[str, str, sa.types.TypeEngine[Any], bool, str, str]] = [
    (
        "order_events",
        "step",
        sa.String(100),
        False,
        "what makes a repeat of the same deed recognisable",
        "identifies a repeat of the same step",
    ),
    (
        "disputes",
        "released_at",
        _MOMENT,
        True,
        "when an operator let the parcels go although it is open",
        "when an operator released the parcels although it is open",
    ),
    (
        "flagged_webhooks",
        "differences",
        sa.JSON(),
        False,
        "what it told and what our books say, by field",
        "what it says and what our ledger says, by field",
    ),
    (
        "refund_parts",
        "provider_id",
        sa.String(100),
        True,
        "the payment it is given back of; NULL: as store credit",
        "the payment that is refunded; NULL: refunded as store credit",
    ),
    (
        "refund_parts",
        "failed_at",
        _MOMENT,
        True,
        "when its money was found to have come back after it had succeeded",
        "when it was found to have failed after it had succeeded",
    ),
    (
        "voucher_redemptions",
        "taken",
        sa.Boolean(),
        False,
        "false once it was given back",
        "false once the use was released",
    ),
    (
        "payment_differences",
        "live_key",
        _ID,
        True,
        "kind, effect and subject while it is seen, NULL once it is gone: seen by two runs, one row",
        "kind, effect and subject while it lasts, NULL afterwards: seen by two runs, one row",
    ),
]


def upgrade() -> None:
    """Rename the table, the values in rows, and what comments say."""
    op.rename_table("shelf_news", "taxonomy_changes")
    for (table, column), words in _VALUES.items():
        _replace(table, column, words.items())
    for old, new in _LIVE_KEYS.items():
        _replace_live_keys(old, new)
    _move_member("owed", "needs_operator")
    for table, column, kind, nullable, before, after in _COMMENTS:
        _comment(table, column, kind, nullable, before, after)


def downgrade() -> None:
    """Everything is called as it was."""
    for table, column, kind, nullable, before, after in _COMMENTS:
        _comment(table, column, kind, nullable, after, before)
    _move_member("needs_operator", "owed")
    for old, new in _LIVE_KEYS.items():
        _replace_live_keys(new, old)
    for (table, column), words in _VALUES.items():
        _replace(table, column, ((new, old) for old, new in words.items()))
    op.rename_table("taxonomy_changes", "shelf_news")


def _replace(table: str, column: str, words: Iterable[tuple[str, str]]) -> None:
    rows = sa.table(table, sa.column(column))
    for old, new in words:
        op.execute(sa.update(rows).where(rows.c[column] == old).values({column: new}))


def _replace_live_keys(old: str, new: str) -> None:
    rows = sa.table("payment_differences", sa.column("live_key", sa.String))
    renamed = sa.func.concat(new, sa.func.substr(rows.c.live_key, len(old) + 1))
    op.execute(sa.update(rows).where(rows.c.live_key.like(f"{old}:%")).values(live_key=renamed))


def _move_member(old: str, new: str) -> None:
    """What an operator has to look at, in the data of the events that say so."""
    rows = sa.table("order_events", sa.column("type"), sa.column("data"))
    value = sa.func.json_extract(rows.c.data, f"$.{old}")
    moved = sa.func.json_remove(sa.func.json_set(rows.c.data, f"$.{new}", value), f"$.{old}")
    blocked = sa.and_(rows.c.type == "order.compensation_blocked", value.is_not(None))
    op.execute(sa.update(rows).where(blocked).values(data=moved))


def _comment(table: str, column: str, kind: sa.types.TypeEngine[Any], nullable: bool, before: str, after: str) -> None:
    op.alter_column(
        table, column, existing_type=kind, existing_nullable=nullable, existing_comment=before, comment=after
    )

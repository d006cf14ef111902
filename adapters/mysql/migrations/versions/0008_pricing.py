"""Pricing: vouchers with their uses, what an order was given off, and what it waits for from its customer.

Revision ID: 0008
Revises: 0007
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def _key(length: int) -> mysql.VARCHAR:
    return mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")


UUID, CODE = _key(36), _key(64)
MOMENT = mysql.DATETIME(fsp=6)
INNODB: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}
_TOTAL = "total = subtotal - discount + shipping + CASE WHEN tax_included THEN 0 ELSE tax END"


def upgrade() -> None:
    """Make them; orders so far were given nothing off and their tax was on top."""
    _vouchers()
    op.drop_constraint(op.f("ck_orders_total"), "orders", type_="check")
    op.add_column("orders", sa.Column("discount", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("orders", sa.Column("tax_included", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("orders", sa.Column("voucher_code", CODE, nullable=True))
    comment = "what the customer is to do, and until when; NULL when nothing"
    op.add_column("orders", sa.Column("awaiting", sa.JSON(), nullable=True, comment=comment))
    op.create_check_constraint(op.f("ck_orders_total"), "orders", _TOTAL)
    op.add_column("order_lines", sa.Column("discount", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    """Back; what orders were given off moves into their subtotal, so that totals stay what was paid."""
    op.drop_constraint(op.f("ck_orders_total"), "orders", type_="check")
    op.execute("UPDATE orders SET subtotal = total - shipping - tax")
    for column in ("awaiting", "voucher_code", "tax_included", "discount"):
        op.drop_column("orders", column)
    op.create_check_constraint(op.f("ck_orders_total"), "orders", "total = subtotal + shipping + tax")
    op.drop_column("order_lines", "discount")
    op.drop_table("voucher_redemptions")
    op.drop_table("vouchers")


def _vouchers() -> None:
    op.create_table(
        "vouchers",
        sa.Column("code", CODE, nullable=False),
        sa.Column("kind", CODE, nullable=False),
        sa.Column("basis_points", sa.Integer(), server_default="0", nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("minimum", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.CHAR(3), nullable=True, comment="of amount and minimum"),
        sa.Column("valid_from", MOMENT, nullable=True),
        sa.Column("valid_to", MOMENT, nullable=True),
        sa.Column("max_uses", sa.Integer(), nullable=True),
        sa.Column("max_uses_per_customer", sa.Integer(), nullable=True),
        sa.Column("uses", sa.Integer(), server_default="0", nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("code"),
        sa.CheckConstraint("uses >= 0", name=op.f("ck_vouchers_uses")),
        sa.CheckConstraint("max_uses IS NULL OR uses <= max_uses", name=op.f("ck_vouchers_max_uses")),
        **INNODB,
    )
    op.create_table(
        "voucher_redemptions",
        sa.Column("order_id", UUID, nullable=False),
        sa.Column("code", CODE, nullable=False),
        sa.Column("customer_id", UUID, nullable=False),
        sa.Column("taken", sa.Boolean(), nullable=False, comment="false once it was given back"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("order_id"),
        sa.ForeignKeyConstraint(["code"], ["vouchers.code"], name=op.f("fk_voucher_redemptions_code")),
        **INNODB,
    )
    op.create_index(
        op.f("ix_voucher_redemptions_code_customer_id_taken"), "voucher_redemptions", ["code", "customer_id", "taken"]
    )

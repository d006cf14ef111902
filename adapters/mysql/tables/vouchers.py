"""The tables of vouchers, which the Order service owns: a use is taken with the order, or not at all."""

import sqlalchemy as sa

from adapters.mysql.tables.schema import Amount, Code, Moment, Uuid, table

vouchers = table(
    "vouchers",
    sa.Column("code", Code, primary_key=True),
    sa.Column("kind", Code, nullable=False),
    sa.Column("basis_points", sa.Integer, nullable=False, server_default="0"),
    sa.Column("amount", Amount),
    sa.Column("minimum", Amount),
    sa.Column("currency", sa.CHAR(3), comment="of amount and minimum"),
    sa.Column("valid_from", Moment),
    sa.Column("valid_to", Moment),
    sa.Column("max_uses", sa.Integer),
    sa.Column("max_uses_per_customer", sa.Integer),
    sa.Column("uses", sa.Integer, nullable=False, server_default="0"),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.CheckConstraint("uses >= 0", name="uses"),
    sa.CheckConstraint("max_uses IS NULL OR uses <= max_uses", name="max_uses"),
)

voucher_redemptions = table(
    "voucher_redemptions",
    sa.Column("order_id", Uuid, primary_key=True),
    sa.Column("code", Code, sa.ForeignKey("vouchers.code"), nullable=False),
    sa.Column("customer_id", Uuid, nullable=False),
    sa.Column("taken", sa.Boolean, nullable=False, comment="false once it was given back"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Index(None, "code", "customer_id", "taken"),
)

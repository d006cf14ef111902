"""The tables of the Order service: orders, their events and parcels, and vouchers. Stock has a file of its own."""

import sqlalchemy as sa

from adapters.mysql.tables.schema import Amount, Code, Digest, Json, Moment, Sku, Uuid, key, table

# --- Orders, their events (= history = live stream = outbox), parcels

orders = table(
    "orders",
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("id", Uuid, nullable=False, unique=True),
    sa.Column("customer_id", Uuid, nullable=False),
    sa.Column("email", sa.String(254), nullable=False),
    sa.Column("status", Code, nullable=False),
    sa.Column("payment_status", Code, nullable=False),
    sa.Column("fulfilment_status", Code, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("subtotal", Amount, nullable=False),
    sa.Column("discount", Amount, nullable=False, server_default="0"),
    sa.Column("shipping", Amount, nullable=False),
    sa.Column("tax", Amount, nullable=False),
    sa.Column("tax_included", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("total", Amount, nullable=False),
    sa.Column("voucher_code", Code),
    sa.Column("cart_id", Uuid, nullable=False),
    sa.Column("cart_version", sa.Integer, nullable=False),
    sa.Column(
        "cart_claim",
        key(64),
        unique=True,
        comment="cart id and version while the order stands, NULL once it failed: one cart version, one order",
    ),
    sa.Column("shipping_address", Json, nullable=False),
    sa.Column("shipping_method", Code, nullable=False),
    sa.Column("failure_code", Code),
    sa.Column("awaiting", Json, comment="what the customer is to do, and until when; NULL when nothing"),
    sa.Column("last_seq", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Index(None, "customer_id", "number"),
    sa.Index(None, "status", "updated_at"),
    sa.Index(None, "payment_status", "updated_at"),
    sa.Index(None, "updated_at"),
    sa.CheckConstraint(
        "total = subtotal - discount + shipping + CASE WHEN tax_included THEN 0 ELSE tax END", name="total"
    ),
)

order_lines = table(
    "order_lines",
    sa.Column("order_id", Uuid, sa.ForeignKey("orders.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("sku", Sku, nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("unit_price", Amount, nullable=False),
    sa.Column("weight_grams", sa.Integer, nullable=False),
    sa.Column("subtotal", Amount, nullable=False),
    sa.Column("discount", Amount, nullable=False, server_default="0"),
    sa.Column("tax", Amount, nullable=False),
    sa.Index(None, "sku"),
)

parcels = table(
    "parcels",
    sa.Column("order_id", Uuid, sa.ForeignKey("orders.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("warehouse", Code, nullable=False),
    sa.Column("status", Code, nullable=False),
    sa.Column("amount", Amount, nullable=False),
    sa.Column("weight_grams", sa.Integer, nullable=False),
    sa.Column("lines", Json, nullable=False),
    sa.Column("shipment_id", sa.String(100), unique=True),
    sa.Column("tracking_number", sa.String(100)),
    sa.Column("tracking_url", sa.String(500)),
    sa.Column("label_url", sa.String(500)),
    sa.Column("carrier_service", sa.String(64), comment="what the present booking was made by, and by which rate"),
    sa.Column("rate_id", sa.String(100)),
    sa.Column("shipping_cost", Amount, comment="what the carrier charges us for the present booking"),
    sa.Column("shipping_cost_currency", sa.CHAR(3)),
    sa.Column(
        "ship_by",
        Moment,
        comment="until when it is to be dispatched; NULL while it waits for goods, or its order is not confirmed",
    ),
    sa.Column("late_at", Moment, comment="when it was recorded that this has passed"),
    sa.Column("backordered_until", Moment, comment="until when it waits for its goods; NULL once they are allocated"),
    sa.Column(
        "pick_required",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="as its warehouse asked for it when the order was placed",
    ),
    sa.Column("picked", Json, comment="what was picked, and what was missing; NULL until then"),
    sa.Column("replaces", sa.Integer, comment="the parcel in whose place it is shipped; NULL: planned with its order"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Index(None, "status", "ship_by"),
    sa.Index(None, "pick_required", "status"),
    sa.UniqueConstraint("order_id", "replaces"),
)

parcel_resolutions = table(
    "parcel_resolutions",
    sa.Column("order_id", Uuid, sa.ForeignKey("orders.id"), primary_key=True),
    sa.Column("parcel", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("action", Code, nullable=False, comment="what is done about a parcel that was lost or returned"),
    sa.Column("reason", sa.String(500), nullable=False),
    sa.Column("actor", sa.String(100), nullable=False),
    sa.Column("restock", sa.Boolean, nullable=False),
    sa.Column("refund_id", Uuid, comment="NULL while it is under way, and when nothing was left to refund"),
    sa.Column("amount", Amount),
    sa.Column("currency", sa.CHAR(3)),
    sa.Column("requested_at", Moment, nullable=False),
    sa.Column("resolved_at", Moment, comment="NULL while it is under way"),
)


def _of_an_event() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("event_id", Uuid, nullable=False, unique=True),
        sa.Column("order_id", Uuid, sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("step", sa.String(100), nullable=False, comment="identifies a repeat of the same step"),
        sa.Column("type", Code, nullable=False),
        sa.Column("status", Code, nullable=False),
        sa.Column("payment_status", Code, nullable=False),
        sa.Column("fulfilment_status", Code, nullable=False),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("occurred_at", Moment, nullable=False),
        sa.Column("partition_no", sa.SmallInteger, nullable=False),
        sa.Column("published_at", Moment),
        sa.UniqueConstraint("order_id", "seq"),
        sa.UniqueConstraint("order_id", "step"),
    ]


order_events = table(
    "order_events",
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
    *_of_an_event(),
    sa.Index("ix_order_events_outbox", "partition_no", "published_at", "id"),
)

# Events of orders that ended long ago keep their id, and are in no outbox: they were published.
order_events_archive = table(
    "order_events_archive",
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    *_of_an_event(),
)

# --- What needs an operator, of every workflow about an order

operator_tasks = table(
    "operator_tasks",
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("workflow_id", key(255), nullable=False),
    sa.Column("task_key", Digest, nullable=False, comment="digest of code, about and number, within the workflow"),
    sa.Column("order_id", Uuid, comment="NULL when it is about no order of ours"),
    sa.Column("parcel", sa.Integer, comment="the number of the order's parcel that it is about"),
    sa.Column("code", Code, nullable=False),
    sa.Column("about", sa.String(200), nullable=False),
    sa.Column("text", sa.String(1000), nullable=False),
    sa.Column("since", Moment, nullable=False),
    sa.Column("due_at", Moment, comment="when a rule decides instead, or it is too late"),
    sa.Column("route", sa.String(255), comment="what acts on it"),
    sa.Column("outlasts", sa.Boolean, nullable=False, comment="waits until somebody resolves it"),
    sa.Column("revision", sa.BigInteger, nullable=False, comment="an older write never replaces a newer one"),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Column("resolved_at", Moment, comment="NULL while it needs an operator"),
    sa.Column("resolved_by", sa.String(100), comment="NULL when its workflow did"),
    sa.Column("resolution", sa.String(500)),
    sa.Column("reminded_at", Moment, comment="when staff were reminded of it"),
    sa.Column("escalated_at", Moment, comment="when it was escalated"),
    sa.Column("decided_at", Moment, comment="when a rule decided about it"),
    sa.UniqueConstraint("workflow_id", "task_key"),
    sa.Index(None, "resolved_at", "since", "id"),
    sa.Index(None, "order_id", "resolved_at"),
)

# --- Vouchers: a use is taken with the order, or not at all

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
    sa.Column("taken", sa.Boolean, nullable=False, comment="false once the use was released"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Index(None, "code", "customer_id", "taken"),
)

"""Every table, grouped by the service that owns (alone writes) it. Times are UTC, money is minor units.

The SQL stays valid on MySQL 8 and MariaDB 10.11. Ids of ours are UUIDv7 strings; keys compared byte by byte
(SKUs, ids) use an ASCII binary collation, so that no two keys that look alike are one.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

OUTBOX_PARTITIONS = 8  # how many relays can publish side by side; an order always falls into the same one


def _key(length: int) -> sa.types.TypeEngine[str]:
    return mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")


Uuid = _key(36)
Sku = _key(64)
Code = _key(64)
Amount = sa.BigInteger
Moment = mysql.DATETIME(fsp=6)
Json = sa.JSON


def _table(name: str, *args: sa.schema.SchemaItem) -> sa.Table:
    return sa.Table(name, metadata, *args, mysql_engine="InnoDB", mysql_charset="utf8mb4")


# --- User service

users = _table(
    "users",
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("email", sa.String(254), nullable=False, unique=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("password_hash", sa.String(255), nullable=False),
    sa.Column("token_version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("created_at", Moment, nullable=False),
)

user_roles = _table(
    "user_roles",
    sa.Column("user_id", Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("role", Code, primary_key=True),
)

oauth_clients = _table(
    "oauth_clients",
    sa.Column("client_id", Code, primary_key=True),
    sa.Column("client_secret_hash", sa.String(255)),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("grant_types", Json, nullable=False),
    sa.Column("redirect_uris", Json, nullable=False),
    sa.Column("scope", sa.String(500), nullable=False),
    sa.Column("first_party", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("created_at", Moment, nullable=False),
)

# --- Product-Catalog service

products = _table(
    "products",
    sa.Column("sku", Sku, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("brand", sa.String(100), nullable=False),
    sa.Column("category", sa.String(100), nullable=False),
    sa.Column("price", Amount, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("weight_grams", sa.Integer, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("popularity", sa.Integer, nullable=False, server_default="0"),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.CheckConstraint("price >= 0", name="price"),
)

# --- Order service: stock and reservations

warehouses = _table(
    "warehouses",
    sa.Column("code", Code, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("country", sa.CHAR(2), nullable=False),
    sa.Column("preference", sa.Integer, nullable=False),
)

stock = _table(
    "stock",
    sa.Column("sku", Sku, sa.ForeignKey("products.sku"), primary_key=True),
    sa.Column("warehouse", Code, sa.ForeignKey("warehouses.code"), primary_key=True),
    sa.Column("on_hand", sa.Integer, nullable=False, server_default="0"),
    sa.Column("reserved", sa.Integer, nullable=False, server_default="0"),
    sa.CheckConstraint("reserved >= 0", name="reserved"),
    sa.CheckConstraint("on_hand >= reserved", name="available"),
)

stock_movements = _table(
    "stock_movements",
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("sku", Sku, nullable=False),
    sa.Column("warehouse", Code, nullable=False),
    sa.Column("kind", Code, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("order_id", Uuid),
    sa.Column("reason", sa.String(500)),
    sa.Column("actor", sa.String(100), nullable=False),
    sa.Column("occurred_at", Moment, nullable=False),
    sa.Index(None, "sku", "warehouse", "id"),
    sa.Index(None, "order_id"),
)

reservations = _table(
    "reservations",
    sa.Column("order_id", Uuid, primary_key=True),
    sa.Column("sku", Sku, primary_key=True),
    sa.Column("warehouse", Code, primary_key=True),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("state", Code, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

# --- Order service: orders, their events (= history = live stream = outbox), parcels

orders = _table(
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
    sa.Column("shipping", Amount, nullable=False),
    sa.Column("tax", Amount, nullable=False),
    sa.Column("total", Amount, nullable=False),
    sa.Column("cart_id", Uuid, nullable=False),
    sa.Column("cart_version", sa.Integer, nullable=False),
    sa.Column(
        "cart_claim",
        _key(64),
        unique=True,
        comment="cart id and version while the order stands, NULL once it failed: one cart version, one order",
    ),
    sa.Column("shipping_address", Json, nullable=False),
    sa.Column("shipping_method", Code, nullable=False),
    sa.Column("failure_code", Code),
    sa.Column("last_seq", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Index(None, "customer_id", "number"),
    sa.Index(None, "status", "updated_at"),
    sa.CheckConstraint("total = subtotal + shipping + tax", name="total"),
)

order_lines = _table(
    "order_lines",
    sa.Column("order_id", Uuid, sa.ForeignKey("orders.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("sku", Sku, nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("unit_price", Amount, nullable=False),
    sa.Column("weight_grams", sa.Integer, nullable=False),
    sa.Column("subtotal", Amount, nullable=False),
    sa.Column("tax", Amount, nullable=False),
    sa.Index(None, "sku"),
)

parcels = _table(
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
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

order_events = _table(
    "order_events",
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("event_id", Uuid, nullable=False, unique=True),
    sa.Column("order_id", Uuid, sa.ForeignKey("orders.id"), nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("step", sa.String(100), nullable=False, comment="what makes a repeat of the same deed recognisable"),
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
    sa.Index("ix_order_events_outbox", "partition_no", "published_at", "id"),
)

outbox_partitions = _table(
    "outbox_partitions",
    sa.Column("partition_no", sa.SmallInteger, primary_key=True, autoincrement=False),
)

idempotency_keys = _table(
    "idempotency_keys",
    sa.Column("principal", _key(100), primary_key=True),
    sa.Column("route", _key(100), primary_key=True),
    sa.Column("idempotency_key", _key(255), primary_key=True),
    sa.Column("fingerprint", sa.CHAR(64), nullable=False),
    sa.Column("resource_id", Uuid, nullable=False, index=True),
    sa.Column("locked_until", Moment),
    sa.Column("status_code", sa.SmallInteger),
    sa.Column("response", Json),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
)

webhook_receipts = _table(
    "webhook_receipts",
    sa.Column("source", Code, primary_key=True),
    sa.Column("event_id", _key(255), primary_key=True),
    sa.Column("type", _key(100), nullable=False),
    sa.Column("outcome", _key(40), nullable=False),
    sa.Column("received_at", Moment, nullable=False),
)

# --- Payment service

payment_entries = _table(
    "payment_entries",
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("order_id", Uuid, sa.ForeignKey("orders.id"), nullable=False),
    sa.Column("kind", Code, nullable=False),
    sa.Column("amount", Amount, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("provider_id", sa.String(100), nullable=False),
    sa.Column("idempotency_key", _key(255), nullable=False, unique=True),
    sa.Column("occurred_at", Moment, nullable=False),
    sa.CheckConstraint("amount >= 0", name="amount"),
    sa.Index(None, "order_id"),
    sa.Index(None, "provider_id"),
)

# --- Notification service

notifications = _table(
    "notifications",
    sa.Column("event_id", Uuid, primary_key=True),
    sa.Column("channel", Code, primary_key=True),
    sa.Column("order_id", Uuid, nullable=False, index=True),
    sa.Column("recipient", sa.String(254), nullable=False),
    sa.Column("message_id", sa.String(255), nullable=False),
    sa.Column("sent_at", Moment, nullable=False),
)

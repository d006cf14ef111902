"""The tables of the Product-Catalog service: what is for sale, at what price, and what changed."""

import sqlalchemy as sa

from adapters.mysql.tables.schema import Amount, Code, Digest, Json, Moment, Sku, Uuid, key, table

brands = table(
    "brands",
    sa.Column("code", Code, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

categories = table(
    "categories",
    sa.Column("code", Code, primary_key=True),
    sa.Column("parent", Code, sa.ForeignKey("categories.code")),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("position", sa.Integer, nullable=False, server_default="0"),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

products = table(
    "products",
    sa.Column("code", Sku, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("brand", Code, sa.ForeignKey("brands.code"), nullable=False),
    sa.Column("category", Code, sa.ForeignKey("categories.code"), nullable=False),
    sa.Column("attributes", Json, nullable=False),
    sa.Column("options", Json, nullable=False, comment="the names of the options its variants differ in, in order"),
    sa.Column("tax_class", Code, nullable=False),
    sa.Column("status", Code, nullable=False),
    sa.Column("popularity", sa.Integer, nullable=False, server_default="0"),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

variants = table(
    "variants",
    sa.Column("sku", Sku, primary_key=True),
    sa.Column("product", Sku, sa.ForeignKey("products.code"), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("options", Json, nullable=False),
    sa.Column("weight_grams", sa.Integer, nullable=False),
    sa.Column("length_mm", sa.Integer),
    sa.Column("width_mm", sa.Integer),
    sa.Column("height_mm", sa.Integer),
    sa.Column("barcode", sa.String(32)),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("import_id", Uuid, comment="the import that wrote it last: a second row for it in one file is an error"),
    sa.Column("import_line", sa.Integer),
    sa.Index(None, "product", "position"),
    sa.CheckConstraint("weight_grams >= 0", name="weight"),
)

prices = table(
    "prices",
    sa.Column("sku", Sku, sa.ForeignKey("variants.sku"), primary_key=True),
    sa.Column("currency", sa.CHAR(3), primary_key=True),
    sa.Column("valid_from", Moment, primary_key=True),
    sa.Column("min_quantity", sa.Integer, primary_key=True, autoincrement=False, server_default="1"),
    sa.Column("valid_to", Moment),
    sa.Column("amount", Amount, nullable=False),
    sa.Index(None, "valid_from"),
    sa.Index(None, "valid_to"),
    sa.CheckConstraint("amount >= 0", name="amount"),
)

product_images = table(
    "product_images",
    sa.Column("product", Sku, sa.ForeignKey("products.code"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("url", sa.String(1000), nullable=False),
    sa.Column("alt", sa.String(200), nullable=False),
    sa.Column("sku", Sku),
)

product_imports = table(
    "product_imports",
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("principal", key(100), nullable=False),
    sa.Column("idempotency_key", key(255), nullable=False),
    sa.Column("format", Code, nullable=False),
    sa.Column("state", Code, nullable=False),
    sa.Column("rows_read", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created", sa.Integer, nullable=False, server_default="0"),
    sa.Column("updated", sa.Integer, nullable=False, server_default="0"),
    sa.Column("unchanged", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("bytes_done", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("bytes_total", sa.BigInteger, comment="as the sender announced it"),
    sa.Column("prefix_digest", Digest, comment="SHA-256 of the bytes done: only the same file may be resumed"),
    sa.Column("failure_code", Code),
    sa.Column("failure", sa.String(500)),
    sa.Column("locked_until", Moment),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.UniqueConstraint("principal", "idempotency_key"),
)

product_import_errors = table(
    "product_import_errors",
    sa.Column("import_id", Uuid, sa.ForeignKey("product_imports.id"), primary_key=True),
    sa.Column("line", sa.Integer, primary_key=True),
    sa.Column("number", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("field", sa.String(100), nullable=False),
    sa.Column("code", Code, nullable=False),
    sa.Column("message", sa.String(500), nullable=False),
)

# --- What changed: the outbox of the catalog and of what can be had of it

product_revisions = table(
    "product_revisions",
    sa.Column("product", Sku, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False, comment="one more with each event, in the order of commits"),
)

product_events = table(
    "product_events",
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("event_id", Uuid, nullable=False, unique=True),
    sa.Column("product", Sku, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("type", Code, nullable=False),
    sa.Column("data", Json, nullable=False),
    sa.Column("occurred_at", Moment, nullable=False),
    sa.Column("partition_no", sa.SmallInteger, nullable=False),
    sa.Column("published_at", Moment),
    sa.Index("ix_product_events_outbox", "partition_no", "published_at", "id"),
    sa.Index(None, "product", "id"),
)

product_sales = table(
    "product_sales",
    sa.Column("product", Sku, primary_key=True),
    sa.Column("units", sa.Integer, nullable=False, comment="sold lately, as counted last; added to its popularity"),
    sa.Column("counted_at", Moment, nullable=False),
)

# --- What is still to be announced, a batch at a time

price_watermark = table(
    "price_watermark",
    sa.Column("name", Code, primary_key=True),
    sa.Column("moment", Moment, nullable=False, comment="prices that began or ended before it are announced"),
    sa.Column("sku", Sku, nullable=False, server_default="", comment="of those at the moment: SKUs up to this one"),
)

taxonomy_changes = table(
    "taxonomy_changes",
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
    sa.Column("kind", Code, nullable=False, comment="brand or category"),
    sa.Column("code", Code, nullable=False),
    sa.Column("after_product", Sku, nullable=False, server_default="", comment="products up to it are announced"),
    sa.Column("data", Json, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

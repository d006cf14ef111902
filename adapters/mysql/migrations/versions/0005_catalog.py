"""Catalog: variants, prices, brands, categories, imports, and an outbox of what changed.

Each product known so far becomes a product of one variant with the same SKU.

Revision ID: 0005
Revises: 0004
"""

import re
import unicodedata
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _key(length: int) -> mysql.VARCHAR:
    return mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")


UUID, SKU, CODE = _key(36), _key(64), _key(64)
MOMENT = mysql.DATETIME(fsp=6)
INNODB: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}
_TIMES = ("created_at", "updated_at")
_OPTIONS = "the names of the options its variants differ in, in order"


def upgrade() -> None:
    """Make the catalog's tables and move what there is into them."""
    _shelves()
    _products()
    _variants()
    _imports()
    _catalog_outbox()
    _outboxes()


def downgrade() -> None:
    """Back to one table of products; what it cannot hold is lost: further variants, prices, images, import reports."""
    _outboxes_back()
    for table in ("product_events", "product_revisions", "product_import_errors", "product_imports", "product_images"):
        op.drop_table(table)
    op.drop_constraint(op.f("fk_stock_sku"), "stock", type_="foreignkey")
    _products_back()
    for table in ("prices", "variants", "brands", "categories"):
        op.drop_table(table)


def _shelves() -> None:
    op.create_table(
        "brands",
        sa.Column("code", CODE, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        *_version_and_times(),
        sa.PrimaryKeyConstraint("code"),
        **INNODB,
    )
    op.create_table(
        "categories",
        sa.Column("code", CODE, nullable=False),
        sa.Column("parent", CODE, nullable=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        *_version_and_times(),
        sa.PrimaryKeyConstraint("code"),
        sa.ForeignKeyConstraint(["parent"], ["categories.code"], name=op.f("fk_categories_parent")),
        **INNODB,
    )


def _products() -> None:
    op.drop_constraint(op.f("fk_stock_sku"), "stock", type_="foreignkey")
    op.drop_constraint(op.f("ck_products_price"), "products", type_="check")
    op.alter_column("products", "sku", new_column_name="code", existing_type=SKU, existing_nullable=False)
    op.add_column("products", sa.Column("attributes", sa.JSON(), nullable=True))
    op.add_column("products", sa.Column("options", sa.JSON(), nullable=True, comment=_OPTIONS))
    op.add_column("products", sa.Column("tax_class", CODE, server_default="standard", nullable=False))
    op.add_column("products", sa.Column("status", CODE, server_default="active", nullable=False))
    op.execute("UPDATE products SET attributes = '{}', options = '[]', status = IF(active, 'active', 'archived')")
    for shelf, column in (("brands", "brand"), ("categories", "category")):
        _name_to_code(shelf, column)
        op.alter_column("products", column, type_=CODE, existing_type=sa.String(100), existing_nullable=False)
        op.create_foreign_key(op.f(f"fk_products_{column}"), "products", shelf, [column], ["code"])
    op.alter_column("products", "attributes", existing_type=sa.JSON(), nullable=False)
    op.alter_column(
        "products", "options", existing_type=sa.JSON(), nullable=False, comment=_OPTIONS, existing_comment=_OPTIONS
    )
    for column in ("tax_class", "status"):
        op.alter_column("products", column, existing_type=CODE, existing_nullable=False, server_default=None)


def _name_to_code(shelf: str, column: str) -> None:
    """Put each name that products carry on its shelf, and in its place the code it got there."""
    bind = op.get_bind()
    taken: set[str] = set()
    for name in bind.scalars(sa.text(f"SELECT DISTINCT {column} FROM products ORDER BY 1")).all():  # noqa: S608
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        stem = code = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60] or "other"
        number = 1
        while code in taken:
            number += 1
            code = f"{stem}-{number}"
        taken.add(code)
        bind.execute(
            sa.text(f"INSERT INTO {shelf} (code, name, created_at, updated_at) VALUES (:code, :name, NOW(6), NOW(6))"),  # noqa: S608
            {"code": code, "name": name},
        )
        bind.execute(
            sa.text(f"UPDATE products SET {column} = :code WHERE BINARY {column} = BINARY :name"),  # noqa: S608
            {"code": code, "name": name},
        )


def _variants() -> None:
    op.create_table(
        "variants",
        sa.Column("sku", SKU, nullable=False),
        sa.Column("product", SKU, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("weight_grams", sa.Integer(), nullable=False),
        sa.Column("length_mm", sa.Integer(), nullable=True),
        sa.Column("width_mm", sa.Integer(), nullable=True),
        sa.Column("height_mm", sa.Integer(), nullable=True),
        sa.Column("barcode", sa.String(32), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column(
            "import_id",
            UUID,
            nullable=True,
            comment="the import that wrote it last: a second row for it in one file is an error",
        ),
        sa.Column("import_line", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("sku"),
        sa.CheckConstraint("weight_grams >= 0", name=op.f("ck_variants_weight")),
        sa.ForeignKeyConstraint(["product"], ["products.code"], name=op.f("fk_variants_product")),
        **INNODB,
    )
    op.create_index(op.f("ix_variants_product_position"), "variants", ["product", "position"])
    op.create_table(
        "prices",
        sa.Column("sku", SKU, nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("valid_from", MOMENT, nullable=False),
        sa.Column("min_quantity", sa.Integer(), server_default="1", nullable=False),
        sa.Column("valid_to", MOMENT, nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sku", "currency", "valid_from", "min_quantity"),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_prices_amount")),
        sa.ForeignKeyConstraint(["sku"], ["variants.sku"], name=op.f("fk_prices_sku")),
        **INNODB,
    )
    op.create_index(op.f("ix_prices_valid_from"), "prices", ["valid_from"])
    op.create_index(op.f("ix_prices_valid_to"), "prices", ["valid_to"])
    op.create_table(
        "product_images",
        sa.Column("product", SKU, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("url", sa.String(1000), nullable=False),
        sa.Column("alt", sa.String(200), nullable=False),
        sa.Column("sku", SKU, nullable=True),
        sa.PrimaryKeyConstraint("product", "position"),
        sa.ForeignKeyConstraint(["product"], ["products.code"], name=op.f("fk_product_images_product")),
        **INNODB,
    )
    op.execute(
        "INSERT INTO variants (sku, product, position, options, weight_grams, active) "
        "SELECT code, code, 1, '{}', weight_grams, active FROM products"
    )
    op.execute(
        "INSERT INTO prices (sku, currency, valid_from, amount) SELECT code, currency, created_at, price FROM products"
    )
    for column in ("price", "currency", "weight_grams", "active"):
        op.drop_column("products", column)
    op.create_foreign_key(op.f("fk_stock_sku"), "stock", "variants", ["sku"], ["sku"])


def _imports() -> None:
    op.create_table(
        "product_imports",
        sa.Column("id", UUID, nullable=False),
        sa.Column("principal", _key(100), nullable=False),
        sa.Column("idempotency_key", _key(255), nullable=False),
        sa.Column("format", CODE, nullable=False),
        sa.Column("state", CODE, nullable=False),
        *(_count(name) for name in ("rows_read", "created", "updated", "unchanged", "failed")),
        sa.Column("bytes_done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes_total", sa.BigInteger(), nullable=True, comment="as the sender announced it"),
        sa.Column(
            "prefix_digest",
            _key(64),
            nullable=True,
            comment="SHA-256 of the bytes done: only the same file may be resumed",
        ),
        sa.Column("failure_code", CODE, nullable=True),
        sa.Column("failure", sa.String(500), nullable=True),
        sa.Column("locked_until", MOMENT, nullable=True),
        *(sa.Column(name, MOMENT, nullable=False) for name in _TIMES),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("principal", "idempotency_key", name=op.f("uq_product_imports_principal_idempotency_key")),
        **INNODB,
    )
    op.create_table(
        "product_import_errors",
        sa.Column("import_id", UUID, nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("field", sa.String(100), nullable=False),
        sa.Column("code", CODE, nullable=False),
        sa.Column("message", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("import_id", "line", "number"),
        sa.ForeignKeyConstraint(["import_id"], ["product_imports.id"], name=op.f("fk_product_import_errors_import_id")),
        **INNODB,
    )


def _count(name: str) -> "sa.Column[Any]":
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def _catalog_outbox() -> None:
    op.create_table(
        "product_revisions",
        sa.Column("product", SKU, nullable=False),
        sa.Column(
            "revision", sa.BigInteger(), nullable=False, comment="one more with each event, in the order of commits"
        ),
        sa.PrimaryKeyConstraint("product"),
        **INNODB,
    )
    op.create_table(
        "product_events",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("event_id", UUID, nullable=False),
        sa.Column("product", SKU, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("type", CODE, nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("occurred_at", MOMENT, nullable=False),
        sa.Column("partition_no", sa.SmallInteger(), nullable=False),
        sa.Column("published_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("event_id", name=op.f("uq_product_events_event_id")),
        **INNODB,
    )
    op.create_index("ix_product_events_outbox", "product_events", ["partition_no", "published_at", "id"])
    op.create_index(op.f("ix_product_events_product_id"), "product_events", ["product", "id"])


def _outboxes() -> None:
    op.drop_table("outbox_partitions")
    op.create_table(
        "outbox_partitions",
        sa.Column("outbox", CODE, nullable=False),
        sa.Column("partition_no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("outbox", "partition_no"),
        **INNODB,
    )


def _version_and_times() -> "list[sa.Column[Any]]":
    times: list[sa.Column[Any]] = [sa.Column(name, MOMENT, nullable=False) for name in _TIMES]
    return [sa.Column("version", sa.Integer(), server_default="1", nullable=False), *times]


# --- the way back


def _outboxes_back() -> None:
    op.drop_table("outbox_partitions")
    op.create_table(
        "outbox_partitions",
        sa.Column("partition_no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("partition_no"),
        **INNODB,
    )


def _products_back() -> None:
    for column, kind in (("price", sa.BigInteger()), ("currency", sa.CHAR(3)), ("weight_grams", sa.Integer())):
        op.add_column("products", sa.Column(column, kind, nullable=True))
    op.add_column("products", sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.execute("UPDATE products p SET active = (status = 'active'), weight_grams = 0, currency = 'EUR', price = 0")
    op.execute("UPDATE products p JOIN variants v ON v.sku = p.code SET p.weight_grams = v.weight_grams")
    op.execute("UPDATE products p JOIN prices r ON r.sku = p.code SET p.price = r.amount, p.currency = r.currency")
    for column, shelf in (("brand", "brands"), ("category", "categories")):
        op.drop_constraint(op.f(f"fk_products_{column}"), "products", type_="foreignkey")
        op.alter_column("products", column, type_=sa.String(100), existing_type=CODE, existing_nullable=False)
        op.execute(f"UPDATE products p JOIN {shelf} s ON s.code = p.{column} SET p.{column} = s.name")  # noqa: S608
    op.drop_constraint(op.f("fk_variants_product"), "variants", type_="foreignkey")
    for column in ("attributes", "options", "tax_class", "status"):
        op.drop_column("products", column)
    op.alter_column("products", "code", new_column_name="sku", existing_type=SKU, existing_nullable=False)
    op.create_check_constraint(op.f("ck_products_price"), "products", "price >= 0")

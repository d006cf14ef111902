"""The product page: what a storefront shows, and what staff see in addition."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from domain.catalog import ProductStatus, TaxClass
from schemas.base import Money, Open, Payload
from schemas.catalog import AttributeValue, Image, Price


class CategoryStep(Payload):
    """One category of the path from the root."""

    code: str
    name: str


class QuantityPrice(Payload):
    """The unit price for at least this many units of the SKU."""

    min_quantity: int
    price: Money


class Offered(Payload):
    """A SKU's current net price and availability.

    While a temporary price is valid, `regular_price` is the price without it and `price_valid_until` is when it ends;
    otherwise both are null. `price` is null where there is none in the currency: then the SKU is not for sale.
    `available` counts the unreserved units of all warehouses; a backorderable SKU can be ordered when there are none.
    """

    sku: str
    price: Money | None = None
    regular_price: Money | None = None
    price_valid_until: datetime | None = None
    quantity_prices: list[QuantityPrice] = []
    available: int = 0
    in_stock: Annotated[bool, Field(description="Whether it can be ordered now, from stock or on backorder.")] = False
    backorderable: bool = False


class VariantView(Offered):
    """A variant. Weight in grams, dimensions in millimetres."""

    options: dict[str, str] = {}
    weight_grams: int
    length_mm: int | None = None
    width_mm: int | None = None
    height_mm: int | None = None
    barcode: str | None = None
    active: bool = True
    prices: Annotated[list[Price] | None, Field(description="All prices, past and future; for staff only.")] = None


class ProductView(Offered):
    """`GET /v1/products/{sku}`.

    The product's own `sku`, prices and availability are those of the requested SKU, or else of the first active
    variant. `brand` and `category` are codes, `category_path` leads from the root to the
    category. `popularity` is set by staff or an import. `version` grows by one with every edit.
    """

    code: str
    name: str
    description: str
    brand: str
    brand_name: str
    category: str
    category_name: str
    category_path: list[CategoryStep]
    attributes: dict[str, AttributeValue]
    options: list[str]
    tax_class: Open[TaxClass]
    status: Open[ProductStatus]
    popularity: int
    variants: list[VariantView]
    images: list[Image]
    version: int
    created_at: datetime
    updated_at: datetime

"""A product's page: all that a storefront shows of it, and what staff sees beside that."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from domain.catalog import ProductStatus, TaxClass
from schemas.base import Money, Payload
from schemas.catalog import AttributeValue, Image, Price


class CategoryStep(Payload):
    """One category on the way from the root of the tree."""

    code: str
    name: str


class QuantityPrice(Payload):
    """What a unit costs to who orders at least so many units of the SKU."""

    min_quantity: int
    price: Money


class Offered(Payload):
    """What a SKU costs now, net, and whether it can be had.

    While a temporary price holds, `regular_price` is what it would cost without it and `price_valid_until` is when it
    ends; otherwise both are null. `price` is null where there is none in the currency: then it is not for sale.
    `available` counts the units of all warehouses that nobody has reserved; a backorderable SKU can be ordered when
    there are none.
    """

    sku: str
    price: Money | None = None
    regular_price: Money | None = None
    price_valid_until: datetime | None = None
    quantity_prices: list[QuantityPrice] = []
    available: int = 0
    in_stock: Annotated[bool, Field(description="Whether one can be ordered now, from stock or on backorder.")] = False
    backorderable: bool = False


class VariantView(Offered):
    """One variant. Weight in grams, dimensions in millimetres."""

    options: dict[str, str] = {}
    weight_grams: int
    length_mm: int | None = None
    width_mm: int | None = None
    height_mm: int | None = None
    barcode: str | None = None
    active: bool = True
    prices: Annotated[list[Price] | None, Field(description="Every price, past and to come; for staff alone.")] = None


class ProductView(Offered):
    """`GET /v1/products/{sku}`.

    What stands beside the variants for convenience – `sku`, prices, availability – is that of the SKU asked for, or
    else of the first active variant. `brand` and `category` are codes, `category_path` leads from the root to the
    category. `popularity` is what staff or a file says. `version` grows by one with every edit.
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
    tax_class: TaxClass
    status: ProductStatus
    popularity: int
    variants: list[VariantView]
    images: list[Image]
    version: int
    created_at: datetime
    updated_at: datetime

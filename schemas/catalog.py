"""Products as shown and as found."""

from datetime import datetime

from schemas.base import Money, Payload


class Product(Payload):
    """One product for sale; price net, weight in grams."""

    sku: str
    name: str
    description: str
    brand: str
    category: str
    price: Money
    weight_grams: int
    active: bool = True
    popularity: int = 0
    version: int = 1
    created_at: datetime
    updated_at: datetime


class ProductView(Product):
    """A product with its stock, in units over all warehouses."""

    available: int
    in_stock: bool


class ProductHit(Payload):
    """A product as a search result."""

    sku: str
    name: str
    brand: str
    category: str
    price: Money
    in_stock: bool
    highlight: str | None = None


class FacetValue(Payload):
    """One value of a facet and how many products have it."""

    value: str
    count: int


class ProductPage(Payload):
    """`GET /v1/products`."""

    items: list[ProductHit]
    next_cursor: str | None = None
    total: int
    facets: dict[str, list[FacetValue]] = {}
    did_you_mean: str | None = None


class Suggestions(Payload):
    """`GET /v1/products/suggest`."""

    items: list[str]

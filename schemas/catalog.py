"""Products as shown and as found."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.base import Money, Payload

Sort = Literal["relevance", "popularity", "price_asc", "price_desc", "newest"]
Choice = Annotated[str, StringConstraints(min_length=1, max_length=100)]
PriceEnd = Annotated[int, Field(ge=0, le=10**12)]


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


class ProductQuery(Payload):
    """What to look for; no words means everything. Prices in minor units, both ends included."""

    q: Annotated[str, Field(max_length=200, description="What the customer types; typos are forgiven.")] = ""
    category: Choice | None = None
    brand: Choice | None = None
    min_price: PriceEnd | None = None
    max_price: PriceEnd | None = None
    in_stock: bool | None = None
    sort: Annotated[Sort | None, Field(description="Relevance when there are words, else popularity.")] = None
    cursor: Annotated[str | None, Field(max_length=500, pattern=r"^[A-Za-z0-9_-]+$")] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20

    @property
    def order(self) -> Sort:
        """How hits are sorted when the customer does not say."""
        return self.sort or ("relevance" if self.q.strip() else "popularity")


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

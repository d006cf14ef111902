"""What customers look for among the products, and what they find."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from domain.catalog import ProductStatus
from schemas.base import Money, Payload
from schemas.catalog import BASE_CURRENCY, AttributeValue

Sort = Literal["relevance", "popularity", "price_asc", "price_desc", "newest"]
Choice = Annotated[str, StringConstraints(min_length=1, max_length=100)]
PriceEnd = Annotated[int, Field(ge=0, le=10**12)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class ProductQuery(Payload):
    """What to look for; no words means everything. Prices in minor units, both ends included."""

    q: Annotated[
        str,
        Field(max_length=200, description="What the customer types; typos are forgiven.", examples=["coffee grinder"]),
    ] = ""
    category: Annotated[
        Choice | None, Field(description="Code or name; everything below it counts as well.", examples=["kitchen"])
    ] = None
    brand: Annotated[Choice | None, Field(description="Code or name.", examples=["hearthwick"])] = None
    min_price: PriceEnd | None = None
    max_price: PriceEnd | None = None
    currency: Annotated[Currency, Field(description="What prices are in; products without one in it stay out.")] = (
        BASE_CURRENCY
    )
    in_stock: bool | None = None
    sort: Annotated[Sort | None, Field(description="Relevance when there are words, else popularity.")] = None
    facets: Annotated[bool, Field(description="Count the choices; only the first page has them.")] = True
    cursor: Annotated[str | None, Field(max_length=2000, pattern=r"^[A-Za-z0-9_-]+$")] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20

    @property
    def order(self) -> Sort:
        """How hits are sorted when the customer does not say."""
        return self.sort or ("relevance" if self.q.strip() else "popularity")


class ProductHit(Payload):
    """A product as a search result; `sku` is the variant a link should open, `price` that of its cheapest variant.

    `highlight` is the name as HTML, what was found in `<em>`; None when it was found elsewhere.
    """

    sku: str
    product: str
    name: str
    brand: str
    category: str
    price: Money
    in_stock: bool
    image_url: str | None = None
    highlight: str | None = None


class FacetValue(Payload):
    """One value of a facet, what it is called, and how many products have it."""

    value: str
    label: str
    count: int


class ProductPage(Payload):
    """`GET /v1/products`. `total` and the facets are those of the first page; later pages have no facets.

    The facets are brand, category, price (`<from>-<to>` in minor units, both included) and in_stock; each counts what
    choosing another of its values would give, all other choices kept.
    """

    items: list[ProductHit]
    next_cursor: str | None = None
    total: int
    facets: dict[str, list[FacetValue]] = {}
    did_you_mean: str | None = None


class SuggestedTaxon(Payload):
    """A brand or category whose name completes what was typed; `code` is what the search takes as filter."""

    kind: Literal["brand", "category"]
    code: str
    name: str


class Suggestions(Payload):
    """`GET /v1/products/suggest`: names of products, and brands and categories."""

    items: list[str]
    shelves: list[SuggestedTaxon] = []


class IndexedProduct(Payload):
    """What the index knows of a product: its state at one revision, read in one snapshot.

    `prices` holds, per currency, what the cheapest active variant costs now, in minor units; `sku` is the variant a
    hit links to; `category_path` holds the codes from the root down, `category_names` what they are called.
    """

    revision: int
    code: str
    sku: str
    skus: list[str]
    barcodes: list[str] = []
    name: str
    description: str
    brand: str
    brand_name: str
    category: str
    category_name: str
    category_path: list[str]
    category_names: list[str]
    attributes: dict[str, AttributeValue] = {}
    option_values: list[str] = []
    prices: dict[str, int] = {}
    in_stock: bool
    popularity: int
    status: ProductStatus
    image_url: str | None = None
    created_at: datetime

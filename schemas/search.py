"""Product search: queries and results."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from domain.catalog import ProductStatus
from schemas.base import Money, Open, Payload
from schemas.catalog import BASE_CURRENCY, AttributeValue

Sort = Literal["relevance", "popularity", "price_asc", "price_desc", "newest"]
Choice = Annotated[str, StringConstraints(min_length=1, max_length=100)]
PriceEnd = Annotated[int, Field(ge=0, le=10**12)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class ProductQuery(Payload):
    """The search criteria; without words everything matches. Prices in minor units, both ends included."""

    q: Annotated[
        str,
        Field(max_length=200, description="What the customer types; typos are tolerated.", examples=["coffee grinder"]),
    ] = ""
    category: Annotated[
        Choice | None, Field(description="Code or name; categories below it are included.", examples=["kitchen"])
    ] = None
    brand: Annotated[Choice | None, Field(description="Code or name.", examples=["hearthwick"])] = None
    min_price: PriceEnd | None = None
    max_price: PriceEnd | None = None
    currency: Annotated[Currency, Field(description="The currency of prices; a product needs a price in it.")] = (
        BASE_CURRENCY
    )
    in_stock: bool | None = None
    sort: Annotated[Sort | None, Field(description="By default relevance with words, else popularity.")] = None
    facets: Annotated[bool, Field(description="Whether to count facets; only the first page has them.")] = True
    cursor: Annotated[str | None, Field(max_length=2000, pattern=r"^[A-Za-z0-9_-]+$")] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20

    @property
    def order(self) -> Sort:
        """The sort order, by default when none is given."""
        return self.sort or ("relevance" if self.q.strip() else "popularity")


class ProductHit(Payload):
    """A product as a search result; `sku` is the variant to link to, `price` that of the cheapest variant.

    `highlight` is the name as HTML with the matches in `<em>`; null when the match is in another field.
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
    """A value of a facet with its label and the number of products."""

    value: str
    label: str
    count: int


class ProductPage(Payload):
    """`GET /v1/products`. `total` and the facets are those of the first page; later pages have no facets.

    The facets are brand, category, price (`<from>-<to>` in minor units, both included) and in_stock; each count is
    what choosing that value would give, with all other choices unchanged.
    """

    items: list[ProductHit]
    next_cursor: str | None = None
    total: int
    facets: dict[str, list[FacetValue]] = {}
    did_you_mean: str | None = None


class SuggestedTaxon(Payload):
    """A brand or category whose name completes what was typed; `code` is the value for the search filter."""

    kind: Literal["brand", "category"]
    code: str
    name: str


class Suggestions(Payload):
    """`GET /v1/products/suggest`: product names, brands and categories."""

    items: list[str]
    taxonomy: list[SuggestedTaxon] = []


class IndexedProduct(Payload):
    """The index document of a product: its state at one revision, read in one snapshot.

    `prices` holds the current price of the cheapest active variant per currency, in minor units; `sku` is the variant
    a hit links to; `category_path` holds the codes from the root down, `category_names` their names.
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
    status: Open[ProductStatus]
    image_url: str | None = None
    created_at: datetime

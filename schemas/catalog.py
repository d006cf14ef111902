"""The catalog: products with their variants, prices and images, and a variant's current offer."""

from datetime import datetime

from domain.catalog import ProductStatus, TaxClass
from domain.money import Money as DomainMoney
from domain.pricing import PricedItem, unit_price
from schemas.base import Money, Open, Payload

BASE_CURRENCY = "EUR"  # the currency of prices unless another is requested

AttributeValue = str | int | float | bool | list[str]


class Price(Payload):
    """The price of one unit, in minor units, from `valid_from` on, for at least `min_quantity` units.

    Of several that are valid for one `min_quantity`, the one that began last applies. Whether tax is included depends
    on the currency.
    """

    amount: int
    currency: str
    min_quantity: int = 1
    valid_from: datetime
    valid_to: datetime | None = None


class Variant(Payload):
    """What is sold and stocked: one SKU. Weight in grams, dimensions in millimetres."""

    sku: str
    options: dict[str, str] = {}
    weight_grams: int
    length_mm: int | None = None
    width_mm: int | None = None
    height_mm: int | None = None
    barcode: str | None = None
    active: bool = True
    prices: list[Price] = []


class Image(Payload):
    """A picture of the product, or of one variant when it names a SKU."""

    url: str
    alt: str = ""
    sku: str | None = None


class Product(Payload):
    """A product with its variants and images; `brand` and `category` are codes.

    `code` shares one namespace with the SKUs: a product with one variant may have the same code as its variant.
    `version` grows by one with each change of the product or its parts. `popularity` is set by staff or an import;
    recent sales are added to it where products are sorted or ranked by popularity.
    """

    code: str
    name: str
    description: str = ""
    brand: str
    category: str
    attributes: dict[str, AttributeValue] = {}
    options: list[str] = []
    tax_class: Open[TaxClass] = TaxClass.STANDARD
    status: Open[ProductStatus] = ProductStatus.ACTIVE
    popularity: int = 0
    variants: list[Variant]
    images: list[Image] = []
    version: int = 1
    created_at: datetime
    updated_at: datetime


class Brand(Payload):
    """A manufacturer or label."""

    code: str
    name: str
    version: int = 1


class Category(Payload):
    """A group of products; `parent` makes them a tree."""

    code: str
    name: str
    parent: str | None = None
    position: int = 0
    version: int = 1


class Announced(Payload):
    """How many products had an event published because a price began or ended, or a brand or category changed."""

    by_prices: int = 0
    by_taxonomy: int = 0


class SalesCounted(Payload):
    """How many products' sales differ from the last count."""

    changed: int


class Offer(Payload):
    """The current offer for a SKU. `price` is for one unit, None when there is none in the requested currency; `tiers`
    are all current prices as (minimum quantity, amount).
    """

    sku: str
    product: str
    name: str
    price: Money | None
    tiers: list[tuple[int, int]] = []
    weight_grams: int
    tax_class: TaxClass
    active: bool

    @property
    def for_sale(self) -> bool:
        """Whether it can be ordered."""
        return self.active and self.price is not None

    def price_for(self, quantity: int) -> Money | None:
        """The unit price at this quantity."""
        if self.price is None:
            return None
        amount = unit_price(self.tiers, quantity)
        return self.price if amount is None else Money(amount=amount, currency=self.price.currency)

    def priced(self, quantity: int) -> PricedItem:
        """So many of it, at what a unit then costs; only of what is for sale."""
        price = self.price_for(quantity)
        assert price is not None
        unit = DomainMoney(price.amount, price.currency)
        return PricedItem(self.sku, self.name, quantity, unit, self.weight_grams, self.tax_class)

"""The catalog's truth: products with their variants, prices and images, and what a variant is offered for now."""

from datetime import datetime

from domain.catalog import ProductStatus, TaxClass
from domain.money import Money as DomainMoney
from domain.pricing import PricedItem, unit_price
from schemas.base import Money, Payload

BASE_CURRENCY = "EUR"  # what prices are shown in unless somebody asks for another currency

AttributeValue = str | int | float | bool | list[str]


class Price(Payload):
    """What one unit costs, in minor units, from a moment on, for whoever orders at least `min_quantity` units.

    Of several that hold for one `min_quantity` the latest begun counts. Whether tax is inside depends on the currency.
    """

    amount: int
    currency: str
    min_quantity: int = 1
    valid_from: datetime
    valid_to: datetime | None = None


class Variant(Payload):
    """What can be bought and is kept in stock: one SKU. Weight in grams, dimensions in millimetres."""

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
    """A product with everything that belongs to it; `brand` and `category` are codes.

    `code` is its own number, in one namespace with the SKUs: a product of one variant may share it with that variant.
    `version` is one more with each change of the product or of anything in it. `popularity` is what staff or a file
    says; where products are sorted or weighed by it, the units sold lately are added.
    """

    code: str
    name: str
    description: str = ""
    brand: str
    category: str
    attributes: dict[str, AttributeValue] = {}
    options: list[str] = []
    tax_class: TaxClass = TaxClass.STANDARD
    status: ProductStatus = ProductStatus.ACTIVE
    popularity: int = 0
    variants: list[Variant]
    images: list[Image] = []
    version: int = 1
    created_at: datetime
    updated_at: datetime


class Brand(Payload):
    """Who makes it."""

    code: str
    name: str
    version: int = 1


class Category(Payload):
    """A shelf of the shop; the tree is made by `parent`."""

    code: str
    name: str
    parent: str | None = None
    position: int = 0
    version: int = 1


class Announced(Payload):
    """How many products were announced because of a price that began or ended, and because of a shelf that changed."""

    by_prices: int = 0
    by_taxonomy: int = 0


class SalesCounted(Payload):
    """How many products sold more or less than when it was counted last."""

    changed: int


class Offer(Payload):
    """One SKU as a cart or an order sees it now. `price` is that of one unit, None when there is none in the currency
    asked for; `tiers` are all prices there are now, (least quantity, amount) each.
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
        """Whether it can be put into a cart and ordered."""
        return self.active and self.price is not None

    def price_for(self, quantity: int) -> Money | None:
        """The price of a unit to who orders so many."""
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

"""Products as staff and imports send them: the fields, and the checks across fields."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AliasChoices, Field, StrictBool, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from domain.catalog import ALWAYS, ProductStatus, TaxClass
from domain.errors import Fault, InvalidFields
from schemas.base import Request, Sku
from schemas.catalog import Image, Price, Product, Variant
from schemas.plain_text import Label, Name, Prose, Value
from schemas.product_fields import (
    Attribute,
    Barcode,
    Code,
    Grams,
    KnownCurrency,
    Millimetres,
    MinorUnits,
    MinQuantity,
    Moment,
    Popularity,
    Url,
)


class NewPrice(Request):
    """The price of one unit, in minor units. Without `valid_from` it is the regular price, which any other overrides
    while that is valid; without `valid_to` it does not end. Of several valid prices, the one that began last applies.

    With a `min_quantity` it is the unit price for orders of at least that many units of the SKU.
    """

    amount: MinorUnits
    currency: KnownCurrency
    min_quantity: MinQuantity = 1
    valid_from: Moment | None = None
    valid_to: Moment | None = None

    @property
    def begins(self) -> datetime:
        """The moment from which it is valid."""
        return self.valid_from or ALWAYS

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.valid_to is not None and self.valid_to <= self.begins:
            raise PydanticCustomError("ends_before_it_begins", "valid_to must be later than valid_from.")
        return self


class NewVariant(Request):
    """What is sold and stocked. Weight in grams, dimensions in millimetres."""

    sku: Sku
    options: dict[Label, Value] = {}
    weight_grams: Grams
    length_mm: Millimetres | None = None
    width_mm: Millimetres | None = None
    height_mm: Millimetres | None = None
    barcode: Barcode | None = None
    active: StrictBool = True
    prices: Annotated[list[NewPrice], Field(max_length=100)] = []


class NewImage(Request):
    """A picture of the product, or of one variant when it names a SKU."""

    url: Url
    alt: Annotated[Name | None, Field(description="Alternative text: what the picture shows.")] = None
    sku: Sku | None = None


class OneVariant(Request):
    """The fields of the only variant, given in the product itself instead of a list."""

    price: NewPrice | None = None
    weight_grams: Grams | None = None
    length_mm: Millimetres | None = None
    width_mm: Millimetres | None = None
    height_mm: Millimetres | None = None
    barcode: Barcode | None = None


class NewProduct(OneVariant):
    """A complete product. `code` (or `sku`) identifies it; `brand` and `category` are codes.

    A simple product leaves `variants` out and gives `price`, `weight_grams` etc. directly: its only variant has the
    product's code as SKU. Otherwise every variant has a value for each of `options`, and no two have the same.
    """

    code: Annotated[Sku, Field(validation_alias=AliasChoices("code", "sku"))]
    name: Name
    description: Prose = ""
    brand: Code
    category: Code
    attributes: Annotated[dict[Label, Attribute], Field(max_length=100)] = {}
    options: Annotated[list[Label], Field(max_length=5)] = []
    tax_class: TaxClass = TaxClass.STANDARD
    status: ProductStatus = ProductStatus.ACTIVE
    popularity: Popularity = 0
    variants: Annotated[list[NewVariant], Field(max_length=200)] = []
    images: Annotated[list[NewImage], Field(max_length=50)] = []


class ProductPatch(OneVariant):
    """A JSON merge patch (RFC 7396): a field left out stays, null resets it to its default, attributes are merged one
    by one (null removes one), and every other list or object is replaced as a whole.

    A variant that `variants` no longer names is deactivated, and remains for the orders that contain it. `price`,
    `weight_grams`, the dimensions and `barcode` are those of a product with one variant; `price` without `valid_from`
    is the new regular price of its currency.
    """

    name: Name | None = None
    description: Prose | None = None
    brand: Code | None = None
    category: Code | None = None
    attributes: Annotated[dict[Label, Attribute | None] | None, Field(max_length=100)] = None
    options: Annotated[list[Label] | None, Field(max_length=5)] = None
    tax_class: TaxClass | None = None
    status: ProductStatus | None = None
    popularity: Popularity | None = None
    variants: Annotated[list[NewVariant] | None, Field(max_length=200)] = None
    images: Annotated[list[NewImage] | None, Field(max_length=50)] = None


class InvalidProduct(InvalidFields):
    """The product is invalid."""


def checked(data: Mapping[str, Any]) -> NewProduct:
    """The product these JSON values describe; raises InvalidProduct with all its faults."""
    try:
        product = NewProduct.model_validate(data)
    except ValidationError as error:
        raise InvalidProduct(faults_of(error)) from error
    if faults := list(misfits(product)):
        raise InvalidProduct(faults)
    return product


def faults_of(error: ValidationError) -> list[Fault]:
    """Pydantic's errors, field by field, without the input."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [Fault(pointer="/".join(map(str, one["loc"])), code=one["type"], detail=one["msg"]) for one in found]


def misfits(product: NewProduct) -> Iterator[Fault]:
    """Faults that no field shows alone: parts of the product that do not fit together."""
    if len(set(product.options)) < len(product.options):
        yield Fault(pointer="options", code="duplicate_option", detail="Each option is named once.")
    yield from _misfits_of_variants(product) if product.variants else _misfits_of_only_variant(product)
    known = {variant.sku for variant in product.variants} or {product.code}
    for place, image in enumerate(product.images):
        if image.sku is not None and image.sku not in known:
            detail = "This is not the SKU of a variant of this product."
            yield Fault(pointer=f"images/{place}/sku", code="unknown_variant", detail=detail)


def _misfits_of_only_variant(product: NewProduct) -> Iterator[Fault]:
    if product.weight_grams is None:
        yield Fault(pointer="weight_grams", code="missing", detail="A product without variants has a weight.")
    if product.options:
        detail = "Options are what variants differ in, and there are none."
        yield Fault(pointer="options", code="no_variants", detail=detail)


def _misfits_of_variants(product: NewProduct) -> Iterator[Fault]:
    for name in sorted(OneVariant.model_fields.keys() & product.model_fields_set):
        yield Fault(pointer=name, code="variants_given", detail="It belongs into the variants, which are given.")
    if product.status is ProductStatus.ACTIVE and not any(variant.active for variant in product.variants):
        detail = "A product that is for sale has at least one active variant."
        yield Fault(pointer="variants", code="no_active_variant", detail=detail)
    skus: set[str] = set()
    for place, variant in enumerate(product.variants):
        if variant.sku in skus:
            yield Fault(pointer=f"variants/{place}/sku", code="duplicate_sku", detail="Another variant has this SKU.")
        skus.add(variant.sku)
        yield from _misfits_of_prices(variant, f"variants/{place}")
    yield from _misfits_of_options(product)


def _misfits_of_options(product: NewProduct) -> Iterator[Fault]:
    looks: set[tuple[str, ...]] = set()
    for place, variant in enumerate(product.variants):
        if not variant.active:
            continue  # it may date from a time when the product had other options
        pointer = f"variants/{place}/options"
        if variant.options.keys() != set(product.options):
            detail = f"A variant has a value for each option of the product: {', '.join(product.options) or 'none'}."
            yield Fault(pointer=pointer, code="options_do_not_match", detail=detail)
            continue
        look = tuple(variant.options[name] for name in product.options)
        if look in looks:
            detail = "Another variant has the same value for every option."
            yield Fault(pointer=pointer, code="duplicate_variant", detail=detail)
        looks.add(look)


def _misfits_of_prices(variant: NewVariant, pointer: str) -> Iterator[Fault]:
    begun = set()
    for place, price in enumerate(variant.prices):
        if (price.currency, price.begins, price.min_quantity) in begun:
            detail = "Another price of this currency and quantity begins at the same moment."
            yield Fault(pointer=f"{pointer}/prices/{place}/valid_from", code="duplicate_price", detail=detail)
        begun.add((price.currency, price.begins, price.min_quantity))


_OF_PRODUCT = tuple(NewProduct.model_fields.keys() - {"variants", "images"} - OneVariant.model_fields.keys())
_OF_VARIANT = tuple(NewVariant.model_fields.keys() - {"options", "prices"})


def product_of(new: NewProduct, at: datetime, before: Product | None = None) -> Product:
    """The product at this moment; one that replaces another keeps its creation time."""
    return Product(
        **{name: getattr(new, name) for name in _OF_PRODUCT},
        variants=[_variant(variant, new.options) for variant in new.variants] or [_only_variant(new)],
        images=[Image(url=image.url, alt=image.alt or "", sku=image.sku) for image in new.images],
        version=before.version + 1 if before else 1,
        created_at=before.created_at if before else at,
        updated_at=at,
    )


def _variant(new: NewVariant, options: list[str]) -> Variant:
    in_order = {name: new.options[name] for name in options if name in new.options} | new.options
    fields = {name: getattr(new, name) for name in _OF_VARIANT}
    return Variant(**fields, options=in_order, prices=[_price(one) for one in new.prices])


def _only_variant(new: NewProduct) -> Variant:
    sizes = new.model_dump(include={"length_mm", "width_mm", "height_mm", "barcode"})
    prices = [_price(new.price)] if new.price else []
    return Variant(sku=new.code, weight_grams=new.weight_grams or 0, prices=prices, **sizes)


def _price(new: NewPrice) -> Price:
    return Price(
        amount=new.amount,
        currency=new.currency,
        min_quantity=new.min_quantity,
        valid_from=new.begins,
        valid_to=new.valid_to,
    )

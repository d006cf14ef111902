"""Applying a merge patch to a product."""

from datetime import UTC, datetime
from typing import Any

from domain.errors import Fault
from domain.merge_patch import merge_patch
from schemas.catalog import Price, Product, Variant
from schemas.product_edits import InvalidProduct, NewPrice, NewProduct, OneVariant, ProductPatch, checked


def patched(product: Product, patch: ProductPatch) -> NewProduct:
    """The product after a JSON merge patch; raises InvalidProduct with all its faults."""
    document = product.model_dump(mode="json", exclude={"version", "created_at", "updated_at"})
    given = patch.model_dump(mode="json", exclude_unset=True)
    of_variant = {name: given.pop(name) for name in OneVariant.model_fields if name in given}
    merged = merge_patch(document, given)
    if of_variant:
        merged["variants"] = _with_changed_variant(product, patch, of_variant)
    return checked(merged)


def _with_changed_variant(product: Product, patch: ProductPatch, given: dict[str, Any]) -> list[dict[str, Any]]:
    """The variants after a change that names none of them; only a single active variant makes it unambiguous."""
    active = [variant for variant in product.variants if variant.active]
    faults = [
        Fault(pointer=name, code="null_not_allowed", detail="It has no default.")
        for name in ("price", "weight_grams")
        if name in given and given[name] is None
    ]
    if patch.variants is not None or len(active) != 1:
        detail = "Say it in `variants`: without them it is the one of a product with a single active variant."
        faults += [Fault(pointer=name, code="which_variant", detail=detail) for name in given]
    if faults:
        raise InvalidProduct(faults)
    changes = {name: value for name, value in given.items() if name != "price"}
    only = active[0].model_dump(mode="json") | changes
    if patch.price is not None:
        only["prices"] = _prices(active[0], patch.price)
    return [only if one is active[0] else one.model_dump(mode="json") for one in product.variants]


def _prices(variant: Variant, new: NewPrice) -> list[dict[str, Any]]:
    """The prices with a new one, which replaces the price that begins at the same moment or the regular price."""
    moment = datetime.now(UTC)
    temporary = new.valid_from is not None or new.valid_to is not None

    def makes_room(price: Price) -> bool:
        if (price.currency, price.min_quantity) != (new.currency, new.min_quantity):
            return False
        if temporary:
            return price.valid_from == new.begins
        return price.valid_to is None and price.valid_from <= moment

    kept = [price.model_dump(mode="json") for price in variant.prices if not makes_room(price)]
    return [*kept, new.model_dump(mode="json")]

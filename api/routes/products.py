"""One product: public to read, edited by staff."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response

from adapters.mysql.catalog.pages import ProductPages
from api.answers import Made
from api.deps import CatalogEdits, CatalogPages, CatalogStore
from api.errors import HttpProblem, http_problem, problems
from api.idempotency import Once
from api.identity import Caller, invalid_token
from api.permissions import CurrentPrincipal, acting, may, public, require
from api.preconditions import NOT_MODIFIED, ExpectedVersion, content_tag, tagged
from api.principals import Principal
from api.tokens import InvalidToken
from domain.errors import NotFound, SkuTaken, StaleVersion
from schemas.catalog import BASE_CURRENCY, Product
from schemas.product_edits import InvalidProduct, NewProduct, ProductPatch, misfits, product_of
from schemas.product_fields import KnownCurrency
from schemas.product_views import ProductView

router = APIRouter(prefix="/v1/products", tags=["catalog"])
_MANAGE = [require("products:manage")]
_SIMPLE = {
    "sku": "MUG-0001",
    "name": "Stoneware mug",
    "brand": "northfold",
    "category": "cups",
    "price": {"amount": 1290, "currency": "EUR"},
    "weight_grams": 380,
}
_WITH_VARIANTS = {
    "code": "PAN-0001",
    "name": "Cast iron pan",
    "description": "Ready to use: seasoned with linseed oil.",
    "brand": "northfold",
    "category": "pans",
    "attributes": {"Induction": True, "Coating": "none"},
    "options": ["Diameter"],
    "variants": [
        {
            "sku": "PAN-0001-24",
            "options": {"Diameter": "24 cm"},
            "weight_grams": 1900,
            "barcode": "4006381333931",
            "prices": [
                {"amount": 4900, "currency": "EUR"},
                {
                    "amount": 3900,
                    "currency": "EUR",
                    "valid_from": "2027-01-02T00:00:00Z",
                    "valid_to": "2027-01-16T00:00:00Z",
                },
            ],
        },
        {
            "sku": "PAN-0001-28",
            "options": {"Diameter": "28 cm"},
            "weight_grams": 2500,
            "prices": [{"amount": 5900, "currency": "EUR"}],
        },
    ],
    "images": [{"url": "https://cdn.example.com/pan.jpg", "alt": "The pan from above"}],
}
_PATCHES = {
    "price": {"value": {"price": {"amount": 1190, "currency": "EUR"}}},
    "words": {"value": {"name": "Stoneware mug, glazed", "attributes": {"Glaze": "matt", "Volume": None}}},
    "on sale again": {"value": {"status": "active"}},
}


@router.get(
    "/{sku}",
    dependencies=[public],
    response_model=ProductView,
    responses={**NOT_MODIFIED, **problems(401, 404, 422, 503)},
)
def read_product(
    sku: str,
    pages: CatalogPages,
    caller: Caller,
    request: Request,
    currency: Annotated[KnownCurrency, Query(description="Currency of the prices, ISO 4217.")] = BASE_CURRENCY,
) -> Response:
    """One product, by SKU or code; its ETag also changes with its price and availability.

    Staff also sees drafts and archived products.
    """
    for_staff = isinstance(caller, Principal) and may(caller, "products:manage")
    view = pages.page(sku, currency, for_staff=for_staff) if sku.isascii() else None
    if view is None:
        if isinstance(caller, InvalidToken):  # with a good one there may have been something to see
            raise invalid_token(caller)
        raise NotFound("There is no such product.")
    return tagged(request, view, view.version)


@router.post(
    "", status_code=201, dependencies=_MANAGE, response_model=ProductView, responses=problems(400, 401, 403, 409, 503)
)
def create_product(
    new: Annotated[
        NewProduct,
        Body(openapi_examples={"simple": {"value": _SIMPLE}, "with variants": {"value": _WITH_VARIANTS}}),
    ],
    once: Once,
    asker: CurrentPrincipal,
    edits: CatalogEdits,
    catalog: CatalogStore,
    pages: CatalogPages,
) -> Response:
    """Create a product."""
    if faults := list(misfits(new)):
        raise InvalidProduct(faults)

    def create(again: bool) -> Made:
        try:
            edits.create(new, acting(asker, "products:manage"))
        except SkuTaken:
            if not (again and _is_made(catalog.product(new.code), new)):
                raise
        view, headers = _shown(pages, new.code)
        return Made(view, headers | {"Location": f"{router.prefix}/{new.code}"})

    return once.make("POST /v1/products", new, create)


@router.patch(
    "/{sku}",
    dependencies=_MANAGE,
    responses=problems(400, 401, 403, 404, 409, 412, 428, 503),
)
def change_product(
    sku: str,
    patch: Annotated[ProductPatch, Body(openapi_examples=_PATCHES)],
    expected: ExpectedVersion,
    asker: CurrentPrincipal,
    edits: CatalogEdits,
    pages: CatalogPages,
    response: Response,
) -> ProductView:
    """Change a product by a JSON merge patch (RFC 7396): scalars and lists are replaced, attributes are merged.

    412 shows the current product.
    """
    _check_form(sku)
    try:
        changed = edits.change(sku, patch, expected, acting(asker, "products:manage"))
    except StaleVersion as error:
        raise _stale(error, pages, sku) from error
    view, headers = _shown(pages, changed.code)
    response.headers.update(headers)
    return view


@router.delete(
    "/{sku}",
    status_code=204,
    dependencies=_MANAGE,
    responses=problems(400, 401, 403, 404, 412, 428, 503),
)
def archive_product(
    sku: str, expected: ExpectedVersion, asker: CurrentPrincipal, edits: CatalogEdits, pages: CatalogPages
) -> None:
    """Take a product off sale; orders keep it. A `PATCH` of its `status` brings it back."""
    _check_form(sku)
    try:
        edits.archive(sku, expected, acting(asker, "products:manage"))
    except StaleVersion as error:
        raise _stale(error, pages, sku) from error


def _check_form(sku: str) -> None:
    if not sku.isascii():
        raise NotFound("There is no such product.")


def _shown(pages: ProductPages, sku: str) -> tuple[ProductView, dict[str, str]]:
    """What staff sees of the product, with its ETag."""
    view = pages.page(sku, for_staff=True)
    assert view is not None
    return view, {"ETag": content_tag(view.model_dump_json(), view.version)}


def _stale(error: StaleVersion, pages: ProductPages, sku: str) -> HttpProblem:
    view, headers = _shown(pages, sku)
    problem = http_problem(error)
    members: dict[str, Any] = {"version": view.version, "product": view}
    return HttpProblem(problem.status, problem.code, problem.detail, headers, members)


def _is_made(found: Product | None, new: NewProduct) -> bool:
    """Whether an earlier request has made exactly this product, and nobody has touched it since."""
    return found is not None and found == product_of(new, found.created_at)

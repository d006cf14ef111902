"""Brands and the tree of categories: public to read, edited by staff."""

import base64
import json
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Body, Depends, Query, Request, Response
from pydantic import TypeAdapter, ValidationError

from api.answers import Made
from api.deps import CatalogTaxonomy, CatalogWorkflows
from api.errors import problems
from api.idempotency import Once
from api.permissions import CurrentPrincipal, acting, public, require
from api.preconditions import NOT_MODIFIED, ExpectedVersion, tagged, version_tag
from domain.errors import CodeTaken, InvalidRequest, NotFound
from schemas.catalog import Brand, Category
from schemas.product_fields import Code
from schemas.taxonomy import BrandPage, BrandPatch, CategoryPatch, CategoryTree, NewBrand, NewCategory, tree_of
from temporal_clients.catalog import CatalogClient

router = APIRouter(tags=["catalog"])
_MANAGE = [require("products:manage")]
_ADDING = problems(400, 401, 403, 409, 503)
_EDITING = problems(400, 401, 403, 404, 412, 428, 503)
_REMOVING = problems(400, 401, 403, 404, 409, 412, 428, 503)
_CODE = TypeAdapter(Code)

NewBrandBody = Annotated[
    NewBrand, Body(openapi_examples={"brand": {"value": {"code": "northfold", "name": "Northfold"}}})
]
NewCategoryBody = Annotated[
    NewCategory,
    Body(openapi_examples={"below another": {"value": {"code": "cups", "name": "Cups", "parent": "kitchen"}}}),
]
BrandChange = Annotated[BrandPatch, Body(openapi_examples={"name": {"value": {"name": "Northfold Ceramics"}}})]
CategoryChange = Annotated[
    CategoryPatch,
    Body(
        openapi_examples={
            "renamed": {"value": {"name": "Cups and mugs"}},
            "moved": {"value": {"parent": "tableware", "position": 2}},
            "to the root": {"value": {"parent": None}},
        }
    ),
]


def _brand(code: str, taxonomy: CatalogTaxonomy) -> Brand:
    brand = taxonomy.brand(code) if _is_code(code) else None
    if brand is None:
        raise NotFound("There is no such brand.")
    return brand


def _category(code: str, taxonomy: CatalogTaxonomy) -> Category:
    category = taxonomy.category(code) if _is_code(code) else None
    if category is None:
        raise NotFound("There is no such category.")
    return category


# Looked up before the rest of the request is checked, so that 404 comes before what is missing in the request.
ThisBrand = Annotated[Brand, Depends(_brand)]
ThisCategory = Annotated[Category, Depends(_category)]


class _Changes:
    """Has the products of a brand or category published again once the change is answered."""

    def __init__(self, after: BackgroundTasks, client: CatalogClient) -> None:
        self._after = after
        self._client = client

    def publish(self, subject: str, version: int) -> None:
        self._after.add_task(self._client.publish_products_of, subject, version)


async def _changes(after: BackgroundTasks, client: CatalogWorkflows) -> _Changes:
    return _Changes(after, client)


Changes = Annotated[_Changes, Depends(_changes)]


@router.get("/v1/brands", dependencies=[public], responses=problems(422, 503))
def list_brands(
    taxonomy: CatalogTaxonomy,
    cursor: Annotated[str | None, Query(max_length=1000, pattern=r"^[A-Za-z0-9_-]+$")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> BrandPage:
    """Brands, by name."""
    found = taxonomy.brands(_place(cursor), limit + 1)
    more = len(found) > limit
    return BrandPage(items=found[:limit], next_cursor=_cursor(found[limit - 1]) if more else None)


@router.get("/v1/brands/{code}", dependencies=[public], responses=problems(404, 503))
def read_brand(brand: ThisBrand, response: Response) -> Brand:
    """One brand."""
    response.headers["ETag"] = version_tag(brand.version)
    return brand


@router.post("/v1/brands", status_code=201, dependencies=_MANAGE, response_model=Brand, responses=_ADDING)
def create_brand(new: NewBrandBody, once: Once, taxonomy: CatalogTaxonomy) -> Response:
    """Create a brand."""

    def create(again: bool) -> Made:
        try:
            made = taxonomy.add_brand(new)
        except CodeTaken:
            found = taxonomy.brand(new.code)
            if not again or found != Brand(**new.model_dump()):
                raise
            made = found
        return Made(made, {"Location": f"/v1/brands/{made.code}", "ETag": version_tag(made.version)})

    return once.make("POST /v1/brands", new, create)


@router.patch("/v1/brands/{code}", dependencies=_MANAGE, responses=_EDITING)
def change_brand(
    brand: ThisBrand,
    patch: BrandChange,
    expected: ExpectedVersion,
    asker: CurrentPrincipal,
    taxonomy: CatalogTaxonomy,
    changes: Changes,
    response: Response,
) -> Brand:
    """Rename a brand; its products are indexed again."""
    changed = taxonomy.change_brand(brand.code, patch, expected, acting(asker, "products:manage"))
    response.headers["ETag"] = version_tag(changed.version)
    if changed != brand:
        changes.publish(f"brand-{changed.code}", changed.version)
    return changed


@router.delete("/v1/brands/{code}", status_code=204, dependencies=_MANAGE, responses=_REMOVING)
def delete_brand(brand: ThisBrand, expected: ExpectedVersion, taxonomy: CatalogTaxonomy) -> None:
    """Delete a brand that no product has."""
    taxonomy.remove_brand(brand.code, expected)


@router.get(
    "/v1/categories",
    dependencies=[public],
    response_model=CategoryTree,
    responses={**NOT_MODIFIED, **problems(503)},
)
def list_categories(taxonomy: CatalogTaxonomy, request: Request) -> Response:
    """The whole tree of categories."""
    return tagged(request, tree_of(taxonomy.categories()))


@router.get("/v1/categories/{code}", dependencies=[public], responses=problems(404, 503))
def read_category(category: ThisCategory, response: Response) -> Category:
    """One category."""
    response.headers["ETag"] = version_tag(category.version)
    return category


@router.post("/v1/categories", status_code=201, dependencies=_MANAGE, response_model=Category, responses=_ADDING)
def create_category(new: NewCategoryBody, once: Once, taxonomy: CatalogTaxonomy) -> Response:
    """Create a category, at the root or below another."""

    def create(again: bool) -> Made:
        try:
            made = taxonomy.add_category(new)
        except CodeTaken:
            found = taxonomy.category(new.code)
            if not again or found != Category(**new.model_dump()):
                raise
            made = found
        return Made(made, {"Location": f"/v1/categories/{made.code}", "ETag": version_tag(made.version)})

    return once.make("POST /v1/categories", new, create)


@router.patch("/v1/categories/{code}", dependencies=_MANAGE, responses=_EDITING)
def change_category(
    category: ThisCategory,
    patch: CategoryChange,
    expected: ExpectedVersion,
    asker: CurrentPrincipal,
    taxonomy: CatalogTaxonomy,
    changes: Changes,
    response: Response,
) -> Category:
    """Rename a category, or move it with all below it; the products in it are indexed again."""
    changed = taxonomy.change_category(category.code, patch, expected, acting(asker, "products:manage"))
    response.headers["ETag"] = version_tag(changed.version)
    if changed != category:
        changes.publish(f"category-{changed.code}", changed.version)
    return changed


@router.delete("/v1/categories/{code}", status_code=204, dependencies=_MANAGE, responses=_REMOVING)
def delete_category(category: ThisCategory, expected: ExpectedVersion, taxonomy: CatalogTaxonomy) -> None:
    """Delete a category without products and without categories below it."""
    taxonomy.remove_category(category.code, expected)


def _is_code(text: str) -> bool:
    try:
        _CODE.validate_python(text)
    except ValidationError:
        return False
    return True


def _cursor(last: Brand) -> str:
    return base64.urlsafe_b64encode(json.dumps([last.name, last.code]).encode()).decode().rstrip("=")


def _place(cursor: str | None) -> tuple[str, str]:
    if cursor is None:
        return "", ""
    try:
        name, code = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return str(name), _CODE.validate_python(code)
    except (ValueError, TypeError) as error:
        raise InvalidRequest("The cursor is not valid here.") from error

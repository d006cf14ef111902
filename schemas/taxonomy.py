"""Brands and categories: requests of staff, and public views."""

from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from schemas.base import Payload, Request
from schemas.catalog import Brand, Category
from schemas.plain_text import Label
from schemas.product_fields import Code

T = TypeVar("T")


def _not_null(value: T | None) -> T:
    if value is None:
        raise PydanticCustomError("null_not_allowed", "It can be left out, but not removed.")
    return value


Position = Annotated[int, Field(ge=0, le=1_000_000, strict=True)]
SomeLabel = Annotated[Label | None, AfterValidator(_not_null)]
SomePosition = Annotated[Position | None, AfterValidator(_not_null)]


class NewBrand(Request):
    """A brand; its code identifies it in products and URLs, and never changes."""

    code: Code
    name: Label


class BrandPatch(Request):
    """The fields to change."""

    name: SomeLabel = None


class NewCategory(Request):
    """A category below another or at the root; siblings are ordered by `position`, then by name."""

    code: Code
    name: Label
    parent: Code | None = None
    position: Position = 0


class CategoryPatch(Request):
    """The fields to change; a `parent` of null moves it to the root."""

    name: SomeLabel = None
    parent: Code | None = None
    position: SomePosition = None


class BrandPage(Payload):
    """`GET /v1/brands`: by name."""

    items: list[Brand]
    next_cursor: str | None = None


class CategoryNode(Category):
    """A category with its subcategories."""

    children: list["CategoryNode"] = []


class CategoryTree(Payload):
    """`GET /v1/categories`: the complete tree, from the roots down."""

    items: list[CategoryNode]
    next_cursor: str | None = None


def tree_of(categories: list[Category]) -> CategoryTree:
    """The categories, given in the order of siblings, as a tree."""
    nodes = {category.code: CategoryNode(**category.model_dump()) for category in categories}
    roots: list[CategoryNode] = []
    for node in nodes.values():
        above = nodes.get(node.parent) if node.parent else None
        (above.children if above else roots).append(node)
    return CategoryTree(items=roots)

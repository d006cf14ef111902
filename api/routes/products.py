"""The catalog as customers see it: search, suggestions, one product."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import CatalogStore, Search, StockStore
from api.errors import problems
from api.permissions import public
from domain.errors import NotFound
from schemas.catalog import ProductPage, ProductQuery, ProductView, Suggestions

router = APIRouter(prefix="/v1/products", tags=["catalog"])


@router.get("", dependencies=[public], responses=problems(422, 503))
def search_products(query: Annotated[ProductQuery, Query()], search: Search) -> ProductPage:
    """Find products; facets count what each other choice would give."""
    return search.search(query)


@router.get("/suggest", dependencies=[public], responses=problems(422, 503))
def suggest_products(q: Annotated[str, Query(min_length=1, max_length=50)], search: Search) -> Suggestions:
    """Names that complete what was typed so far."""
    return Suggestions(items=search.suggest(q))


@router.get("/{sku}", dependencies=[public], responses=problems(404, 503))
def read_product(sku: str, catalog: CatalogStore, stock: StockStore) -> ProductView:
    """One product with its stock."""
    product = catalog.get(sku) if sku.isascii() else None
    if product is None or not product.active:
        raise NotFound("There is no such product.")
    available = stock.available([sku]).get(sku, 0)
    return ProductView(**product.model_dump(), available=available, in_stock=available > 0)

"""Make the product index again from MySQL, beside the one in use, and switch over when it is complete."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from elasticsearch import Elasticsearch

from adapters.mysql.catalog import Catalog
from adapters.mysql.inventory import Stock
from adapters.search import ALIAS, INDEX_VERSION, ProductSearch
from adapters.search_index import INDEX_MAPPING, INDEX_SETTINGS
from schemas.catalog import ProductView


def product_pages(catalog: Catalog, stock: Stock) -> Iterator[list[ProductView]]:
    """Every product with its stock, a page at a time, so that the catalog may be of any size."""
    after = ""
    while page := catalog.page(after):
        available = stock.available([product.sku for product in page])
        yield [
            ProductView(**dict(product), available=available[product.sku], in_stock=available[product.sku] > 0)
            for product in page
        ]
        after = page[-1].sku


def rebuild_product_index(
    elasticsearch: Elasticsearch, pages: Iterator[list[ProductView]], on_page: Callable[[int], None], alias: str = ALIAS
) -> str:
    """Fill a fresh index, move the alias to it in one step, drop the old one, and answer the new one's name.

    Searches see the old index until that moment. When filling fails, the half-made index is removed.
    """
    fresh = f"{alias}-v{INDEX_VERSION}-{datetime.now(UTC):%Y%m%d%H%M%S%f}"
    admin = elasticsearch.options(request_timeout=60)
    admin.indices.create(index=fresh, settings=INDEX_SETTINGS, mappings=INDEX_MAPPING)
    try:
        search = ProductSearch(elasticsearch, alias=fresh)
        for page in pages:
            search.index_products(page)
            on_page(len(page))
        admin.indices.refresh(index=fresh)
    except BaseException:
        admin.indices.delete(index=fresh, ignore_unavailable=True)
        raise
    old = list(admin.indices.get_alias(name=alias)) if admin.indices.exists_alias(name=alias) else []
    removals = [{"remove_index": {"index": name}} for name in old]
    admin.indices.update_aliases(actions=[*removals, {"add": {"index": fresh, "alias": alias}}])
    return fresh

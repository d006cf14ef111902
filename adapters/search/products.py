"""Product search in Elasticsearch; the index can be rebuilt from MySQL."""

from collections.abc import Iterable
from typing import Any

from elasticsearch import ApiError, BadRequestError, Elasticsearch

from adapters.search import query as queries
from adapters.search.cursor import KEEP_ALIVE, Place, SharedPoint, seal, unseal
from adapters.search.index import ALIAS, FACET_SEPARATOR, INDEX_MAPPING, INDEX_SETTINGS, document
from adapters.search.live_index import Document, LiveIndex
from adapters.search.query import Words
from adapters.search.words import Marker
from domain.errors import InvalidRequest
from schemas.base import Money
from schemas.search import IndexedProduct, ProductHit, ProductPage, ProductQuery, SuggestedTaxon, Suggestions

_TIMEOUT_SECONDS = 2.0  # a customer who searches does not wait longer
_NAMES, _TAXA = 8, 3

__all__ = ["ALIAS", "ProductSearch", "product_index"]


def product_index(elasticsearch: Elasticsearch, alias: str = ALIAS) -> LiveIndex:
    """The index of products; `alias` carries the engine's prefix."""
    return LiveIndex(elasticsearch, alias, INDEX_SETTINGS, INDEX_MAPPING)


def versioned(products: Iterable[IndexedProduct]) -> list[Document]:
    """The products as documents whose version is their revision."""
    return [Document(product.code, product.revision, document(product)) for product in products]


class ProductSearch:
    """Find products by what people type. Outages raise elasticsearch's errors, within a few seconds."""

    def __init__(self, elasticsearch: Elasticsearch, alias: str = ALIAS) -> None:
        self._client = elasticsearch.options(request_timeout=_TIMEOUT_SECONDS)
        self._index = product_index(elasticsearch, alias)
        self._alias = alias
        self._point = SharedPoint(self._client, alias)

    def ensure_index(self) -> None:
        """Create the index with its alias unless it exists."""
        if not self._index.exists():
            self._index.switch_to(self._index.create())

    def index_products(self, products: Iterable[IndexedProduct], refresh: bool = False) -> int:
        """Write products to every live index; `refresh` waits until they are found."""
        documents = versioned(
            products
        )  # before the targets are listed, so that an index created meanwhile is among them
        return self._index.put(self._index.targets(), documents, refresh=refresh)

    def search(self, query: ProductQuery) -> ProductPage:
        """One page of hits; raises InvalidRequest for a cursor of another search."""
        return self.timed_search(query)[0]

    def timed_search(self, query: ProductQuery) -> tuple[ProductPage, int]:
        """The same, and how many milliseconds the server says it worked."""
        place = unseal(query)
        if place is not None:
            return self._next_page(query, Words.of(query.q, place.meant), place)
        words = Words.of(query.q)
        answer = self._client.search(index=self._alias, **_request(query, words, first=True))
        took = answer["took"]
        if words.found and not answer["aggregations"]["matched"]["doc_count"]:
            words = Words.of(query.q, queries.corrected(words, answer.get("suggest", {})))
            answer = self._client.search(index=self._alias, **_request(query, words, first=True))
            took += answer["took"]
        found = answer["aggregations"]
        extras = {
            "facets": queries.counted(found) if query.facets else {},
            "did_you_mean": " ".join(words.meant) if words.meant and found["meant"]["doc_count"] else None,
        }
        point = self._point.get() if len(answer["hits"]["hits"]) > query.limit else None
        return _page(query, words, answer, _total(answer), point).model_copy(update=extras), took

    def suggest(self, typed: str) -> Suggestions:
        """What completes the words typed so far, small typos forgiven."""
        return self.timed_suggest(typed)[0]

    def timed_suggest(self, typed: str) -> tuple[Suggestions, int]:
        """The same, and how many milliseconds the server says it worked."""
        names = queries.completing(typed, _NAMES)
        answer = self._client.search(index=self._alias, **names, **queries.taxonomy_beginning(typed, _TAXA))
        took, options = answer["took"], _options(answer)
        if not options:
            # Forgiving typos costs the server several times as much, so it is only done when nothing else is found.
            forgiven = self._client.search(index=self._alias, **queries.forgiving(names))
            took, options = took + forgiven["took"], _options(forgiven)
        taxa = [
            SuggestedTaxon(kind=kind, code=code, name=name)
            for kind, found in answer.get("aggregations", {}).items()
            for code, name in (bucket["key"].split(FACET_SEPARATOR, 1) for bucket in found["values"]["buckets"])
        ]
        items = list(dict.fromkeys(option["_source"]["name"] for option in options))
        return Suggestions(items=items, taxonomy=taxa), took

    def _next_page(self, query: ProductQuery, words: Words, place: Place) -> tuple[ProductPage, int]:
        request = _request(query, words, first=False) | {"search_after": place.after}
        point = place.point or self._point.get()
        try:
            answer = self._client.search(pit={"id": point, "keep_alive": KEEP_ALIVE}, **request)
        except ApiError:
            # It has expired, or its index was replaced by a new one: the same place in a new view.
            point = self._point.get(instead_of=point)
            answer = self._from_point(point, request)
        return _page(query, words, answer, place.total, answer.get("pit_id", point)), answer["took"]

    def _from_point(self, point: str, request: dict[str, Any]) -> Any:
        try:
            return self._client.search(pit={"id": point, "keep_alive": KEEP_ALIVE}, **request)
        except BadRequestError as error:
            raise InvalidRequest("The cursor is not valid here.", parameter="cursor") from error


def _request(query: ProductQuery, words: Words, *, first: bool) -> dict[str, Any]:
    """The request to the server. Only the first page is counted: later ones show its numbers."""
    chosen = list(queries.choices(query).values())
    request: dict[str, Any] = {
        "query": queries.matching(query, words),
        "sort": queries.sorting(query),
        "size": query.limit + 1,
        "source_includes": [*queries.SHOWN, f"prices.{query.currency}"],
        "track_total_hits": first,
        # A partial answer would hide products that are for sale.
        "allow_partial_search_results": False,
    }
    if first:
        # Answered from the server's cache until the next refresh.
        request["request_cache"] = True
    if chosen:
        request["post_filter"] = {"bool": {"filter": chosen}}
    if first:
        request["aggregations"] = queries.probing(words) | (queries.counting(query) if query.facets else {})
    if first and not words.loose and (close := queries.correcting(words)):
        request["suggest"] = close
    return request


def _options(answer: Any) -> list[dict[str, Any]]:
    return list(answer["suggest"]["names"][0]["options"])


def _total(answer: Any) -> int:
    return int(answer["hits"]["total"]["value"])


def _page(query: ProductQuery, words: Words, answer: Any, total: int, point: str | None) -> ProductPage:
    hits = answer["hits"]["hits"]
    shown = hits[: query.limit]
    more = len(hits) > query.limit
    meant = None if words.meant is None else " ".join(words.meant)
    place = Place(shown[-1]["sort"][:2], total, meant, point) if more else None
    marker = Marker([*words.found, *(words.meant or [])])
    return ProductPage(
        items=[_hit(hit["_source"], query, marker) for hit in shown],
        next_cursor=seal(query, place) if place else None,
        total=total,
    )


def _hit(source: dict[str, Any], query: ProductQuery, marker: Marker) -> ProductHit:
    return ProductHit(
        sku=source["sku"],
        product=source["code"],
        name=source["name"],
        brand=source["brand_name"],
        category=source["category_name"],
        price=Money(amount=source["prices"][query.currency], currency=query.currency),
        in_stock=source["in_stock"],
        image_url=source.get("image_url"),
        highlight=marker.mark(source["name"]),
    )

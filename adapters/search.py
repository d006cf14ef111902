"""Product search in Elasticsearch; everything in it can be made again from MySQL."""

import base64
import binascii
import json
from collections.abc import Iterable
from html import escape
from typing import Any

from elasticsearch import BadRequestError, Elasticsearch
from elasticsearch.helpers import bulk

from adapters.search_index import INDEX_MAPPING, INDEX_SETTINGS, document, fold, restore
from domain.errors import InvalidRequest
from schemas.base import Money
from schemas.catalog import FacetValue, ProductHit, ProductPage, ProductQuery, ProductView

ALIAS = "products"
INDEX_VERSION = 1  # one more whenever the mapping changes; the alias moves when the new index is full
_MARKS = ("\ue000", "\ue001")  # private use: never part of a name, replaced by tags once the name is escaped
_SORTS: dict[str, list[dict[str, str]]] = {
    "relevance": [{"_score": "desc"}, {"sku": "asc"}],
    "popularity": [{"popularity": "desc"}, {"sku": "asc"}],
    "price_asc": [{"price": "asc"}, {"sku": "asc"}],
    "price_desc": [{"price": "desc"}, {"sku": "asc"}],
    "newest": [{"created_at": "desc"}, {"sku": "asc"}],
}
_SHOWN = ["sku", "name", "brand", "category", "price", "currency", "in_stock"]
_FACETS = ("brand", "category")


class ProductSearch:
    """Find products by what people type. Outages raise elasticsearch's errors."""

    def __init__(self, elasticsearch: Elasticsearch, alias: str = ALIAS) -> None:
        self._client = elasticsearch
        self._alias = alias

    def ensure_index(self) -> None:
        """Make the index with its alias unless it is there."""
        if self._client.indices.exists_alias(name=self._alias):
            return
        try:
            self._client.indices.create(
                index=f"{self._alias}-v{INDEX_VERSION}",
                settings=INDEX_SETTINGS,
                mappings=INDEX_MAPPING,
                aliases={self._alias: {}},
            )
        except BadRequestError as error:
            if error.error != "resource_already_exists_exception":
                raise

    def index_products(self, products: Iterable[ProductView], refresh: bool = False) -> int:
        """Write products with their stock, take out the inactive; `refresh` waits until they are found."""
        actions = (_action(self._alias, product) for product in products)
        done, _ = bulk(
            self._client.options(request_timeout=30),
            actions,
            refresh="wait_for" if refresh else False,
            ignore_status=(404,),
        )
        return int(done)

    def search(self, query: ProductQuery) -> ProductPage:
        """One page of hits with facets; raises InvalidRequest for a cursor of another search."""
        answer = self._client.search(
            index=self._alias,
            query=_scored(query),
            post_filter=_all_of([*_term(query, "brand"), *_term(query, "category")]),
            aggregations={facet: _facet(query, facet) for facet in _FACETS},
            sort=_SORTS[query.order],
            search_after=_open_cursor(query),
            size=query.limit + 1,
            source_includes=_SHOWN,
            track_total_hits=True,
            highlight={"pre_tags": _MARKS[:1], "post_tags": _MARKS[1:], "fields": {"name_words": _WHOLE_FIELD}},
            suggest=_corrections(query.q),
        )
        hits = answer["hits"]["hits"]
        shown = hits[: query.limit]
        return ProductPage(
            items=[_hit(hit) for hit in shown],
            next_cursor=_cursor(query, shown[-1]["sort"]) if len(hits) > query.limit else None,
            total=answer["hits"]["total"]["value"],
            facets={facet: _values(answer["aggregations"][facet]) for facet in _FACETS},
            did_you_mean=_did_you_mean(query.q, answer.get("suggest", {})),
        )

    def suggest(self, prefix: str, limit: int = 8) -> list[str]:
        """Names of products that begin, at any of their first words, like this; small typos forgiven."""
        wanted = {"field": "suggest", "size": limit, "skip_duplicates": True, "fuzzy": {"fuzziness": "AUTO"}}
        answer = self._client.search(
            index=self._alias,
            suggest={"names": {"prefix": fold(prefix), "completion": wanted}},
            source_includes=["name"],
            size=0,
        )
        options = answer["suggest"]["names"][0]["options"]
        return list(dict.fromkeys(option["_source"]["name"] for option in options))


# Words found by the fields copied together are marked in the name, typos included.
_WHOLE_FIELD = {"number_of_fragments": 0, "require_field_match": False}


def _action(alias: str, product: ProductView) -> dict[str, Any]:
    action: dict[str, Any] = {"_index": alias, "_id": product.sku}
    if not product.active:
        return {**action, "_op_type": "delete"}
    return {**action, "_source": document(product)}


def _scored(query: ProductQuery) -> dict[str, Any]:
    filters: list[dict[str, Any]] = []
    if query.min_price is not None or query.max_price is not None:
        ends = {"gte": query.min_price, "lte": query.max_price}
        filters.append({"range": {"price": {name: end for name, end in ends.items() if end is not None}}})
    if query.in_stock is not None:
        filters.append({"term": {"in_stock": query.in_stock}})
    words = fold(query.q).strip()
    if not words:
        return {"bool": {"filter": filters}} if filters else {"match_all": {}}
    found = {
        "bool": {
            "filter": filters,
            "must": [{"bool": {"should": _ways_to_match(words, query.q.strip())}}],
            "should": [
                {"match": {"name_words": {"query": words, "boost": 3}}},
                {"match_phrase": {"name_words": {"query": words, "boost": 2, "slop": 1}}},
                {"term": {"in_stock": {"value": True, "boost": 0.5}}},
            ],
        }
    }
    popular = {"field_value_factor": {"field": "popularity", "modifier": "log1p", "factor": 0.1, "missing": 0}}
    return {"function_score": {"query": found, "functions": [popular], "boost_mode": "sum"}}


def _ways_to_match(words: str, typed: str) -> list[dict[str, Any]]:
    typos = {"query": words, "fuzziness": "AUTO", "prefix_length": 1, "minimum_should_match": "2<75%"}
    return [
        {"match": {"words": typos}},
        {"match_bool_prefix": {"words": {"query": words, "operator": "and"}}},
        {"match": {"description_words": {"query": words, "operator": "and", "boost": 0.3}}},
        {"term": {"sku": {"value": typed.upper(), "boost": 20}}},
    ]


def _term(query: ProductQuery, field: str) -> list[dict[str, Any]]:
    value = getattr(query, field)
    return [] if value is None else [{"term": {field: value}}]


def _all_of(filters: list[dict[str, Any]]) -> dict[str, Any]:
    return {"bool": {"filter": filters}} if filters else {"match_all": {}}


def _facet(query: ProductQuery, facet: str) -> dict[str, Any]:
    """Counts under all other choices, so that a customer sees what choosing another value would give."""
    others = [term for other in _FACETS if other != facet for term in _term(query, other)]
    return {"filter": _all_of(others), "aggs": {"values": {"terms": {"field": facet, "size": 30}}}}


def _values(facet: dict[str, Any]) -> list[FacetValue]:
    return [FacetValue(value=bucket["key"], count=bucket["doc_count"]) for bucket in facet["values"]["buckets"]]


def _hit(hit: dict[str, Any]) -> ProductHit:
    source = hit["_source"]
    price = Money(amount=source.pop("price"), currency=source.pop("currency"))
    marked = hit.get("highlight", {}).get("name_words", [""])[0]
    highlight = restore(source["name"], marked, _MARKS) if marked else None
    if highlight is not None:
        highlight = escape(highlight).replace(_MARKS[0], "<em>").replace(_MARKS[1], "</em>")
    return ProductHit(price=price, highlight=highlight, **source)


def _corrections(typed: str) -> dict[str, Any] | None:
    words = fold(typed).strip()
    if not words:
        return None
    return {"words": {"text": words, "term": {"field": "words", "suggest_mode": "missing", "sort": "frequency"}}}


def _did_you_mean(typed: str, suggestions: dict[str, Any]) -> str | None:
    words = fold(typed).strip()
    corrected = words
    # From the end, so that a correction of another length leaves the places of the earlier words alone.
    for word in sorted(suggestions.get("words", []), key=lambda word: -word["offset"]):
        if word["options"]:
            start, end = word["offset"], word["offset"] + word["length"]
            corrected = corrected[:start] + word["options"][0]["text"] + corrected[end:]
    return corrected if corrected != words else None


def _cursor(query: ProductQuery, values: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([query.order, *values]).encode()).decode().rstrip("=")


def _open_cursor(query: ProductQuery) -> list[Any] | None:
    if query.cursor is None:
        return None
    try:
        order, number, sku = json.loads(base64.urlsafe_b64decode(query.cursor + "=="))
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise InvalidRequest("This cursor is not one of ours.", parameter="cursor") from error
    if order != query.order or not isinstance(number, int | float) or not isinstance(sku, str):
        raise InvalidRequest("This cursor belongs to another search.", parameter="cursor")
    return [number, sku]
